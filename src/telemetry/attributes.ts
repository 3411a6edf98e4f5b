/**
 * The names of everything that spans and log lines of calls say: one table, from which the types and docs/telemetry.md
 * are made. Names without `scrip.` or `stripe.` are those of OpenTelemetry's semantic conventions, of the version in
 * `SCHEMA_URL`.
 */

/** The version of the semantic conventions that the names follow. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0';

type Values = {
  readonly string: string;
  /** Whole; in JavaScript exact up to 2^53. */
  readonly int: number;
  readonly double: number;
  readonly boolean: boolean;
};

type Definition = {
  readonly type: keyof Values;
  readonly meaning: string;
  /** Only log lines have it. */
  readonly isOfLogs?: true;
};

export const ATTRIBUTES = {
  'rpc.system.name': { type: 'string', meaning: '`grpc`' },
  'rpc.method': {
    type: 'string',
    meaning: 'such as `billing.v1.BillingService/Reserve`; `_OTHER` where there is no such method',
  },
  'rpc.method_original': {
    type: 'string',
    meaning: 'what the caller asked for, where there is no such method',
  },
  'rpc.status_code': { type: 'string', meaning: 'such as `OK` or `FAILED_PRECONDITION`' },
  'error.type': {
    type: 'string',
    meaning: 'on faults of the service or of what it calls only: what failed',
  },
  'server.address': { type: 'string', meaning: 'address that the call came to or went to' },
  'server.port': { type: 'int', meaning: 'its port' },
  'network.peer.address': { type: 'string', meaning: 'address of the caller' },
  'network.peer.port': { type: 'int', meaning: 'its port' },
  'http.request.method': { type: 'string', meaning: 'such as `POST`' },
  'http.response.status_code': { type: 'int', meaning: 'such as `200`' },
  'http.route': { type: 'string', meaning: 'path that the service serves' },
  'url.template': { type: 'string', meaning: 'path of Stripe without ids' },
  'db.system.name': { type: 'string', meaning: '`postgresql`' },
  'db.namespace': { type: 'string', meaning: 'name of the database' },
  'db.query.summary': {
    type: 'string',
    meaning: 'verbs and tables of the SQL statements, without values',
  },
  'db.operation.batch.size': { type: 'int', meaning: 'SQL statements that were sent together' },
  'db.response.status_code': { type: 'string', meaning: 'SQLSTATE of the error' },

  'scrip.caller': { type: 'string', meaning: 'name of the authenticated caller' },
  'scrip.on_behalf_of': { type: 'string', meaning: 'in whose place the caller acts' },
  'scrip.account.id': { type: 'string', meaning: 'account' },
  'scrip.request.id': { type: 'string', meaning: 'request id of the mutation' },
  'scrip.reservation.id': { type: 'string', meaning: 'reservation that was made or is named' },
  'scrip.purchase.id': { type: 'string', meaning: 'purchase' },
  'scrip.plan.id': { type: 'string', meaning: 'plan whose terms applied' },
  'scrip.operation': { type: 'string', meaning: 'first operation that was priced' },
  'scrip.credits': {
    type: 'int',
    meaning: 'credits of the entry: reserved, committed, released, charged, granted or refunded',
  },
  'scrip.entry.seq': { type: 'int', meaning: 'number of the entry in the history of the account' },
  'scrip.reason': { type: 'string', meaning: 'reason of the refusal or fault' },
  'scrip.replayed': {
    type: 'boolean',
    meaning: 'true: the first response again, to a request id that was used before',
  },
  'scrip.batch.mutations': { type: 'int', meaning: 'mutations of a Batch' },
  'scrip.batch.refused': { type: 'int', meaning: 'mutations of a Batch that were refused' },
  'scrip.deferrals': {
    type: 'int',
    meaning: 'how often the call went back to the queue: another replica had locked its account',
  },
  'scrip.lane.wait': { type: 'double', meaning: 'seconds in the queue of the lane' },
  'scrip.unit.connect': {
    type: 'double',
    meaning: 'seconds in which units of work of the call waited for a database connection',
  },
  'scrip.unit.lock_load': {
    type: 'double',
    meaning: 'seconds in which they locked and read accounts',
  },
  'scrip.unit.decide': { type: 'double', meaning: 'seconds in which they decided' },
  'scrip.unit.save_commit': {
    type: 'double',
    meaning: 'seconds in which they wrote and committed',
  },
  'scrip.unit.tasks': { type: 'int', meaning: 'tasks of the unit of work: its group size' },
  'scrip.unit.calls': {
    type: 'int',
    meaning: 'distinct spans that caused its tasks, also those beyond the 128 links',
  },
  'scrip.unit.accounts': { type: 'int', meaning: 'accounts of its tasks' },
  'scrip.unit.cached': { type: 'int', meaning: 'accounts that came from the account cache' },
  'scrip.unit.locked': { type: 'int', meaning: 'accounts that another replica had locked' },
  'scrip.unit.attempt': { type: 'int', meaning: '1, or more where it lost a race and ran again' },
  'scrip.unit.retry_cause': {
    type: 'string',
    meaning: 'why the attempt before failed: `stale cache` or an SQLSTATE',
  },
  'scrip.unit.outcome': {
    type: 'string',
    meaning: '`committed`, `lost race`, `unavailable` or `failed`',
  },
  'scrip.accounts.due': { type: 'int', meaning: 'accounts that were found due' },
  'scrip.accounts.done': { type: 'int', meaning: 'accounts of these that were done' },
  'scrip.event.id': { type: 'string', meaning: 'event' },
  'scrip.event.type': { type: 'string', meaning: 'such as `balance.low`' },
  'scrip.delivery.attempt': { type: 'int', meaning: 'number of the attempt, from 1' },
  'scrip.outcome': { type: 'string', meaning: 'what came of it' },
  'stripe.event.id': { type: 'string', meaning: 'id of the event at Stripe' },
  'stripe.event.type': { type: 'string', meaning: 'such as `checkout.session.completed`' },
  'stripe.request_id': { type: 'string', meaning: 'id of the call at Stripe: its log has it' },

  'scrip.mutation': {
    type: 'string',
    meaning: 'of a mutation of a Batch: its kind, such as `Charge`',
    isOfLogs: true,
  },
  'scrip.duration': { type: 'double', meaning: 'seconds that the call took', isOfLogs: true },
  'scrip.left_out': {
    type: 'int',
    meaning: 'lines of the same reason that were left out since the last one',
    isOfLogs: true,
  },
} as const satisfies Readonly<Record<string, Definition>>;

export type AttributeName = keyof typeof ATTRIBUTES;

/** What is not known is left out: undefined. */
export type Attributes<Name extends AttributeName = AttributeName> = {
  [One in Name]?: Values[(typeof ATTRIBUTES)[One]['type']] | undefined;
};
