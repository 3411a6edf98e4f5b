/** An error as the browser gets it: what gRPC says of a call, or why the console did not make one. */
import { type ServiceError, status } from '@grpc/grpc-js';
import { ScripError } from '../client.ts';
import type { Failure } from '../failure.ts';
import { toServiceError } from '../rpc/call/status.ts';

/** Why the console itself refuses a request. */
export type ConsoleReason =
  | 'CONSOLE_HOST'
  | 'CONSOLE_ORIGIN'
  | 'CONSOLE_HEADER'
  | 'CONSOLE_CONTENT_TYPE'
  | 'CONSOLE_BODY_TOO_LARGE'
  | 'CONSOLE_JSON'
  | 'CONSOLE_METHOD'
  | 'CONSOLE_PATH'
  | 'CONSOLE_REASON_MISSING'
  | 'CONSOLE_SIGN_IN'
  | 'CONSOLE_NO_POLICY'
  | 'CONSOLE_BUSY';

/** With the gRPC status that they would have. */
const OWN: Readonly<Record<ConsoleReason, readonly [status: number, code: keyof typeof status]>> = {
  CONSOLE_HOST: [421, 'PERMISSION_DENIED'],
  CONSOLE_ORIGIN: [403, 'PERMISSION_DENIED'],
  CONSOLE_HEADER: [403, 'PERMISSION_DENIED'],
  CONSOLE_CONTENT_TYPE: [415, 'INVALID_ARGUMENT'],
  CONSOLE_BODY_TOO_LARGE: [413, 'INVALID_ARGUMENT'],
  CONSOLE_JSON: [400, 'INVALID_ARGUMENT'],
  CONSOLE_METHOD: [405, 'UNIMPLEMENTED'],
  CONSOLE_PATH: [404, 'UNIMPLEMENTED'],
  CONSOLE_REASON_MISSING: [400, 'INVALID_ARGUMENT'],
  CONSOLE_SIGN_IN: [401, 'UNAUTHENTICATED'],
  CONSOLE_NO_POLICY: [403, 'PERMISSION_DENIED'],
  CONSOLE_BUSY: [503, 'UNAVAILABLE'],
};

/** As google.rpc.Code maps them to HTTP. */
const HTTP_STATUSES: Readonly<Record<number, number>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.FAILED_PRECONDITION]: 400,
  [status.OUT_OF_RANGE]: 400,
  [status.UNAUTHENTICATED]: 401,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.ABORTED]: 409,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.CANCELLED]: 499,
  [status.UNIMPLEMENTED]: 501,
  [status.UNAVAILABLE]: 503,
  [status.DEADLINE_EXCEEDED]: 504,
};

export type ErrorBody = {
  readonly code: string;
  /** Empty: the error does not come from the service. */
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** Null: a retry would not help. */
  readonly retryAfterMs: number | null;
};

export class ConsoleError extends Error {
  /** Of HTTP. */
  readonly status: number;
  readonly body: ErrorBody;

  constructor(status: number, body: ErrorBody) {
    super(body.message);
    this.status = status;
    this.body = body;
  }

  /** A request that the console refuses itself. `retryAfterMs`: when to send it again. */
  static own(reason: ConsoleReason, message: string, retryAfterMs: number | null = null) {
    const [status, code] = OWN[reason];
    return new ConsoleError(status, {
      code,
      reason,
      message,
      metadata: {},
      violations: [],
      retryAfterMs,
    });
  }

  /** What a call of gRPC ended with. */
  static of(error: ServiceError): ConsoleError {
    const { code, reason, message, metadata, violations } = new ScripError(error);
    const [pushback] = error.metadata?.get('grpc-retry-pushback-ms') ?? [];
    return new ConsoleError(HTTP_STATUSES[code] ?? 500, {
      code: status[code] ?? 'UNKNOWN',
      reason,
      message,
      metadata,
      violations: violations.map(({ field, description }) => ({ field, description })),
      retryAfterMs: pushback === undefined ? null : Number(pushback),
    });
  }

  static ofFailure(failure: Failure): ConsoleError {
    return ConsoleError.of(toServiceError(failure));
  }
}
