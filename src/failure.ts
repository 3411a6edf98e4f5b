/**
 * What can go wrong in ordinary operation, as values. Pure rules return a Failure, they never
 * throw one; an edge that cannot return (a stream, a loader) may throw it. Nothing here knows gRPC:
 * `rpc/call/status.ts` holds the one table from reason to status code.
 *
 * Every dynamic part of a message also stands in `metadata`, so a caller programs against
 * `reason` and `metadata` and never parses `message`.
 */
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
  | 'ACCOUNT_EXISTS'
  | 'PAYMENT_REFERENCE_USED'
  | 'INSUFFICIENT_CREDITS'
  | 'EXCEEDS_RESERVATION'
  | 'EXCEEDS_COMMIT'
  | 'RESERVATION_COMMITTED'
  | 'RESERVATION_RELEASED'
  | 'RESERVATION_EXPIRED'
  | 'ACCOUNT_CLOSED'
  | 'RATE_CARD_VERSION_UNKNOWN'
  | 'OVERAGE_LIMIT_REACHED'
  | 'OVERAGE_RESERVED'
  | 'PAUSED_BELOW_FLOOR'
  | 'OVERLOADED'
  | 'DATABASE_UNAVAILABLE'
  | 'SHUTTING_DOWN'
  | 'PURCHASE_NOT_FOUND'
  | 'PACK_EXISTS'
  | 'CHECKOUT_NOT_CONFIGURED'
  | 'CHECKOUT_FAILED'
  | 'PAYMENT_PROVIDER_UNAVAILABLE'
  | 'CANCELLED'
  | 'INTERNAL';

/** One bad field of a request: `field` is its path, e.g. `usages[2].count`. */
export type Violation = { readonly field: string; readonly description: string };

export class Failure {
  readonly reason: Reason;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
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

/** A bug: its cause is logged under the trace id, never sent. */
export const internalFailure = (traceId: string): Failure =>
  new Failure('INTERNAL', `internal error; its cause is logged under trace ${traceId}`, {
    trace_id: traceId,
  });
