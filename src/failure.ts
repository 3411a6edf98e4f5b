/**
 * An expected refusal, such as missing credits or an unavailable database. Rules return a Failure and
 * never throw one; the functions that serve RPCs and read for them may throw it. Anything else that is
 * thrown is a bug. `rpc/call/status.ts` maps each reason to a gRPC status code.
 */

/** The reasons of the contract: `proto/billing/v1/error_reason.proto` describes each. */
export type Reason =
  | 'INVALID_FIELD'
  | 'UNKNOWN_OPERATION'
  | 'MISSING_QUANTITY'
  | 'QUANTITY_OUT_OF_RANGE'
  | 'REQUEST_ID_REUSED'
  | 'ACCOUNT_NOT_FOUND'
  | 'RESERVATION_NOT_FOUND'
  | 'PACK_NOT_FOUND'
  | 'PLAN_NOT_FOUND'
  | 'ENTRY_NOT_FOUND'
  | 'DELIVERY_NOT_FOUND'
  | 'GRANT_NOT_FOUND'
  | 'ACCOUNT_EXISTS'
  | 'PAYMENT_REFERENCE_USED'
  | 'INSUFFICIENT_CREDITS'
  | 'EXCEEDS_RESERVATION'
  | 'EXCEEDS_COMMIT'
  | 'GRANT_ENDED'
  | 'EXCEEDS_GRANT'
  | 'GRANT_RESERVED'
  | 'RESERVATION_COMMITTED'
  | 'RESERVATION_RELEASED'
  | 'RESERVATION_EXPIRED'
  | 'ACCOUNT_CLOSED'
  | 'ACCOUNT_SUSPENDED'
  | 'BUDGET_EXCEEDED'
  | 'BUDGET_NOT_FOUND'
  | 'RATE_CARD_VERSION_UNKNOWN'
  | 'OVERAGE_LIMIT_REACHED'
  | 'OVERAGE_RESERVED'
  | 'PAUSED_BELOW_FLOOR'
  | 'OVERLOADED'
  | 'DATABASE_UNAVAILABLE'
  | 'CLOCK_UNRELIABLE'
  | 'SHUTTING_DOWN'
  | 'PURCHASE_NOT_FOUND'
  | 'PACK_EXISTS'
  | 'PURCHASE_NOT_MISMATCHED'
  | 'ACCOUNT_NOT_CLOSED'
  | 'RESERVATION_ACTIVE'
  | 'PURCHASE_UNSETTLED'
  | 'CHECKOUT_NOT_CONFIGURED'
  | 'CHECKOUT_FAILED'
  | 'PAYMENT_PROVIDER_UNAVAILABLE'
  | 'REQUEST_EXPIRED'
  | 'BATCH_REFUSED'
  | 'CANCELLED'
  | 'INTERNAL'
  | 'MESSAGE_UNDECODABLE'
  | 'MESSAGE_TOO_LARGE'
  | 'METHOD_UNKNOWN'
  | 'COMPRESSION_UNSUPPORTED'
  | 'DEADLINE_EXCEEDED'
  | 'SERVICE_UNKNOWN'
  | 'POSITION_LOST'
  | 'CHARGE_NOT_FOUND'
  | 'INSTANT_OUT_OF_RANGE'
  | 'CALLER_UNKNOWN'
  | 'CALLER_NOT_ALLOWED'
  | 'CALLER_LIMIT_REACHED'
  | 'RATE_LIMITED'
  | 'MONTH_NOT_RUNNING'
  | 'LATE_USAGE_NOT_ALLOWED'
  | 'REQUEST_ARCHIVED'
  | 'ENTRY_ARCHIVED'
  | 'ARCHIVE_UNAVAILABLE';

/** One bad field of a request: `field` is its path, e.g. `usages.items[2].count`. */
export type Violation = {
  readonly field: string;
  readonly description: string;
  /** Where it is another than the failure's. */
  readonly reason?: Reason;
};

export class Failure {
  readonly reason: Reason;
  /** For people. Callers match on `reason` and read `metadata`, and never parse this. */
  readonly message: string;
  /** Every dynamic value of the message. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The bad fields of an INVALID_FIELD; empty for most other reasons. */
  readonly violations: readonly Violation[];

  constructor(
    reason: Reason,
    message: string,
    metadata: Readonly<Record<string, string | bigint | number>> = {},
    violations: readonly Violation[] = [],
  ) {
    this.reason = reason;
    this.message = message;
    this.metadata = Object.fromEntries(
      Object.entries(metadata).map(([key, value]) => [key, String(value)]),
    );
    this.violations = violations;
  }
}

/** A Failure that says how long to wait before a retry. Others wait as long as their reason says, if at all. */
export class RetryLater extends Failure {
  readonly retryAfterMs: number;

  constructor(
    reason: Reason,
    message: string,
    metadata: Readonly<Record<string, string | bigint | number>>,
    retryAfterMs: number,
  ) {
    super(reason, message, { ...metadata, retry_after_ms: retryAfterMs });
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error that callers get for a bug. Its cause is logged under the trace id, and never sent. */
export const internalFailure = (traceId: string): Failure =>
  new Failure('INTERNAL', `internal error; its cause is logged under trace ${traceId}`, {
    trace_id: traceId,
  });

/** Of the other mutations of an atomic Batch, where the one at `index`, counted from 0, was refused. */
export const batchRefused = (index: number, { reason }: Pick<Failure, 'reason'>): Failure =>
  new Failure(
    'BATCH_REFUSED',
    `the Batch is atomic, and its mutation ${index} was refused: ${reason}; nothing was written`,
    { index, refusal: reason },
  );

/** `queue` calls are in flight, and `limit` may be. */
export const overloaded = (queue: number, limit: number): Failure =>
  new Failure(
    'OVERLOADED',
    `the service is overloaded: ${queue} calls are in flight, and the limit is ${limit}; try again shortly`,
    { queue, limit },
  );
