/** The error of a call, decoded from its status and its google.rpc.Status. */
import { Metadata } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { ScripError } from '../src/client.ts';
import type { MutationResult } from '../src/gen/billing/v1/billing_service.ts';
import { InsufficientCredits } from '../src/gen/billing/v1/error_details.ts';
import type { Any } from '../src/gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RetryInfo } from '../src/gen/google/rpc/error_details.ts';
import { Status } from '../src/gen/google/rpc/status.ts';

export type RpcError = {
  readonly code: number;
  readonly message: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Field paths of the BadRequest; empty if there is none. */
  readonly fields: readonly string[];
  /** The delay of the RetryInfo; null if there is none. */
  readonly retryMs: number | null;
  /** Null if there is none. */
  readonly insufficientCredits: InsufficientCredits | null;
  /** All details, as they were sent. */
  readonly details: readonly Any[];
};

/**
 * The error of a call that must fail. Asserts what holds for every error: exactly one ErrorInfo with
 * the domain of the service, and details with the code and message of the status.
 */
export async function errorOf(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => expect.fail('the call succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ScripError)) throw error;
  const cause: unknown = error.cause;
  const trailers = cause instanceof Error && 'metadata' in cause ? cause.metadata : null;
  const [bytes] =
    trailers instanceof Metadata ? trailers.get('grpc-status-details-bin') : [undefined];
  if (!Buffer.isBuffer(bytes)) throw new Error(`no details came with: ${error.message}`);
  return decodeError(error.code, error.message, bytes);
}

/** The error of a mutation of a Batch, which must have failed. */
export function errorIn({ result }: MutationResult): RpcError {
  if (result?.$case !== 'error') expect.fail(`the mutation was answered: ${result?.$case}`);
  const { code, message, reason, metadata, details } = result.value;
  const error = { code, message, ...decodeDetails(details) };
  expect(error).toMatchObject({ reason, metadata: Object.fromEntries(metadata) });
  return error;
}

/** Java's clients read no more metadata than 8 KB, and errors have a few other headers. */
const TRAILERS_MAX = 8_000;

/** `bytes` is the google.rpc.Status that came with the code and the message. */
export function decodeError(code: number, message: string, bytes: Uint8Array): RpcError {
  const size = encodeURI(message).length + (bytes.length * 4) / 3;
  expect(size).toBeLessThan(TRAILERS_MAX);
  const sent = Status.decode(bytes);
  expect({ code: sent.code, message: sent.message }).toEqual({ code, message });
  return { code, message, ...decodeDetails(sent.details) };
}

/** Asserts that there is exactly one ErrorInfo. */
export function decodeDetails(details: readonly Any[]): Omit<RpcError, 'code' | 'message'> {
  const valuesOf = (type: string) =>
    details
      .filter(({ typeUrl }) => typeUrl === `type.googleapis.com/${type}`)
      .map(({ value }) => value);
  const infos = valuesOf('google.rpc.ErrorInfo').map((value) => ErrorInfo.decode(value));
  expect(infos).toEqual([expect.objectContaining({ domain: 'billing.scrip' })]);
  const violations = valuesOf('google.rpc.BadRequest').flatMap(
    (value) => BadRequest.decode(value).fieldViolations,
  );
  const [retry] = valuesOf('google.rpc.RetryInfo').map(
    (value) => RetryInfo.decode(value).retryDelay,
  );
  const [insufficientCredits = null] = valuesOf('billing.v1.InsufficientCredits').map((value) =>
    InsufficientCredits.decode(value),
  );
  return {
    reason: infos[0]?.reason ?? '',
    metadata: Object.fromEntries(infos[0]?.metadata ?? []),
    fields: violations.map(({ field }) => field),
    retryMs: retry ? Number(retry.seconds) * 1_000 + retry.nanos / 1_000_000 : null,
    insufficientCredits,
    details,
  };
}
