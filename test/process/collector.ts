/** A collector of traces: an HTTP server that takes OTLP in JSON, and what it has received. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { SOON } from './replica.ts';

type Value = {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
};
type KeyValue = { readonly key: string; readonly value: Value };

/** The parts of OTLP's JSON that tests read. */
export type Span = {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly links?: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly flags?: number;
  }[];
  readonly droppedLinksCount?: number;
  readonly status?: { readonly code?: number };
  readonly attributes: readonly KeyValue[];
};
type ExportedTraces = {
  readonly resourceSpans: readonly {
    readonly resource: Pick<Span, 'attributes'>;
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string; readonly version?: string };
      readonly schemaUrl?: string;
      readonly spans: readonly Span[];
    }[];
  }[];
};

export const SERVER = 2;
export const ERROR = 2;

export class Collector {
  readonly spans: Span[] = [];
  readonly resources: Pick<Span, 'attributes'>[] = [];
  /** Name, version and schema of each scope. */
  readonly scopes = new Set<string>();
  /** Answers with this status. */
  status = 200;
  readonly #server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    if (request.url === '/v1/traces' && this.status === 200) this.#add(JSON.parse(body));
    response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
  });
  #url = '';

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  /** The configuration of a service that exports to it, without delay, and drops no span where the machine is slow. */
  get env() {
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: this.#url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_BSP_MAX_QUEUE_SIZE: '100000',
      OTEL_BSP_EXPORT_TIMEOUT: '60000',
      OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
    };
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Spans of a name, of one trace if `traceId` is given. */
  named(name: string, traceId?: string): Span[] {
    return this.spans.filter(
      (span) => span.name === name && (traceId === undefined || span.traceId === traceId),
    );
  }

  /** Waits for such a span. Rejects with those of its name that came, if it does not come soon. */
  async find(name: string, matches: (span: Span) => boolean = () => true): Promise<Span> {
    const find = () => this.named(name).find(matches);
    await expect
      .poll(find, SOON)
      .toBeDefined()
      .catch((error: unknown) => {
        const last = this.named(name)
          .slice(-10)
          .map(({ attributes }) => JSON.stringify(attributes));
        throw new Error(`no such span '${name}' among ${this.spans.length}: ${last.join('\n')}`, {
          cause: error,
        });
      });
    return find() as Span;
  }

  #add({ resourceSpans }: ExportedTraces) {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resources.push(resource);
      for (const { scope, schemaUrl, spans } of scopeSpans) {
        this.scopes.add(`${scope.name} ${scope.version} ${schemaUrl}`);
        this.spans.push(...spans);
      }
    }
  }
}

/** The value of an attribute; undefined if it is not there. */
export function attribute({ attributes }: Pick<Span, 'attributes'>, name: string) {
  const value = attributes.find(({ key }) => key === name)?.value;
  if (!value) return undefined;
  const { stringValue, intValue, doubleValue, boolValue } = value;
  return stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue));
}

export const namesOf = ({ attributes }: Pick<Span, 'attributes'>): string[] =>
  attributes.map(({ key }) => key);
