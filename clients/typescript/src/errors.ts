/** Makes the error of a call from what the service or grpc-js sent. */
import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { InsufficientCredits } from './gen/billing/v1/error_details.ts';
import type { Any } from './gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';
import { Cancelled, DeadlineExceeded, REASONS, type ReasonOfTable } from './gen/reasons.ts';
import { type Outcome, ScripError } from './scrip-error.ts';

/** A gRPC status with its google.rpc.Status details: of a call, or of a mutation of a Batch. */
export type FailedStatus = {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Any[];
  readonly cause?: unknown;
  /** See `ScripError`. */
  readonly mutationIndex?: number | undefined;
};

const DOMAIN = 'billing.scrip';
const NO_INFO: Pick<ErrorInfo, 'reason' | 'metadata'> = { reason: '', metadata: {} };

/** An instance of the class of its reason. */
export function toScripError({
  code,
  message,
  details,
  cause,
  mutationIndex,
}: FailedStatus): ScripError {
  const value = (type: string) =>
    details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/${type}`)?.value;
  const infoBytes = value('google.rpc.ErrorInfo');
  const info = infoBytes && ErrorInfo.decode(infoBytes);
  // A proxy may have an ErrorInfo of its own.
  const { reason, metadata } = info?.domain === DOMAIN ? info : NO_INFO;
  const badRequest = value('google.rpc.BadRequest');
  const retry = value('google.rpc.RetryInfo');
  const offers = value('billing.v1.InsufficientCredits');
  const known = Object.hasOwn(REASONS, reason)
    ? (REASONS as Readonly<Record<string, ReasonOfTable>>)[reason]
    : undefined;
  return new (known?.error ?? ScripError)({
    code,
    message,
    reason,
    metadata,
    violations: badRequest
      ? BadRequest.decode(badRequest).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }))
      : [],
    retryAfterMs: retry && milliseconds(RetryInfo.decode(retry)),
    outcome: known?.nothingWritten ? 'none' : 'unknown',
    offers: offers ? InsufficientCredits.decode(offers).offers : [],
    requestId: metadata['request_id'],
    mutationIndex,
    cause,
  });
}

const milliseconds = ({ retryDelay }: RetryInfo): number | undefined =>
  retryDelay && Number(retryDelay.seconds) * 1_000 + retryDelay.nanos / 1_000_000;

/** The error of a call of grpc-js. */
export function ofServiceError(error: ServiceError): ScripError {
  const details = detailsOf(error.metadata);
  // The deadline passed here; the service did not say so.
  if (error.code === status.DEADLINE_EXCEEDED && details.length === 0)
    return deadlineExceeded(error);
  const refused = toScripError({
    code: error.code,
    message: error.details || error.message,
    details,
    cause: error,
  });
  return wasSent(error) ? refused : refused.withOutcome('none');
}

/** grpc-js says so only in its text. Another text of another version means `unknown`, which is always true. */
const wasSent = ({ code, details }: ServiceError): boolean =>
  code !== status.UNAVAILABLE ||
  !/^(round_robin: )?(No connection established|Name resolution failed)/.test(details);

/** The details that a service or a proxy sent; none if they are not those of gRPC. */
function detailsOf(metadata: Metadata | undefined): readonly Any[] {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  if (!Buffer.isBuffer(bytes)) return [];
  try {
    return Status.decode(bytes).details;
  } catch {
    return [];
  }
}

const NO_CONTENT = {
  metadata: {},
  violations: [],
  retryAfterMs: undefined,
};

export const deadlineExceeded = (cause: unknown, outcome: Outcome = 'unknown'): ScripError =>
  new DeadlineExceeded({
    ...NO_CONTENT,
    code: status.DEADLINE_EXCEEDED,
    reason: 'DEADLINE_EXCEEDED',
    message: 'the deadline passed before the call was answered',
    outcome,
    cause,
  });

/** The caller's AbortSignal ended the call. */
export const cancelled = (cause: unknown, outcome: Outcome = 'none'): ScripError =>
  new Cancelled({
    ...NO_CONTENT,
    code: status.CANCELLED,
    reason: 'CANCELLED',
    message: 'the call was aborted',
    outcome,
    cause,
  });
