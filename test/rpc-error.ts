/** The error of a call, decoded from its status and its google.rpc.Status. */
import { Metadata } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { ScripError } from '../src/client.ts';
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

  const { code, message, details } = Status.decode(bytes);
  const valuesOf = (type: string) =>
    details
      .filter(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${type}`)
      .map(({ value }) => value);
  expect({ code, message }).toEqual({ code: error.code, message: error.message });
  const infos = valuesOf('ErrorInfo').map((value) => ErrorInfo.decode(value));
  expect(infos).toEqual([expect.objectContaining({ domain: 'billing.scrip' })]);
  const violations = valuesOf('BadRequest').flatMap(
    (value) => BadRequest.decode(value).fieldViolations,
  );
  const [retry] = valuesOf('RetryInfo').map((value) => RetryInfo.decode(value).retryDelay);
  return {
    code,
    message,
    reason: infos[0]?.reason ?? '',
    metadata: { ...infos[0]?.metadata },
    fields: violations.map(({ field }) => field),
    retryMs: retry ? Number(retry.seconds) * 1_000 + retry.nanos / 1_000_000 : null,
  };
}
