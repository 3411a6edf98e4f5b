/** What is counted of units of work and of entries, from records as the service makes them. */
import { beforeEach, describe, expect, test } from 'vitest';
import { BoundedValues } from '../../src/telemetry/bounded-values.ts';
import { createInstruments } from '../../src/telemetry/instruments.ts';
import { startMetricExports } from '../../src/telemetry/metric-exports.ts';
import { UnitRecord } from '../../src/telemetry/unit-record.ts';
import { type CountedEntry, WorkMetrics } from '../../src/telemetry/work-metrics.ts';
import { parseMetrics, type Sample, sumOf } from './prometheus-text.ts';

let metrics: WorkMetrics;
let read: () => Promise<readonly Sample[]>;

beforeEach(() => {
  const exports = startMetricExports({}, true);
  metrics = new WorkMetrics(createInstruments(exports.meter));
  read = async () => parseMetrics((await exports.prometheus?.read()) ?? '');
});

type Unit = Partial<Pick<UnitRecord, 'accounts' | 'cached' | 'locked' | 'outcome'>>;

function unit(attempt: number, retryCause: string, fields: Unit): UnitRecord {
  return Object.assign(new UnitRecord(3, attempt, retryCause), fields);
}

describe('units of work', () => {
  test.each([
    ['stale cache', 'stale_cache'],
    ['40001', 'serialization'],
    ['40P01', 'deadlock'],
    ['55P03', 'lock_timeout'],
    ['23505', 'conflict'],
  ])('that run again after "%s" are retries by %s', async (retryCause, cause) => {
    metrics.unitEnded(unit(1, '', { outcome: 'lost race', accounts: 2 }));
    metrics.unitEnded(unit(2, retryCause, { outcome: 'committed', accounts: 2 }));
    const samples = await read();
    expect(sumOf(samples, 'scrip_unit_retries_total')).toBe(1);
    expect(sumOf(samples, 'scrip_unit_retries_total', { scrip_retry_cause: cause })).toBe(1);
    // Only what has committed has a size.
    expect(sumOf(samples, 'scrip_unit_size_count')).toBe(1);
    expect(sumOf(samples, 'scrip_unit_size_sum')).toBe(3);
  });

  test('count their accounts as hits and misses of the cache, and a stale one', async () => {
    metrics.unitEnded(unit(1, '', { outcome: 'committed', accounts: 5, cached: 3 }));
    metrics.unitEnded(unit(2, 'stale cache', { outcome: 'committed', accounts: 2 }));
    metrics.unitEnded(unit(1, '', { outcome: 'failed', accounts: 7 }));
    const samples = await read();
    const cache = (result: string) =>
      sumOf(samples, 'scrip_cache_total', { scrip_cache_result: result });
    expect([cache('hit'), cache('miss'), cache('stale')]).toEqual([3, 4, 1]);
  });

  test('count accounts that another replica had locked', async () => {
    metrics.unitEnded(unit(1, '', { outcome: 'committed', accounts: 2, locked: 2 }));
    const labels = { scrip_retry_cause: 'locked_elsewhere' };
    expect(sumOf(await read(), 'scrip_unit_retries_total', labels)).toBe(2);
  });
});

describe('credits of an entry', () => {
  const usage = (operation: string, credits: bigint) => ({ usage: { operation }, credits });
  const entry = (credits: bigint, usages: CountedEntry['usages']): CountedEntry => ({
    kind: 'COMMIT',
    credits,
    planId: 'verts',
    usages,
  });

  test.each<[string, CountedEntry, Readonly<Record<string, number>>]>([
    ['without usages belong to no operation', entry(5n, []), { '': 5 }],
    ['of one usage belong to its operation', entry(5n, [usage('a', 5n)]), { a: 5 }],
    [
      'of several usages belong to each operation',
      entry(9n, [usage('a', 2n), usage('b', 3n), usage('a', 4n)]),
      { a: 6, b: 3 },
    ],
    [
      'of several that were not charged in full belong to none of them',
      entry(4n, [usage('a', 2n), usage('b', 3n)]),
      { _OTHER: 4 },
    ],
    [
      'of one operation that was not charged in full belong to it',
      entry(4n, [usage('a', 2n), usage('a', 3n)]),
      { a: 4 },
    ],
    ['are left out where there are none', entry(0n, [usage('a', 0n)]), {}],
  ])('%s', async (_, counted, expected) => {
    metrics.entriesCommitted([counted]);
    const samples = (await read()).filter(({ name }) => name === 'scrip_credits_total');
    const byOperation = samples.map(({ labels, value }) => [labels['scrip_operation'], value]);
    expect(Object.fromEntries(byOperation)).toEqual(expected);
  });
});

test('values beyond a bound are one value', () => {
  const values = new BoundedValues(2);
  expect(['a', 'b', 'c', 'a', '', 'd'].map((value) => values.of(value))).toEqual([
    'a',
    'b',
    '_OTHER',
    'a',
    '',
    '_OTHER',
  ]);
});

test('counters with listed attributes begin with 0', async () => {
  const samples = await read();
  expect(samples).toContainEqual({
    name: 'scrip_unit_retries_total',
    labels: { scrip_retry_cause: 'deadlock' },
    value: 0,
  });
  expect(samples.filter(({ name }) => name === 'scrip_refusals_total')).toEqual([]);
});
