/** What the page "live" shows: figures of this replica, from two readings of its metrics. Pure. */
import {
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import type { MetricName } from '../telemetry/metrics.ts';

/** The metrics as they were. */
export type Reading = {
  /** Monotonic, in milliseconds. */
  readonly at: number;
  readonly metrics: readonly MetricData[];
};

export type CallFigures = {
  readonly perSecond: number;
  readonly failedPerSecond: number;
  /** Null: no call has ended. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
};

/** Null stands for what is not known. Ages and times are in milliseconds. */
export type LiveFigures = {
  /** How long the time is that rates and latencies are of; 0: there is no earlier reading, and so there are none. */
  readonly windowMs: number;
  readonly calls: CallFigures;
  /** The busiest first. */
  readonly methods: readonly (CallFigures & { readonly method: string })[];
  /** The most frequent first; those that did not occur are left out. */
  readonly refusals: readonly {
    readonly reason: string;
    readonly count: number;
    readonly perSecond: number;
  }[];
  readonly queue: number | null;
  readonly pool: {
    readonly used: number | null;
    readonly idle: number | null;
    readonly max: number | null;
    readonly waiting: number | null;
  };
  readonly eventLoop: { readonly utilization: number | null; readonly delayP99Ms: number | null };
  readonly clockOffsetMs: number | null;
  readonly reservations: { readonly active: number | null; readonly oldestAgeMs: number | null };
  readonly sweepLagMs: number | null;
  readonly eventsAgeMs: number | null;
  readonly deliveries: { readonly pending: number | null; readonly dead: number | null };
  readonly pendingPurchases: number | null;
  readonly verify: {
    readonly disagreements: number | null;
    /** RFC 3339. */
    readonly lastSuccessAt: string | null;
  };
};

const CALLS = 'rpc.server.call.duration';

/** `older` null: there is no earlier reading. */
export function liveFigures(newer: Reading, older: Reading | null): LiveFigures {
  const windowMs = older ? newer.at - older.at : 0;
  const gauge = (name: MetricName, attributes?: Readonly<Record<string, string>>) =>
    gaugeOf(newer, name, attributes);
  const milliseconds = (name: MetricName) => scaled(gauge(name), 1_000);
  const verifiedAt = milliseconds('scrip.verify.last.success');
  const durations = durationsBetween(newer, older);
  return {
    windowMs,
    calls: callFigures(durations, windowMs),
    methods: methodsOf(durations, windowMs),
    refusals: refusalsBetween(newer, older, windowMs),
    queue: gauge('scrip.lane.queue'),
    pool: {
      used: gauge('db.client.connection.count', { 'db.client.connection.state': 'used' }),
      idle: gauge('db.client.connection.count', { 'db.client.connection.state': 'idle' }),
      max: gauge('db.client.connection.max'),
      waiting: gauge('db.client.connection.pending_requests'),
    },
    eventLoop: {
      utilization: gauge('nodejs.eventloop.utilization'),
      delayP99Ms: milliseconds('nodejs.eventloop.delay.p99'),
    },
    clockOffsetMs: milliseconds('scrip.clock.offset'),
    reservations: {
      active: gauge('scrip.reservations.active'),
      oldestAgeMs: milliseconds('scrip.reservations.oldest.age'),
    },
    sweepLagMs: milliseconds('scrip.sweep.lag'),
    eventsAgeMs: milliseconds('scrip.events.age'),
    deliveries: {
      pending: gauge('scrip.deliveries', { 'scrip.delivery.state': 'PENDING' }),
      dead: gauge('scrip.deliveries', { 'scrip.delivery.state': 'DEAD' }),
    },
    pendingPurchases: gauge('scrip.purchases.pending'),
    verify: {
      disagreements: gauge('scrip.verify.disagreements'),
      lastSuccessAt: verifiedAt === null ? null : new Date(verifiedAt).toISOString(),
    },
  };
}

const scaled = (value: number | null, factor: number): number | null =>
  value === null ? null : value * factor;

/** Calls of one method that ended with one status. */
type Durations = {
  readonly method: string;
  readonly status: string;
  readonly count: number;
  /** Upper bounds in seconds, and the calls up to each and beyond the last. */
  readonly boundaries: readonly number[];
  readonly counts: readonly number[];
};

function durationsBetween(newer: Reading, older: Reading | null): readonly Durations[] {
  if (older === null) return [];
  const before = new Map(histogramsOf(older, CALLS).map((point) => [keyOf(point), point.value]));
  return histogramsOf(newer, CALLS).map((point) => {
    const { attributes, value } = point;
    const earlier = before.get(keyOf(point));
    return {
      method: String(attributes['rpc.method']),
      status: String(attributes['rpc.status_code']),
      count: value.count - (earlier?.count ?? 0),
      boundaries: value.buckets.boundaries,
      counts: value.buckets.counts.map(
        (count, bucket) => count - (earlier?.buckets.counts[bucket] ?? 0),
      ),
    };
  });
}

function methodsOf(durations: readonly Durations[], windowMs: number) {
  const called = durations.filter(({ count }) => count > 0);
  return [...Map.groupBy(called, ({ method }) => method)]
    .map(([method, own]) => ({ method, ...callFigures(own, windowMs) }))
    .toSorted((a, b) => b.perSecond - a.perSecond);
}

function callFigures(durations: readonly Durations[], windowMs: number): CallFigures {
  const count = sum(durations.map((one) => one.count));
  const failed = durations.filter(({ status }) => status !== 'OK');
  return {
    perSecond: perSecond(count, windowMs),
    failedPerSecond: perSecond(sum(failed.map((one) => one.count)), windowMs),
    p50Ms: scaled(quantile(durations, 0.5), 1_000),
    p99Ms: scaled(quantile(durations, 0.99), 1_000),
  };
}

/**
 * As Prometheus' histogram_quantile has it: within a bucket calls are spread evenly. Beyond the last bound it is that
 * bound. Null: no call has ended.
 */
export function quantile(
  durations: readonly Pick<Durations, 'boundaries' | 'counts'>[],
  share: number,
): number | null {
  const [first] = durations;
  if (!first) return null;
  const counts = first.counts.map((_, bucket) =>
    sum(durations.map((one) => one.counts[bucket] ?? 0)),
  );
  const rank = share * sum(counts);
  if (rank === 0) return null;
  let below = 0;
  for (const [bucket, upper] of first.boundaries.entries()) {
    const count = counts[bucket] ?? 0;
    const lower = first.boundaries[bucket - 1] ?? 0;
    if (below + count >= rank) return lower + (upper - lower) * ((rank - below) / count);
    below += count;
  }
  return first.boundaries.at(-1) ?? null;
}

function refusalsBetween(newer: Reading, older: Reading | null, windowMs: number) {
  if (older === null) return [];
  const earlier = countsByReason(older);
  return [...countsByReason(newer)]
    .map(([reason, count]) => ({ reason, count: count - (earlier.get(reason) ?? 0) }))
    .filter(({ count }) => count > 0)
    .map((refusal) => ({ ...refusal, perSecond: perSecond(refusal.count, windowMs) }))
    .toSorted((a, b) => b.count - a.count);
}

function countsByReason(reading: Reading): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { attributes, value } of numbersOf(reading, 'scrip.refusals')) {
    const reason = String(attributes['scrip.reason']);
    counts.set(reason, (counts.get(reason) ?? 0) + value);
  }
  return counts;
}

/** The value of the point with these attributes. Null: there is none. */
function gaugeOf(
  reading: Reading,
  name: MetricName,
  wanted: Readonly<Record<string, string>> = {},
): number | null {
  const found = numbersOf(reading, name).find(({ attributes }) =>
    Object.entries(wanted).every(([key, value]) => attributes[key] === value),
  );
  return found ? found.value : null;
}

function numbersOf({ metrics }: Reading, name: MetricName): readonly DataPoint<number>[] {
  const metric = metrics.find(({ descriptor }) => descriptor.name === name);
  return metric?.dataPointType === DataPointType.GAUGE ||
    metric?.dataPointType === DataPointType.SUM
    ? metric.dataPoints
    : [];
}

function histogramsOf({ metrics }: Reading, name: MetricName): readonly DataPoint<Histogram>[] {
  const metric = metrics.find(({ descriptor }) => descriptor.name === name);
  return metric?.dataPointType === DataPointType.HISTOGRAM ? metric.dataPoints : [];
}

const keyOf = ({ attributes }: DataPoint<unknown>): string =>
  JSON.stringify(Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)));

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

const perSecond = (count: number, windowMs: number): number =>
  windowMs === 0 ? 0 : (count / windowMs) * 1_000;
