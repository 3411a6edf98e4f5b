/** Traces as a collector receives them, log lines of calls, and no attempt to export without a collector. */
import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Entry } from '../../src/gen/billing/v1/ledger.ts';
import { VERSION } from '../../src/telemetry/version.ts';
import {
  cutUntilEnded,
  lockAccount,
  waitForBlockedSessions,
  waitUntilReceived,
} from '../disruptions.ts';
import { Receiver } from '../events/receiver.ts';
import { createDatabase } from '../postgres.ts';
import { requestId } from '../service.ts';
import { attribute, Collector, ERROR, SERVER, type Span } from './collector.ts';
import { end, logOf, type Replica, SOON, startReplica } from './replica.ts';

const accountId = 'traced';

const traceparent = (traceId: string, spanId: string, flags = '01'): Metadata => {
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${traceId}-${spanId}-${flags}`);
  return metadata;
};

const newTraceId = () => randomBytes(16).toString('hex');

async function entriesOf(scrip: Replica): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for await (const message of scrip.billing.streamHistory({ accountId }))
    entries.push(...message.entries);
  return entries;
}

const open = (scrip: Replica, id = accountId, planId = 'perfectparser') =>
  scrip.accounts.openAccount({ accountId: id, requestId: requestId(), planId });

const linksTo = ({ links = [] }: Span, { spanId }: Pick<Span, 'spanId'>): boolean =>
  links.some((link) => link.spanId === spanId);

describe('with a collector', () => {
  let collector: Collector;
  let databaseUrl: string;
  let scrip: Replica;

  beforeAll(async () => {
    collector = await new Collector().start();
    databaseUrl = await createDatabase(inject('postgresUrl'));
    scrip = await startReplica({
      DATABASE_URL: databaseUrl,
      ...collector.env,
      LOG_LEVEL: 'debug',
      UNITS_MAX: '1',
      GROUP_MAX: '1000',
    });
    await open(scrip);
  });
  afterAll(async () => {
    await end(scrip);
    collector.stop();
  });

  /** The lines of calls in this trace. */
  const linesOf = (traceId: string) =>
    logOf(scrip.output.stdout).filter((line) => line['trace_id'] === traceId);

  test("a call is a span in its caller's trace, and says what it did and where its time went", async () => {
    const [traceId, parent] = [newTraceId(), 'b'.repeat(16)];
    const options = { metadata: traceparent(traceId, parent) };
    const id = requestId();
    await scrip.billing.charge({ accountId, requestId: id, credits: 2n }, options);
    const call = await collector.find(
      'billing.v1.BillingService/Charge',
      (span) => span.traceId === traceId,
    );
    expect(call).toMatchObject({ kind: SERVER, parentSpanId: parent });
    const entry = (await entriesOf(scrip)).at(-1);
    expect(entry).toMatchObject({ traceId, spanId: call.spanId });
    const expected = {
      'rpc.status_code': 'OK',
      'error.type': undefined,
      'network.peer.address': '127.0.0.1',
      'server.port': scrip.port,
      'scrip.caller': 'test',
      'scrip.account.id': accountId,
      'scrip.request.id': id,
      'scrip.plan.id': 'perfectparser',
      'scrip.credits': 2,
      'scrip.entry.seq': Number(entry?.seq),
      'scrip.lane.wait': expect.any(Number),
      'scrip.unit.lock_load': expect.any(Number),
    };
    for (const [name, value] of Object.entries(expected))
      expect([name, attribute(call, name)]).toEqual([name, value]);
    const [line] = linesOf(traceId);
    expect(line).toMatchObject({ msg: 'call', level: 20, span_id: call.spanId });
    for (const name of Object.keys(expected).filter((name) => name.startsWith('scrip.')))
      expect([name, line?.[name]]).toEqual([name, attribute(call, name)]);
    expect(line?.['scrip.duration']).toEqual(expect.any(Number));
  });

  test('the unit of work and its call link to each other, and its batches are its children', async () => {
    const traceId = newTraceId();
    const metadata = traceparent(traceId, 'b'.repeat(16));
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n }, { metadata });
    const call = await collector.find(
      'billing.v1.BillingService/Charge',
      (span) => span.traceId === traceId,
    );
    const unit = await collector.find('unit of work', (span) => linksTo(span, call));
    expect(unit.traceId).not.toBe(traceId);
    expect(linksTo(call, unit)).toBe(true);
    expect(attribute(unit, 'scrip.unit.outcome')).toBe('committed');
    const save = await collector.find(
      'save and commit',
      ({ parentSpanId }) => parentSpanId === unit.spanId,
    );
    expect(save.traceId).toBe(unit.traceId);
    expect(attribute(save, 'db.query.summary')).toMatch(/INSERT entries|insert entries/);
  });

  test('a Batch has one link to its unit of work, counts what was refused, and logs each refusal', async () => {
    const traceId = newTraceId();
    const metadata = traceparent(traceId, 'b'.repeat(16));
    const mutations = Array.from({ length: 200 }, (_, index) => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: index < 3 ? 10_000n : 0n },
      },
    }));
    await scrip.billing.batch({ mutations }, { metadata });
    const call = await collector.find(
      'billing.v1.BillingService/Batch',
      (span) => span.traceId === traceId,
    );
    expect(attribute(call, 'scrip.batch.mutations')).toBe(200);
    const refused = linesOf(traceId).filter(({ msg }) => msg === 'call refused');
    expect(attribute(call, 'scrip.batch.refused')).toBe(refused.length);
    expect(refused).toHaveLength(3);
    expect(refused[0]).toMatchObject({
      level: 30,
      'rpc.method': 'billing.v1.BillingService/Batch',
      'scrip.mutation': 'Charge',
      'scrip.reason': 'INSUFFICIENT_CREDITS',
      'scrip.credits': 10_000,
      'scrip.account.id': accountId,
    });
    const units = call.links ?? [];
    expect(new Set(units.map(({ spanId }) => spanId)).size).toBe(units.length);
    for (const { spanId } of units) {
      const unit = await collector.find('unit of work', (span) => span.spanId === spanId);
      expect(unit.links).toHaveLength(1);
      expect(attribute(unit, 'scrip.unit.calls')).toBe(1);
    }
  });

  test('a unit of work of many calls has at most 128 links, and says how many there are', async () => {
    const ids = Array.from({ length: 400 }, (_, index) => `many-${index}`);
    await Promise.all([...ids, 'held'].map((id) => open(scrip, id, 'verts')));
    const unlock = await lockAccount(databaseUrl, 'held');
    const closed = scrip.accounts.closeAccount({ accountId: 'held', requestId: requestId() });
    await waitForBlockedSessions(databaseUrl);
    const calls = ids.map((id) =>
      scrip.billing.charge({ accountId: id, requestId: requestId(), credits: 0n }),
    );
    await waitUntilReceived(scrip);
    await unlock();
    await Promise.all([closed, ...calls]);
    // A busy service may have read them in several parts.
    const unit = await collector.find(
      'unit of work',
      (span) => Number(attribute(span, 'scrip.unit.calls')) > 128,
    );
    expect(unit.links).toHaveLength(128);
    expect(unit.droppedLinksCount ?? 0).toBe(0);
  });

  test('a refusal is no error and has a line at info; a fault is one and has one, too', async () => {
    const [refusedIn, failedIn] = [newTraceId(), newTraceId()];
    const charge = (credits: bigint, traceId: string) =>
      scrip.billing
        .charge(
          { accountId, requestId: requestId(), credits },
          { metadata: traceparent(traceId, 'b'.repeat(16)) },
        )
        .catch(() => {});
    await charge(5_000n, refusedIn);
    const unlock = await lockAccount(databaseUrl, accountId);
    // Not enough credits: not decided on a cached account, so that it is locked.
    const failing = charge(5_000n, failedIn);
    await cutUntilEnded(databaseUrl, failing);
    await unlock();
    const name = 'billing.v1.BillingService/Charge';
    const refused = await collector.find(name, (span) => span.traceId === refusedIn);
    const failed = await collector.find(name, (span) => span.traceId === failedIn);
    expect(refused.status?.code ?? 0).toBe(0);
    expect(attribute(refused, 'error.type')).toBeUndefined();
    expect(attribute(refused, 'scrip.reason')).toBe('INSUFFICIENT_CREDITS');
    expect(failed.status?.code).toBe(ERROR);
    expect(attribute(failed, 'error.type')).toBe('DATABASE_UNAVAILABLE');
    // An attempt before it may have lost a race.
    const unit = await collector.find(
      'unit of work',
      (span) => linksTo(span, failed) && attribute(span, 'scrip.unit.outcome') === 'unavailable',
    );
    expect(unit.status?.code).toBe(ERROR);
    expect(linesOf(refusedIn)).toMatchObject([{ msg: 'call refused', level: 30 }]);
    expect(linesOf(failedIn)).toMatchObject([
      { msg: 'call failed', level: 30, 'scrip.credits': 5_000 },
    ]);
  });

  test('calls that are refused before they are decoded have a line, too', async () => {
    const traceId = newTraceId();
    const metadata = traceparent(traceId, 'b'.repeat(16));
    metadata.set('x-on-behalf-of', 'x'.repeat(129));
    await scrip.billing
      .charge({ accountId, requestId: requestId(), credits: 1n }, { metadata })
      .catch(() => {});
    await expect
      .poll(() => linesOf(traceId), SOON)
      .toMatchObject([
        {
          msg: 'call refused',
          'rpc.method': 'billing.v1.BillingService/Charge',
          'scrip.reason': 'INVALID_FIELD',
          'scrip.caller': 'test',
        },
      ]);
  });

  test('says which version of the service and of the conventions it is', async () => {
    await collector.find('unit of work');
    expect(collector.scopes).toEqual(
      new Set([`scrip ${VERSION} https://opentelemetry.io/schemas/1.45.0`]),
    );
    const [resource] = collector.resources;
    expect(attribute(resource ?? { attributes: [] }, 'service.name')).toBe('scrip');
    expect(attribute(resource ?? { attributes: [] }, 'service.version')).toBe(VERSION);
  });

  test('a clean stop exports what was not exported yet', async () => {
    const traceId = newTraceId();
    const metadata = traceparent(traceId, 'b'.repeat(16));
    await scrip.billing.getBalance({ accountId }, { metadata });
    expect((await scrip.signal('SIGTERM')).code).toBe(0);
    expect(collector.named('billing.v1.BillingService/GetBalance', traceId)).toHaveLength(1);
  });
});

describe('at a ratio of a fifth', () => {
  test('a unit of work is exported if a call of it is, and deliveries say what was exported', async () => {
    const collector = await new Collector().start();
    const receiver = await new Receiver().open();
    const scrip = await startReplica({
      DATABASE_URL: await createDatabase(inject('postgresUrl')),
      ...collector.env,
      ...receiver.env,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.2',
    });
    try {
      await open(scrip, accountId, 'verts');
      // Each is a unit of work of its own.
      for (let count = 0; count < 60; count++)
        await scrip.billing.charge({ accountId, requestId: requestId(), credits: 0n });
      for (const flags of ['00', '01']) {
        const traceId = newTraceId();
        const options = { metadata: traceparent(traceId, 'b'.repeat(16), flags) };
        await open(scrip, flags, 'verts');
        const charge = { accountId: flags, requestId: requestId(), credits: 5n };
        await scrip.billing.charge(charge, options).catch(() => {});
        const find = () => receiver.received.find(({ event }) => event.subject === flags);
        await expect.poll(find, SOON).toBeDefined();
        const ofFlags = new RegExp(`^00-${traceId}-[0-9a-f]{16}-${flags}$`);
        expect(find()?.event.traceparent).toMatch(ofFlags);
        expect(find()?.headers['traceparent']).toMatch(ofFlags);
      }
      expect((await scrip.signal('SIGTERM')).code).toBe(0);
      const calls = collector.named('billing.v1.BillingService/Charge');
      expect(calls.length).toBeGreaterThan(0);
      expect(calls.length).toBeLessThan(60);
      const units = collector.named('unit of work');
      for (const call of calls) {
        const unit = units.find((one) => linksTo(one, call));
        expect(unit && linksTo(call, unit)).toBe(true);
      }
      // No other unit of work of a charge is exported.
      const spanIds = new Set(collector.spans.map(({ spanId }) => spanId));
      for (const { links = [] } of units)
        expect(links.filter(({ spanId }) => spanIds.has(spanId)).length).toBeGreaterThan(0);
    } finally {
      await end(scrip);
      collector.stop();
      await receiver.close();
    }
  });
});

describe('a collector that takes no spans', () => {
  test('is one warning', async () => {
    const collector = await new Collector().start();
    collector.status = 400;
    const scrip = await startReplica({
      DATABASE_URL: await createDatabase(inject('postgresUrl')),
      ...collector.env,
    });
    try {
      const warnings = () =>
        logOf(scrip.output.stdout).filter(({ msg }) => String(msg).startsWith('telemetry'));
      await open(scrip);
      await expect.poll(warnings, SOON).toHaveLength(1);
      await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
      expect((await scrip.signal('SIGTERM')).code).toBe(0);
      expect(warnings()).toMatchObject([{ level: 40, telemetry: expect.any(String) }]);
    } finally {
      await end(scrip);
      collector.stop();
    }
  });
});

test('with OTEL_SDK_DISABLED nothing is exported, and entries have trace ids all the same', async () => {
  const collector = await new Collector().start();
  const scrip = await startReplica({
    DATABASE_URL: await createDatabase(inject('postgresUrl')),
    ...collector.env,
    OTEL_SDK_DISABLED: 'true',
  });
  try {
    const traceId = newTraceId();
    const metadata = traceparent(traceId, 'b'.repeat(16));
    await open(scrip);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n }, { metadata });
    const entry = (await entriesOf(scrip)).at(-1);
    expect(entry?.traceId).toBe(traceId);
    expect(entry?.spanId).toMatch(/^(?!b{16})[0-9a-f]{16}$/);
    expect((await scrip.signal('SIGTERM')).code).toBe(0);
    expect(collector.spans).toEqual([]);
  } finally {
    await end(scrip);
    collector.stop();
  }
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
