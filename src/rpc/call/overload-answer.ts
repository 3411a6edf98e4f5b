/**
 * The answer to calls that are not admitted. Most calls of an overload get it, so it is encoded for many at
 * once, and such a call has no span, no line of log, and nothing decoded.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Admission } from '../../admission/admission.ts';
import { type Failure, overloaded } from '../../failure.ts';
import { CALLER_KEY, UNKNOWN_CALLER } from './observed-call.ts';
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

  /** Answers a call whose request metadata has arrived, if it is not admitted. */
  refuses(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const caller = headers[CALLER_KEY];
    const name = typeof caller === 'string' ? caller : UNKNOWN_CALLER;
    if (this.#admission.admitsCaller(name, timeoutMsOf(headers[TIMEOUT_KEY]))) return false;
    stream.respond(this.#encode().headers, { endStream: true });
    // What the caller still sends is read and dropped, or the stream would not end.
    stream.on('error', ignore).resume();
    return true;
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

const ignore = () => {};

function encode(failure: Failure): Encoded {
  const error = toServiceError(failure);
  return { failure, error, headers: toHeaders(error) };
}

/** A response without a message, as HTTP/2 sends it. */
const toHeaders = ({ code, details, metadata }: ServiceError): OutgoingHttpHeaders => ({
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-status': String(code),
  'grpc-message': encodeURI(details),
  ...(metadata ?? new Metadata()).toHttp2Headers(),
});
