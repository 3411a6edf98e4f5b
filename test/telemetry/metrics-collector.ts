/** A collector that takes metrics by OTLP, as JSON over HTTP. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

type KeyValue = { readonly key: string; readonly value: { readonly stringValue?: string } };
type Point = {
  readonly attributes: readonly KeyValue[];
  readonly asDouble?: number;
  readonly asInt?: number | string;
  readonly count?: number | string;
};
type Exported = {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string;
        readonly unit: string;
        readonly sum?: { readonly dataPoints: readonly Point[] };
        readonly gauge?: { readonly dataPoints: readonly Point[] };
        readonly histogram?: { readonly dataPoints: readonly Point[] };
      }[];
    }[];
  }[];
};

export type ReceivedPoint = {
  readonly name: string;
  readonly unit: string;
  readonly attributes: Readonly<Record<string, string | undefined>>;
  /** Of a histogram: how often something was measured. */
  readonly value: number;
};

export class MetricsCollector {
  /** Those of the newest export: values count from the start of the process. */
  points: readonly ReceivedPoint[] = [];
  readonly #server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    if (request.url === '/v1/metrics') this.points = pointsOf(JSON.parse(body));
    response.setHeader('content-type', 'application/json').end('{}');
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const pointsOf = ({ resourceMetrics }: Exported): readonly ReceivedPoint[] =>
  resourceMetrics
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ metrics }) => metrics)
    .flatMap(({ name, unit, sum, gauge, histogram }) =>
      (sum ?? gauge ?? histogram)!.dataPoints.map((point) => ({
        name,
        unit,
        attributes: Object.fromEntries(
          point.attributes.map(({ key, value }) => [key, value.stringValue]),
        ),
        value: Number(point.count ?? point.asInt ?? point.asDouble),
      })),
    );
