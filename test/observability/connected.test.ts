/** What a service sends through a real collector is connected: from any span of a charge one gets to all of them. */
import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { createDatabase } from '../postgres.ts';
import type { Span } from '../process/collector.ts';
import { end, type Replica, startReplica } from '../process/replica.ts';
import { requestId } from '../service.ts';
import { buildCollector, canBuild, startCollector } from './real-collector.ts';

const CALLS = 100;
const accountId = 'connected';
const CHARGE = 'billing.v1.BillingService/Charge';
const BATCH = 'billing.v1.BillingService/Batch';

/** The metadata of a caller with a trace of its own. */
function traced(isSampled: boolean): Metadata {
  const [trace, span] = [randomBytes(16), randomBytes(8)].map((bytes) => bytes.toString('hex'));
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${trace}-${span}-${isSampled ? '01' : '00'}`);
  return metadata;
}

const charge = () => ({ accountId, requestId: requestId(), credits: 0n });
const batchOf = (size: number) => ({
  mutations: Array.from({ length: size }, () => ({
    mutation: { $case: 'charge' as const, value: charge() },
  })),
});

/** Many calls at once, so that units of work carry several of them, and a Batch of more than one unit carries. */
async function makeCalls(scrip: Replica, metadata: () => Metadata | undefined) {
  const options = () => {
    const given = metadata();
    return given ? { metadata: given } : {};
  };
  await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'perfectparser' });
  await Promise.all(Array.from({ length: CALLS }, () => scrip.billing.charge(charge(), options())));
  for (let index = 0; index < CALLS / 10; index++)
    await scrip.billing.batch(batchOf(200), options());
}

/** Ids of the spans that one gets to from this one, by parents, children and links in both directions. */
function reachableFrom(start: Span, spans: readonly Span[]): ReadonlySet<string> {
  const neighbours = new Map<string, Set<string>>();
  const connect = (a: string, b: string) => {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const)
      neighbours.set(one, (neighbours.get(one) ?? new Set()).add(other));
  };
  for (const { spanId, parentSpanId, links = [] } of spans) {
    if (parentSpanId) connect(spanId, parentSpanId);
    for (const link of links) connect(spanId, link.spanId);
  }
  const reached = new Set([start.spanId]);
  for (const id of reached) for (const next of neighbours.get(id) ?? []) reached.add(next);
  return reached;
}

/** A call leads to the unit of work that wrote it, and to the SQL of that. Accounts of the cache are not loaded. */
function expectConnected(call: Span, spans: readonly Span[]) {
  const reached = reachableFrom(call, spans);
  const names = spans.filter(({ spanId }) => reached.has(spanId)).map(({ name }) => name);
  for (const name of ['unit of work', 'save and commit'])
    expect(names, `${call.name} ${call.traceId}`).toContain(name);
}

/** No unit of work and no SQL is there without a call, or a sweep, that caused it. */
function expectNoOrphans(spans: readonly Span[]) {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  for (const { name, parentSpanId } of spans)
    if (name !== CHARGE && name !== BATCH && parentSpanId)
      expect(ids.has(parentSpanId), `the parent of ${name}`).toBe(true);
  for (const unit of spans.filter(({ name }) => name === 'unit of work'))
    expect(unit.links?.some(({ spanId }) => ids.has(spanId))).toBe(true);
}

describe.runIf(canBuild)('with a real collector', () => {
  beforeAll(buildCollector);

  /** What the collector has of a service that was called and has stopped. */
  async function spansOf(
    env: Readonly<Record<string, string>>,
    metadata: () => Metadata | undefined,
  ): Promise<readonly Span[]> {
    const collector = await startCollector(100);
    const scrip = await startReplica({
      DATABASE_URL: await createDatabase(inject('postgresUrl')),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_BSP_MAX_QUEUE_SIZE: '100000',
      ...env,
    });
    try {
      await makeCalls(scrip, metadata);
      // It sends what it has before it ends.
      expect(await scrip.signal('SIGTERM')).toMatchObject({ code: 0 });
    } finally {
      await end(scrip);
    }
    return await collector.stop();
  }

  const callsIn = (spans: readonly Span[]) => ({
    charges: spans.filter(({ name }) => name === CHARGE),
    batches: spans.filter(({ name }) => name === BATCH),
  });

  test('all calls are there, and lead to what they caused', async () => {
    const spans = await spansOf({}, () => traced(true));
    const { charges, batches } = callsIn(spans);
    expect(charges).toHaveLength(CALLS);
    expect(batches).toHaveLength(CALLS / 10);
    for (const call of [...charges, ...batches]) expectConnected(call, spans);
    expectNoOrphans(spans);
  });

  test('so do the calls of a sample of 20 %', async () => {
    const sampler = {
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.2',
    };
    const spans = await spansOf(sampler, () => undefined);
    const { charges, batches } = callsIn(spans);
    expect(charges.length).toBeGreaterThan(0);
    expect(charges.length).toBeLessThan(CALLS);
    for (const call of [...charges, ...batches]) expectConnected(call, spans);
    expectNoOrphans(spans);
  });

  test('of callers that sample one call in five, these', async () => {
    let index = 0;
    const spans = await spansOf({}, () => traced(index++ % 5 === 0));
    const { charges, batches } = callsIn(spans);
    expect(charges).toHaveLength(CALLS / 5);
    expect(batches).toHaveLength(CALLS / 50);
    for (const call of [...charges, ...batches]) expectConnected(call, spans);
    expectNoOrphans(spans);
  });
});
