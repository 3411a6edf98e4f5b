/**
 * Encodes a Failure as a gRPC status: its code, its message, and the google.rpc.Status details that
 * every error of the service carries.
 */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Failure, Reason } from '../../failure.ts';
import { BadRequest, ErrorInfo, RetryInfo } from '../../gen/google/rpc/error_details.ts';
import { Status } from '../../gen/google/rpc/status.ts';

const DOMAIN = 'billing.scrip';

const STATUS_CODES: Readonly<Record<Reason, status>> = {
  INVALID_FIELD: status.INVALID_ARGUMENT,
  UNKNOWN_OPERATION: status.INVALID_ARGUMENT,
  MISSING_QUANTITY: status.INVALID_ARGUMENT,
  QUANTITY_OUT_OF_RANGE: status.INVALID_ARGUMENT,
  REQUEST_ID_REUSED: status.INVALID_ARGUMENT,
  ACCOUNT_NOT_FOUND: status.NOT_FOUND,
  RESERVATION_NOT_FOUND: status.NOT_FOUND,
  PACK_NOT_FOUND: status.NOT_FOUND,
  PLAN_NOT_FOUND: status.NOT_FOUND,
  ENTRY_NOT_FOUND: status.NOT_FOUND,
  DELIVERY_NOT_FOUND: status.NOT_FOUND,
  ACCOUNT_EXISTS: status.ALREADY_EXISTS,
  PAYMENT_REFERENCE_USED: status.ALREADY_EXISTS,
  INSUFFICIENT_CREDITS: status.FAILED_PRECONDITION,
  EXCEEDS_RESERVATION: status.FAILED_PRECONDITION,
  EXCEEDS_COMMIT: status.FAILED_PRECONDITION,
  RESERVATION_COMMITTED: status.FAILED_PRECONDITION,
  RESERVATION_RELEASED: status.FAILED_PRECONDITION,
  RESERVATION_EXPIRED: status.FAILED_PRECONDITION,
  ACCOUNT_CLOSED: status.FAILED_PRECONDITION,
  RATE_CARD_VERSION_UNKNOWN: status.FAILED_PRECONDITION,
  OVERAGE_LIMIT_REACHED: status.FAILED_PRECONDITION,
  OVERAGE_RESERVED: status.FAILED_PRECONDITION,
  PAUSED_BELOW_FLOOR: status.FAILED_PRECONDITION,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  DATABASE_UNAVAILABLE: status.UNAVAILABLE,
  CLOCK_UNRELIABLE: status.UNAVAILABLE,
  SHUTTING_DOWN: status.UNAVAILABLE,
  PURCHASE_NOT_FOUND: status.NOT_FOUND,
  PACK_EXISTS: status.ALREADY_EXISTS,
  CHECKOUT_NOT_CONFIGURED: status.FAILED_PRECONDITION,
  CHECKOUT_FAILED: status.FAILED_PRECONDITION,
  PAYMENT_PROVIDER_UNAVAILABLE: status.UNAVAILABLE,
  CANCELLED: status.CANCELLED,
  INTERNAL: status.INTERNAL,
};

/** When a retry may help, for the reasons for which it may at all. */
const RETRY_AFTER_MS: Partial<Record<Reason, number>> = {
  OVERLOADED: 100,
  DATABASE_UNAVAILABLE: 500,
  CLOCK_UNRELIABLE: 1_000,
  SHUTTING_DOWN: 100,
  PAYMENT_PROVIDER_UNAVAILABLE: 500,
};

export const statusCodeOf = (reason: Reason): status => STATUS_CODES[reason];

/** The error that grpc-js sends for a failure. */
export function toServiceError(failure: Failure): ServiceError {
  const code = statusCodeOf(failure.reason);
  const metadata = new Metadata();
  const details = Status.encode({ code, message: failure.message, details: detailsOf(failure) });
  metadata.set('grpc-status-details-bin', Buffer.from(details.finish()));
  return Object.assign(new Error(failure.message), { code, details: failure.message, metadata });
}

/** Always an ErrorInfo; a BadRequest if fields are bad; a RetryInfo if a retry may help. */
function detailsOf({ reason, metadata, violations }: Failure) {
  const errorInfo = ErrorInfo.encode({ reason, domain: DOMAIN, metadata: { ...metadata } });
  const details = [packAny('ErrorInfo', errorInfo)];
  if (violations.length > 0) {
    const fieldViolations = violations.map((violation) => ({ ...violation, reason }));
    details.push(
      packAny('BadRequest', BadRequest.encode(BadRequest.fromPartial({ fieldViolations }))),
    );
  }
  const retryAfterMs = RETRY_AFTER_MS[reason];
  if (retryAfterMs !== undefined) {
    const retryDelay = {
      seconds: BigInt(Math.floor(retryAfterMs / 1_000)),
      nanos: (retryAfterMs % 1_000) * 1_000_000,
    };
    details.push(packAny('RetryInfo', RetryInfo.encode({ retryDelay })));
  }
  return details;
}

/** A google.protobuf.Any. */
const packAny = (type: string, encoded: { finish(): Uint8Array }) => ({
  typeUrl: `type.googleapis.com/google.rpc.${type}`,
  value: Buffer.from(encoded.finish()),
});
