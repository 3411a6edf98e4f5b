/** Rates, latencies and gauges, from two readings of metrics. */
import { AggregationTemporality, MeterProvider } from '@opentelemetry/sdk-metrics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { liveFigures, quantile, type Reading } from '../../src/console/live-figures.ts';
import { createInstruments } from '../../src/telemetry/instruments.ts';
import { PrometheusReader } from '../../src/telemetry/prometheus-reader.ts';

/** Real instruments, and the readings of a real reader. */
function given() {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  const instruments = createInstruments(provider.getMeter('test'));
  const calls = (method: string, status: string, ...seconds: readonly number[]) => {
    for (const duration of seconds)
      instruments['rpc.server.call.duration'].record(duration, {
        'rpc.method': method,
        'rpc.status_code': status,
      });
  };
  const refuse = (reason: string, count: number, plan = '') =>
    instruments['scrip.refusals'].add(count, {
      'rpc.method': 'Charge',
      'scrip.reason': reason,
      'scrip.plan.id': plan,
    });
  const read = async (at: number): Promise<Reading> => ({
    at,
    metrics: await reader.readMetrics(),
  });
  return { instruments, calls, refuse, read };
}

test('metrics are read as sums since the start', async () => {
  const { calls, read } = given();
  calls('Charge', 'OK', 0.01);
  await read(0);
  calls('Charge', 'OK', 0.01);
  const { metrics } = await read(1);
  const durations = metrics.find(({ descriptor }) => descriptor.name.startsWith('rpc.server'));
  expect(durations?.aggregationTemporality).toBe(AggregationTemporality.CUMULATIVE);
  expect(durations?.dataPoints[0]?.value).toMatchObject({ count: 2 });
});

test('of one reading there are gauges, and no rates', async () => {
  const { instruments, calls, refuse, read } = given();
  calls('Charge', 'OK', 0.01);
  refuse('OVERLOADED', 1);
  instruments['scrip.lane.queue'].observe((report) => report(7, {}));
  instruments['scrip.reservations.oldest.age'].observe((report) => report(90, {}));
  instruments['scrip.verify.last.success'].observe((report) => report(1_000, {}));
  instruments['db.client.connection.count'].observe((report) => {
    report(3, { 'db.client.connection.state': 'idle' });
    report(4, { 'db.client.connection.state': 'used' });
  });
  instruments['scrip.deliveries'].observe((report) => {
    report(5, { 'scrip.delivery.state': 'PENDING' });
    report(6, { 'scrip.delivery.state': 'DEAD' });
  });
  expect(liveFigures(await read(5), null)).toEqual({
    windowMs: 0,
    calls: { perSecond: 0, failedPerSecond: 0, p50Ms: null, p99Ms: null },
    methods: [],
    refusals: [],
    queue: 7,
    pool: { used: 4, idle: 3, max: null, waiting: null },
    eventLoop: { utilization: null, delayP99Ms: null },
    clockOffsetMs: null,
    reservations: { active: null, oldestAgeMs: 90_000 },
    sweepLagMs: null,
    eventsAgeMs: null,
    deliveries: { pending: 5, dead: 6 },
    pendingPurchases: null,
    verify: { disagreements: null, lastSuccessAt: '1970-01-01T00:16:40.000Z' },
  });
});

test('of two readings there are rates and latencies of what happened between them', async () => {
  const { calls, refuse, read } = given();
  calls('Charge', 'OK', 4, 4, 4);
  refuse('INSUFFICIENT_CREDITS', 9);
  const older = await read(10_000);
  calls('Charge', 'OK', 0.002, 0.002, 0.002);
  calls('Charge', 'FAILED_PRECONDITION', 0.002);
  calls('GetBalance', 'OK', ...Array.from({ length: 16 }, () => 0.0002));
  refuse('OVERLOADED', 2);
  refuse('RATE_LIMITED', 3, 'verts');
  refuse('RATE_LIMITED', 3, 'other');
  const figures = liveFigures(await read(12_000), older);
  expect(figures.windowMs).toBe(2_000);
  expect(figures.calls).toMatchObject({ perSecond: 10, failedPerSecond: 0.5 });
  expect(figures.methods.map(({ method, perSecond }) => [method, perSecond])).toEqual([
    ['GetBalance', 8],
    ['Charge', 2],
  ]);
  expect(figures.methods[0]).toMatchObject({ p50Ms: 0.25, failedPerSecond: 0 });
  // Between 1 and 2.5 ms.
  expect(figures.methods[1]?.p50Ms).toBeCloseTo(1.75);
  expect(figures.refusals).toEqual([
    { reason: 'RATE_LIMITED', count: 6, perSecond: 3 },
    { reason: 'OVERLOADED', count: 2, perSecond: 1 },
  ]);
});

describe('a quantile', () => {
  const boundaries = [1, 2, 4];
  test.each([
    ['nothing', [0, 0, 0, 0], 0.5, null],
    ['all in the first bucket', [10, 0, 0, 0], 0.5, 0.5],
    ['all in one bucket', [0, 0, 10, 0], 0.5, 3],
    ['at the edge of two', [5, 5, 0, 0], 0.5, 1],
    ['beyond the last bound', [0, 0, 0, 10], 0.99, 4],
    ['the last of many', [99, 0, 1, 0], 1, 4],
  ])('of %s', (_, counts, share, expected) => {
    expect(quantile([{ boundaries, counts }], share)).toBe(expected);
  });

  test('of no histogram is none', () => {
    expect(quantile([], 0.5)).toBeNull();
  });

  test('lies in the bucket of the value, and grows with its share', () => {
    const values = fc.array(fc.double({ min: 0.001, max: 4, noNaN: true }), { minLength: 1 });
    const share = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(values, share, share, (all, one, other) => {
        const counts = [0, 0, 0, 0];
        for (const value of all)
          counts[[...boundaries, Infinity].findIndex((bound) => value <= bound)] =
            (counts[[...boundaries, Infinity].findIndex((bound) => value <= bound)] ?? 0) + 1;
        const histogram = [{ boundaries, counts }];
        const sorted = all.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(one * all.length - 1e-9) - 1] ?? 0;
        const upper = boundaries.find((bound) => exact <= bound) ?? 4;
        const lower = boundaries[boundaries.indexOf(upper) - 1] ?? 0;
        const found = quantile(histogram, one) ?? Number.NaN;
        expect(found).toBeGreaterThanOrEqual(lower - 1e-9);
        expect(found).toBeLessThanOrEqual(upper + 1e-9);
        const [less, more] = [one, other].toSorted((a, b) => a - b) as [number, number];
        expect(quantile(histogram, less)).toBeLessThanOrEqual(quantile(histogram, more) ?? 0);
      }),
    );
  });
});
