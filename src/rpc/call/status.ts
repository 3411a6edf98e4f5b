/**
 * Encodes a Failure as a gRPC status: its code, its message, and the google.rpc.Status details that
 * every error of the service carries.
 */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { Failure, type Reason, RetryLater } from '../../failure.ts';
import { InsufficientCredits } from '../../gen/billing/v1/error_details.ts';
import type { Any } from '../../gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RetryInfo } from '../../gen/google/rpc/error_details.ts';
import { Status } from '../../gen/google/rpc/status.ts';
import { type Offers, PackFailure } from '../../ledger/failures.ts';
import { mapOf } from '../../map-of.ts';
import { offerMessage } from '../messages/pack.ts';

const DOMAIN = 'billing.scrip';
/** The trailer that carries a google.rpc.Status. */
export const DETAILS_KEY = 'grpc-status-details-bin';
/** The trailer by which gRPC's own retries learn when to repeat a call: what RetryInfo says, in milliseconds. */
const PUSHBACK_KEY = 'grpc-retry-pushback-ms';

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
  GRANT_NOT_FOUND: status.NOT_FOUND,
  ACCOUNT_EXISTS: status.ALREADY_EXISTS,
  PAYMENT_REFERENCE_USED: status.ALREADY_EXISTS,
  INSUFFICIENT_CREDITS: status.FAILED_PRECONDITION,
  EXCEEDS_RESERVATION: status.FAILED_PRECONDITION,
  EXCEEDS_COMMIT: status.FAILED_PRECONDITION,
  GRANT_ENDED: status.FAILED_PRECONDITION,
  EXCEEDS_GRANT: status.FAILED_PRECONDITION,
  GRANT_RESERVED: status.FAILED_PRECONDITION,
  RESERVATION_COMMITTED: status.FAILED_PRECONDITION,
  RESERVATION_RELEASED: status.FAILED_PRECONDITION,
  RESERVATION_EXPIRED: status.FAILED_PRECONDITION,
  ACCOUNT_CLOSED: status.FAILED_PRECONDITION,
  ACCOUNT_SUSPENDED: status.FAILED_PRECONDITION,
  BUDGET_EXCEEDED: status.FAILED_PRECONDITION,
  BUDGET_NOT_FOUND: status.NOT_FOUND,
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
  PURCHASE_NOT_MISMATCHED: status.FAILED_PRECONDITION,
  ACCOUNT_NOT_CLOSED: status.FAILED_PRECONDITION,
  RESERVATION_ACTIVE: status.FAILED_PRECONDITION,
  PURCHASE_UNSETTLED: status.FAILED_PRECONDITION,
  CHECKOUT_NOT_CONFIGURED: status.FAILED_PRECONDITION,
  CHECKOUT_FAILED: status.FAILED_PRECONDITION,
  PAYMENT_PROVIDER_UNAVAILABLE: status.UNAVAILABLE,
  CANCELLED: status.CANCELLED,
  REQUEST_EXPIRED: status.FAILED_PRECONDITION,
  BATCH_REFUSED: status.FAILED_PRECONDITION,
  INTERNAL: status.INTERNAL,
  MESSAGE_UNDECODABLE: status.INVALID_ARGUMENT,
  MESSAGE_TOO_LARGE: status.INVALID_ARGUMENT,
  METHOD_UNKNOWN: status.UNIMPLEMENTED,
  COMPRESSION_UNSUPPORTED: status.UNIMPLEMENTED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  SERVICE_UNKNOWN: status.NOT_FOUND,
  POSITION_LOST: status.FAILED_PRECONDITION,
  CHARGE_NOT_FOUND: status.NOT_FOUND,
  INSTANT_OUT_OF_RANGE: status.FAILED_PRECONDITION,
  CALLER_UNKNOWN: status.UNAUTHENTICATED,
  CALLER_NOT_ALLOWED: status.PERMISSION_DENIED,
  CALLER_LIMIT_REACHED: status.RESOURCE_EXHAUSTED,
  RATE_LIMITED: status.RESOURCE_EXHAUSTED,
  MONTH_NOT_RUNNING: status.FAILED_PRECONDITION,
  LATE_USAGE_NOT_ALLOWED: status.FAILED_PRECONDITION,
  REQUEST_ARCHIVED: status.FAILED_PRECONDITION,
  ENTRY_ARCHIVED: status.FAILED_PRECONDITION,
  ARCHIVE_UNAVAILABLE: status.UNAVAILABLE,
};

/** When a retry may help, for the reasons for which it may at all. */
const RETRY_AFTER_MS: Partial<Record<Reason, number>> = {
  OVERLOADED: 100,
  RATE_LIMITED: 1_000,
  DATABASE_UNAVAILABLE: 500,
  CLOCK_UNRELIABLE: 1_000,
  SHUTTING_DOWN: 100,
  PAYMENT_PROVIDER_UNAVAILABLE: 500,
  ARCHIVE_UNAVAILABLE: 5_000,
};

export const statusCodeOf = (reason: Reason): status => STATUS_CODES[reason];

/** The status codes that OpenTelemetry counts as errors of the server; the others are the caller's. */
const FAULTS: ReadonlySet<status> = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

export const isFault = (code: status): boolean => FAULTS.has(code);

/** The same, by the name of the code. */
export const isFaultName = (name: string): boolean => isFault(status[name as keyof typeof status]);

/** Largest size of the trailers of an error. Clients in Java accept 8 KB of metadata by default. */
const TRAILERS_MAX = 7_500;
/** The length to which the texts of a failure are cut that would exceed it. */
const TEXT_MAX = 100;

/** The error that grpc-js sends for a failure. */
export function toServiceError(failure: Failure): ServiceError & { readonly metadata: Metadata } {
  const code = statusCodeOf(failure.reason);
  const whole = encodeStatus(failure);
  const isSmall = trailersSize(failure, whole) <= TRAILERS_MAX;
  const sent = isSmall ? failure : shortened(failure);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, isSmall ? whole : encodeStatus(sent));
  const retryAfterMs = retryAfterOf(failure);
  if (retryAfterMs !== undefined) metadata.set(PUSHBACK_KEY, String(retryAfterMs));
  return Object.assign(new Error(sent.message), { code, details: sent.message, metadata });
}

function encodeStatus(failure: Failure): Buffer {
  const { reason, message } = failure;
  const status = { code: statusCodeOf(reason), message, details: [...detailsOf(failure)] };
  return Buffer.from(Status.encode(status).finish());
}

/** The message is sent percent-encoded, the details as base64. */
const trailersSize = ({ message }: Failure, details: Buffer): number =>
  encodeURI(message).length + Math.ceil((details.length * 4) / 3);

/** The failure without what makes it too large: the rest of long texts, all but the first violations. */
function shortened({ reason, message, metadata, violations }: Failure): Failure {
  const texts = Object.entries(metadata).map(([key, value]) => [key, cut(value)]);
  const first = violations.slice(0, 3).map(({ field, description, ...rest }) => ({
    ...rest,
    field: cut(field),
    description: cut(description),
  }));
  return new Failure(reason, cut(message), Object.fromEntries(texts), first);
}

const cut = (text: string): string =>
  text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX).toWellFormed()}…`;

/**
 * What google.rpc.Status carries: always an ErrorInfo; a BadRequest if fields are bad; a RetryInfo if a
 * retry may help; an InsufficientCredits if credits are missing.
 */
export function detailsOf(failure: Failure): readonly Any[] {
  const { reason, metadata, violations } = failure;
  const errorInfo = ErrorInfo.encode({ reason, domain: DOMAIN, metadata: mapOf(metadata) });
  const details = [packAny('google.rpc.ErrorInfo', errorInfo)];
  if (violations.length > 0) {
    const fieldViolations = violations.map((violation) => ({ reason, ...violation }));
    details.push(
      packAny(
        'google.rpc.BadRequest',
        BadRequest.encode(BadRequest.fromPartial({ fieldViolations })),
      ),
    );
  }
  const retryAfterMs = retryAfterOf(failure);
  if (retryAfterMs !== undefined) {
    const retryDelay = {
      seconds: BigInt(Math.floor(retryAfterMs / 1_000)),
      nanos: (retryAfterMs % 1_000) * 1_000_000,
    };
    details.push(packAny('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay })));
  }
  if (failure instanceof PackFailure && failure.offers)
    details.push(packAny('billing.v1.InsufficientCredits', encodeOffers(failure.offers)));
  return details;
}

const retryAfterOf = (failure: Failure): number | undefined =>
  failure instanceof RetryLater ? failure.retryAfterMs : RETRY_AFTER_MS[failure.reason];

const OFFERS_MAX = 5;
/** A title can have 200 characters of 4 bytes. */
const OFFERS_BYTES_MAX = 1_500;

function encodeOffers({ packs, ...missing }: Offers) {
  const offers = packs.slice(0, OFFERS_MAX).map(offerMessage);
  const encode = () => InsufficientCredits.encode({ ...missing, offers });
  while (offers.length > 1 && encode().finish().length > OFFERS_BYTES_MAX) offers.pop();
  return encode();
}

/** A google.protobuf.Any. */
const packAny = (type: string, encoded: { finish(): Uint8Array }): Any => ({
  typeUrl: `type.googleapis.com/${type}`,
  value: Buffer.from(encoded.finish()),
});
