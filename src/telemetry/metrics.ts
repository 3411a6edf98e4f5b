/**
 * Every metric of the service: the one place that names them. Instruments are made from this table, and so is
 * the section "Metrics" of docs/telemetry.md. Names and units follow OpenTelemetry's semantic conventions where
 * these have the thing; all others begin with `scrip.`.
 *
 * No attribute holds an account, a caller or a request: their number has no bound.
 */

/** What an attribute's values are: these, or, where null, those that `meaning` says. */
export type MetricAttribute = {
  readonly meaning: string;
  readonly values: readonly string[] | null;
};

/** The name that stands for all values beyond a bound, as OpenTelemetry has it. */
export const OTHER = '_OTHER';

export const METRIC_ATTRIBUTES = {
  'rpc.method': {
    meaning: 'full name of an RPC of the contract, of health or of reflection; `_OTHER`: any other',
    values: null,
  },
  'rpc.status_code': { meaning: "name of gRPC's status code", values: null },
  'scrip.reason': { meaning: 'reason of the refusal ([errors](errors.md))', values: null },
  'scrip.plan.id': {
    meaning: 'plan of the account; empty: not known. `_OTHER`: all after the first 100',
    values: null,
  },
  'scrip.operation': {
    meaning:
      'operation of the rate card; empty: none. `_OTHER`: all after the first 500, and charges of several operations that were not charged in full',
    values: null,
  },
  'scrip.entry.kind': { meaning: 'kind of the entries ([entries](entries.md))', values: null },
  'scrip.unit.phase': {
    meaning: 'what the unit of work did',
    values: ['connect', 'lock_load', 'decide', 'save_commit'],
  },
  'scrip.retry.cause': {
    meaning: 'why a unit of work ran again, or a task of it was put off',
    values: [
      'stale_cache',
      'serialization',
      'deadlock',
      'lock_timeout',
      'conflict',
      'locked_elsewhere',
    ],
  },
  'scrip.cache.result': {
    meaning: 'what the account cache had; `stale`: another replica had written since',
    values: ['hit', 'miss', 'stale'],
  },
  'scrip.delivery.state': {
    meaning: 'state of the deliveries. DELIVERED ones are history, and not counted',
    values: ['PENDING', 'DEAD'],
  },
  'scrip.cell': {
    meaning: 'name of the [cell](cells.md); missing where there is one',
    values: null,
  },
  'http.request.method': { meaning: 'such as `POST`', values: null },
  'url.template': { meaning: "path of the payment provider's API, without ids", values: null },
  'scrip.outcome': {
    meaning: '`unavailable`: no answer, an error of the provider, or too many calls',
    values: ['ok', 'refused', 'unavailable'],
  },
  'scrip.telemetry.item': {
    meaning:
      '`exports`: attempts to send a batch of spans or metrics that failed, and other errors',
    values: ['spans', 'exports'],
  },
  'db.client.connection.state': {
    meaning: 'whether a piece of work holds the connection',
    values: ['idle', 'used'],
  },
} as const satisfies Readonly<Record<string, MetricAttribute>>;

export type AttributeName = keyof typeof METRIC_ATTRIBUTES;

export type Metric = {
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** Of a counter: it is read when metrics are collected, as gauges are. */
  readonly isObserved?: true;
  /** In UCUM, as OpenTelemetry has it. */
  readonly unit: string;
  readonly attributes: readonly AttributeName[];
  /** Upper bounds of the buckets of a histogram. */
  readonly buckets?: readonly number[];
  readonly meaning: string;
};

/** 0.5 ms to 5 s. */
const CALL_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
] as const;
const PROVIDER_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20] as const;
const UNIT_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;

/** As many rows are counted at most for a gauge: it shows no more. */
export const COUNTED_MAX = 10_000;

export const METRICS = {
  'rpc.server.call.duration': {
    kind: 'histogram',
    unit: 's',
    attributes: ['rpc.method', 'rpc.status_code'],
    buckets: CALL_SECONDS,
    meaning:
      'Calls that have ended, from their metadata to their answer; of streams, to their end. Calls that are refused before they are decoded took no time.',
  },
  'scrip.refusals': {
    kind: 'counter',
    unit: '{refusal}',
    attributes: ['rpc.method', 'scrip.reason', 'scrip.plan.id'],
    meaning: 'Calls, and mutations of a Batch, that were answered with an error, faults included.',
  },
  'scrip.lane.wait': {
    kind: 'histogram',
    unit: 's',
    attributes: [],
    buckets: CALL_SECONDS,
    meaning:
      'How long mutations waited in the queue of their lane for the unit of work that answered them.',
  },
  'scrip.lane.queue': {
    kind: 'gauge',
    unit: '{task}',
    attributes: [],
    meaning: 'Tasks that wait in the queues of all lanes.',
  },
  'scrip.unit.duration': {
    kind: 'histogram',
    unit: 's',
    attributes: ['scrip.unit.phase'],
    buckets: CALL_SECONDS,
    meaning: 'Phases of units of work that committed.',
  },
  'scrip.unit.size': {
    kind: 'histogram',
    unit: '{task}',
    attributes: [],
    buckets: UNIT_SIZES,
    meaning: 'Tasks of a unit of work that committed.',
  },
  'scrip.unit.retries': {
    kind: 'counter',
    unit: '{retry}',
    attributes: ['scrip.retry.cause'],
    meaning: 'Units of work that ran again as a whole; `locked_elsewhere` counts tasks.',
  },
  'scrip.cache': {
    kind: 'counter',
    unit: '{account}',
    attributes: ['scrip.cache.result'],
    meaning: 'Accounts of units of work, by whether the account cache had them.',
  },
  'scrip.replays': {
    kind: 'counter',
    unit: '{mutation}',
    attributes: ['rpc.method'],
    meaning: 'Mutations whose request id was used before, answered with the first response.',
  },
  'scrip.shadow.decisions': {
    kind: 'counter',
    unit: '{decision}',
    attributes: ['scrip.reason'],
    meaning:
      'Decisions in shadow mode, by the reason for which they would have been refused; empty: they would have been allowed.',
  },
  'scrip.credits': {
    kind: 'counter',
    unit: '{credit}',
    attributes: ['scrip.entry.kind', 'scrip.plan.id', 'scrip.operation'],
    meaning: 'Credits of the entries that this replica wrote.',
  },
  'scrip.reservations.active': {
    kind: 'gauge',
    unit: '{reservation}',
    attributes: ['scrip.cell'],
    meaning: 'Reservations that run, or have expired on an account that was not settled since.',
  },
  'scrip.reservations.oldest.age': {
    kind: 'gauge',
    unit: 's',
    attributes: ['scrip.cell'],
    meaning: 'Age of the oldest of them; 0: there is none.',
  },
  'scrip.sweep.lag': {
    kind: 'gauge',
    unit: 's',
    attributes: ['scrip.cell'],
    meaning: 'For how long the account that is due longest has been due; 0: none is.',
  },
  'scrip.events.age': {
    kind: 'gauge',
    unit: 's',
    attributes: ['scrip.cell'],
    meaning: 'Age of the oldest of the events that have no position yet; 0: all have one.',
  },
  'scrip.deliveries': {
    kind: 'gauge',
    unit: '{delivery}',
    attributes: ['scrip.cell', 'scrip.delivery.state'],
    meaning: 'Deliveries of events that are pending or dead.',
  },
  'scrip.purchases.pending': {
    kind: 'gauge',
    unit: '{purchase}',
    attributes: ['scrip.cell'],
    meaning: 'Purchases that are not paid yet.',
  },
  'scrip.provider.duration': {
    kind: 'histogram',
    unit: 's',
    attributes: ['http.request.method', 'url.template', 'scrip.outcome'],
    buckets: PROVIDER_SECONDS,
    meaning: "Requests to the payment provider's API. A call that is tried again makes several.",
  },
  'scrip.verify.disagreements': {
    kind: 'gauge',
    unit: '{discrepancy}',
    attributes: ['scrip.cell'],
    meaning:
      'What the newest audit of the whole ledger found (`npm run verify`). Without `--all` an audit ends after the first accounts that disagree.',
  },
  'scrip.verify.last.success': {
    kind: 'gauge',
    unit: 's',
    attributes: ['scrip.cell'],
    meaning:
      'When an audit of the whole ledger last found nothing, in Unix time. Missing before the first.',
  },
  'scrip.archive.entries': {
    kind: 'gauge',
    unit: '{entry}',
    attributes: ['scrip.cell'],
    meaning: 'Entries in files of the archive.',
  },
  'scrip.archive.size': {
    kind: 'gauge',
    unit: 'By',
    attributes: ['scrip.cell'],
    meaning: 'Size of these files.',
  },
  'scrip.archive.unfinished': {
    kind: 'gauge',
    unit: '{file}',
    attributes: ['scrip.cell'],
    meaning:
      'Files whose entries have not all left the database: `scrip archive` works on them, or has ended before it was done.',
  },
  'scrip.archive.last.finished': {
    kind: 'gauge',
    unit: 's',
    attributes: ['scrip.cell'],
    meaning:
      'When the entries of a file had last left the database, in Unix time. Missing before the first.',
  },
  'scrip.archive.month.age': {
    kind: 'gauge',
    unit: 's',
    attributes: ['scrip.cell'],
    meaning:
      'Time since the end of the newest month that is archived: above your retention by more than a month, a run is missing. Missing before the first.',
  },
  'scrip.clock.offset': {
    kind: 'gauge',
    unit: 's',
    attributes: [],
    meaning: "How far the host's clock is ahead of the database's.",
  },
  'db.client.connection.count': {
    kind: 'gauge',
    unit: '{connection}',
    attributes: ['db.client.connection.state'],
    meaning: 'Connections of the pool.',
  },
  'db.client.connection.max': {
    kind: 'gauge',
    unit: '{connection}',
    attributes: [],
    meaning: 'Connections that the pool may have (`DATABASE_POOL_MAX`).',
  },
  'db.client.connection.pending_requests': {
    kind: 'gauge',
    unit: '{request}',
    attributes: [],
    meaning: 'Pieces of work that wait for a connection.',
  },
  'nodejs.eventloop.utilization': {
    kind: 'gauge',
    unit: '1',
    attributes: [],
    meaning: 'Share of the time in which the event loop was busy, over the last 5 s or more.',
  },
  'nodejs.eventloop.delay.p99': {
    kind: 'gauge',
    unit: 's',
    attributes: [],
    meaning: '99th percentile of how late the event loop was, over the last 5 s or more.',
  },
  'scrip.telemetry.dropped': {
    kind: 'counter',
    unit: '{item}',
    attributes: ['scrip.telemetry.item'],
    isObserved: true,
    meaning: 'Spans that were dropped because too many waited, and exports that failed.',
  },
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof METRICS;

type ValuesOf<Name extends AttributeName> =
  (typeof METRIC_ATTRIBUTES)[Name]['values'] extends readonly (infer Value)[] ? Value : string;

/** The attributes that a metric is recorded with: all of them, with allowed values. */
export type AttributesOf<Name extends MetricName> = {
  readonly [Attribute in Exclude<NamesOf<Name>, 'scrip.cell'>]: ValuesOf<Attribute>;
} & {
  // An installation of one cell does not name it.
  readonly [Attribute in Extract<NamesOf<Name>, 'scrip.cell'>]?: string;
};

type NamesOf<Name extends MetricName> = (typeof METRICS)[Name]['attributes'][number];
