/** Traces as a collector receives them, and no attempt to export without a collector. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import { createDatabase } from '../postgres.ts';
import { end, logOf, type Replica, startReplica } from './replica.ts';

/** The parts of OTLP's JSON that these tests read. */
type Span = {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code?: number };
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { readonly stringValue?: string; readonly intValue?: number };
  }[];
};
type ExportedTraces = {
  readonly resourceSpans: readonly {
    readonly resource: Pick<Span, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
};

const SERVER = 2;
const accountId = 'traced';

/** A collector that accepts requests on any path. */
class Collector {
  readonly spans: Span[] = [];
  readonly services = new Set<string | undefined>();
  readonly #server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    if (request.url === '/v1/traces') this.#addSpans(JSON.parse(body));
    response.setHeader('content-type', 'application/json').end('{}');
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #addSpans({ resourceSpans }: ExportedTraces) {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.services.add(attribute(resource, 'service.name'));
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
  }
}

const attribute = ({ attributes }: Pick<Span, 'attributes'>, name: string) =>
  attributes.find(({ key }) => key === name)?.value.stringValue;

const traceparent = (traceId: string, spanId: string): Metadata => {
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${traceId}-${spanId}-01`);
  return metadata;
};

async function entriesOf(scrip: Replica): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for await (const message of scrip.billing.streamHistory({ accountId }))
    entries.push(...message.entries);
  return entries;
}

describe('with a collector', () => {
  const collector = new Collector();
  let scrip: Replica;

  beforeAll(async () => {
    scrip = await startReplica({
      DATABASE_URL: await createDatabase(inject('postgresUrl')),
      OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(),
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    });
  });
  afterAll(async () => {
    await end(scrip);
    collector.stop();
  });

  test("a call is a span in its caller's trace, and the unit of work that carried it links to it", async () => {
    const [traceId, parent] = ['a'.repeat(32), 'b'.repeat(16)];
    const options = { metadata: traceparent(traceId, parent) };
    const requestId = 'open';
    await scrip.accounts.openAccount({ accountId, requestId, planId: 'perfectparser' }, options);
    const charge = { accountId, requestId, credits: 2n };
    await scrip.billing.charge(charge, options);
    await scrip.billing
      .charge({ ...charge, requestId: 'x', credits: 99n }, options)
      .catch(() => {});
    await scrip.billing.getBalance({ accountId }, options);
    const entries = await entriesOf(scrip);

    // A clean stop exports what was not exported yet.
    expect((await scrip.signal('SIGTERM')).code).toBe(0);
    expect(collector.services).toEqual(new Set(['scrip']));
    const calls = collector.spans.filter((span) => span.traceId === traceId);
    expect(calls.map(({ name }) => name)).toEqual([
      'billing.v1.AccountService/OpenAccount',
      'billing.v1.BillingService/Charge',
      'billing.v1.BillingService/Charge',
      'billing.v1.BillingService/GetBalance',
    ]);
    for (const call of calls) expect(call).toMatchObject({ kind: SERVER, parentSpanId: parent });
    const codes = calls.map((call) => attribute(call, 'rpc.response.status_code'));
    expect(codes).toEqual(['OK', 'OK', 'FAILED_PRECONDITION', 'OK']);
    expect(attribute(calls[2] ?? { attributes: [] }, 'error.type')).toBe('INSUFFICIENT_CREDITS');

    // The ids on the entries are those of the calls.
    expect(entries.map((entry) => [entry.traceId, entry.spanId])).toEqual([
      [traceId, calls[0]?.spanId],
      [traceId, calls[0]?.spanId],
      [traceId, calls[1]?.spanId],
    ]);
    const units = collector.spans.filter(({ name }) => name === 'unit of work');
    const linked = units.flatMap(({ links = [] }) => links);
    for (const { spanId } of calls.slice(0, 3))
      expect(linked).toContainEqual(expect.objectContaining({ traceId, spanId }));
    for (const unit of units) expect(unit.traceId).not.toBe(traceId);
  });
});

describe('without a collector', () => {
  test('the service neither logs about one nor connects to one, and entries have trace ids all the same', async () => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    const preload = new URL('connections.ts', import.meta.url).href;
    const scrip = await startReplica({ DATABASE_URL: databaseUrl }, [preload]);
    try {
      const [traceId, parent] = ['c'.repeat(32), 'd'.repeat(16)];
      const options = { metadata: traceparent(traceId, parent) };
      const open = { accountId, requestId: 'open', planId: 'perfectparser' };
      await scrip.accounts.openAccount(open, options);
      await scrip.billing.charge({ accountId, requestId: 'charge', credits: 1n });
      const [opened, , charged] = await entriesOf(scrip);
      expect(opened?.traceId).toBe(traceId);
      expect(opened?.spanId).toMatch(/^[0-9a-f]{16}$/);
      expect(opened?.spanId).not.toBe(parent);
      expect(charged?.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
      expect(charged?.traceId).not.toBe(traceId);

      const { code, stdout, stderr } = await scrip.signal('SIGTERM');
      expect(code).toBe(0);
      const { host } = new URL(databaseUrl);
      const connections = new Set(stderr.trim().split('\n'));
      expect(connections).toEqual(new Set([`connects to ${host}`]));
      expect(stdout).not.toMatch(/otel|otlp|telemetry/i);
      expect(logOf(stdout).filter(({ level }) => level !== 30)).toEqual([]);
    } finally {
      await end(scrip);
    }
  });
});
