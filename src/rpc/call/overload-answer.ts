/**
 * The answer to calls that are not admitted. Most calls of an overload get it, so it is encoded for many at
 * once, and such a call has no span, few of them a line of log, and nothing of them is decoded.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { ServiceError } from '@grpc/grpc-js';
import type { Admission } from '../../admission/admission.ts';
import { type Failure, overloaded } from '../../failure.ts';
import { answerWith, toHeaders } from './answer.ts';
import { toServiceError } from './status.ts';
import { TIMEOUT_KEY, timeoutMsOf } from './timeout.ts';

/** How long an encoded answer is sent. Its figures are as old at most. */
const ENCODED_MS = 100;

type Encoded = {
  readonly failure: Failure;
  readonly error: ServiceError;
  readonly headers: OutgoingHttpHeaders;
};

export class OverloadAnswer {
  readonly #admission: Admission;
  #encoded: Encoded | null = null;
  #encodedAt = 0;

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  get failure(): Failure {
    return this.#encode().failure;
  }

  /** For grpc-js to send. */
  get error(): ServiceError {
    return this.#encode().error;
  }

  /** Answers a call whose request metadata has arrived, if it is not admitted. Null: it is. */
  refuses(stream: ServerHttp2Stream, caller: string, headers: IncomingHttpHeaders): Failure | null {
    if (this.#admission.admitsCaller(caller, timeoutMsOf(headers[TIMEOUT_KEY]))) return null;
    const { headers: answer, failure } = this.#encode();
    answerWith(stream, answer);
    return failure;
  }

  #encode(): Encoded {
    const now = performance.now();
    if (this.#encoded === null || now - this.#encodedAt > ENCODED_MS) {
      this.#encoded = encode(overloaded(this.#admission.inFlight, this.#admission.limit));
      this.#encodedAt = now;
    }
    return this.#encoded;
  }
}

function encode(failure: Failure): Encoded {
  const error = toServiceError(failure);
  return { failure, error, headers: toHeaders(error) };
}
