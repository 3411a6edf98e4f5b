/** Gauges show what was read lately, and nothing that may be wrong. */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { EventLoop } from '../../src/admin/event-loop.ts';
import { LedgerGauges } from '../../src/admin/ledger-gauges.ts';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { entities } from '../../src/store/tables/index.ts';
import { createInstruments } from '../../src/telemetry/instruments.ts';
import { startMetricExports } from '../../src/telemetry/metric-exports.ts';
import { createDatabase } from '../postgres.ts';
import { parseMetrics, sumOf } from '../telemetry/prometheus-text.ts';

/** Nothing is read by itself. */
const INTERVAL_MS = 3_600_000;

let orm: Orm;
beforeAll(async () => {
  orm = await connect(await createDatabase(inject('postgresUrl')), entities, 2, 10_000);
});
afterAll(() => orm.close());

function startGauges() {
  const exports = startMetricExports({}, true);
  const state = { monotonic: 0, now: Date.now(), isReliable: true };
  const gauges = new LedgerGauges({
    cell: null,
    em: () => orm.em.fork(),
    clock: {
      now: () => state.now,
      get isReliable() {
        return state.isReliable;
      },
    },
    monotonic: () => state.monotonic,
    log: pino({ level: 'silent' }),
    intervalMs: INTERVAL_MS,
    instruments: createInstruments(exports.meter),
  });
  const namesOf = async () => {
    const samples = parseMetrics((await exports.prometheus?.read()) ?? '');
    return new Set(samples.map(({ name }) => name));
  };
  const figureOf = async (name: string) =>
    sumOf(parseMetrics((await exports.prometheus?.read()) ?? ''), name);
  return { gauges, state, namesOf, figureOf };
}

test('what could not be read for three intervals is missing', async () => {
  const { gauges, state, namesOf } = startGauges();
  await gauges.read();
  expect(await namesOf()).toContain('scrip_reservations_active');
  state.monotonic = 3 * INTERVAL_MS;
  expect(await namesOf()).toContain('scrip_reservations_active');
  state.monotonic += 1;
  expect(await namesOf()).not.toContain('scrip_reservations_active');
  await gauges.read();
  expect(await namesOf()).toContain('scrip_reservations_active');
  await gauges.stop(0);
});

test('ages grow between two readings, and are missing while no time can be trusted', async () => {
  const { gauges, state, namesOf, figureOf } = startGauges();
  await orm.em.fork().execute(
    `insert into events (account_id, event_id, seq, type, at, data, trace_id, span_id, sampled, data_hash, hash)
     values ('a', gen_random_uuid(), 1, 'x', to_timestamp(${state.now / 1_000}), '{}', '', '', false, '', '')`,
  );
  await gauges.read();
  expect(await figureOf('scrip_events_age_seconds')).toBe(0);
  state.now += 90_000;
  expect(await figureOf('scrip_events_age_seconds')).toBe(90);
  state.isReliable = false;
  expect(await namesOf()).not.toContain('scrip_events_age_seconds');
  expect(await namesOf()).toContain('scrip_reservations_active');
  await gauges.stop(0);
});

test('readers of one window see the same figures of the event loop', () => {
  let now = 0;
  const eventLoop = new EventLoop(() => now);
  const first = eventLoop.read();
  expect(first.utilization).toBeGreaterThanOrEqual(0);
  expect(first.utilization).toBeLessThanOrEqual(1);
  now = 4_999;
  expect(eventLoop.read()).toBe(first);
  now = 5_000;
  const second = eventLoop.read();
  expect(second).not.toBe(first);
  expect(second.delayP99Seconds).toBeGreaterThanOrEqual(0);
  eventLoop.stop();
});
