/**
 * What happens to a call when its request metadata has arrived, before grpc-js makes anything of it: who calls,
 * may they, and is there room. A call that is refused here is not decoded and has no span.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { severalTokens } from '../../authentication/failures.ts';
import { Failure } from '../../failure.ts';
import type { Identity } from '../../policy/identity.ts';
import type { SharedContext } from '../service-context.ts';
import { setAccess } from './access.ts';
import { answerWith, toHeaders } from './answer.ts';
import { callersSpanOf } from './callers-span.ts';
import { recordRefusal } from './early-refusal.ts';
import { shorten } from './shorten.ts';
import { toServiceError } from './status.ts';

/** Those who ask whether the service lives have no identity. */
const HEALTH_PATHS = '/grpc.health.v1.Health/';
/** Streams that libraries serve. Ours are counted where they are served. */
const WATCH_PATH = '/grpc.health.v1.Health/Watch';
const REFLECTION_PATHS = '/grpc.reflection.';
/** Not those of health and reflection, which answer during an overload. */
const OUR_PATHS = '/billing.v1.';

export type EntryContext = Pick<
  SharedContext,
  | 'authenticator'
  | 'authorization'
  | 'audit'
  | 'overloadAnswer'
  | 'streams'
  | 'inFlight'
  | 'observers'
>;

/** How grpc-js serves a call. */
type Serve = (
  interceptors: unknown,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
) => void;

export class CallEntry {
  readonly #context: EntryContext;
  readonly #serve: Serve;
  /** Most failures are the same object for all calls of a connection, or of a token. */
  readonly #encoded = new WeakMap<Failure, OutgoingHttpHeaders>();

  constructor(context: EntryContext, serve: Serve) {
    this.#context = context;
    this.#serve = serve;
  }

  /** `rawHeaders` has names and values in turn, also those that Node leaves out of `headers`. */
  enter(
    interceptors: unknown,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ) {
    const { session } = stream;
    if (headers[':path']?.startsWith(HEALTH_PATHS) || !session) {
      this.#enterHealth(interceptors, stream, withoutToken(headers));
      return;
    }
    // Node keeps the first of several and drops the others.
    const found = hasSeveralTokens(rawHeaders)
      ? severalTokens()
      : this.#context.authenticator.authenticate(session, headers);
    withoutToken(headers);
    if (found instanceof Promise) void this.#enterLater(found, interceptors, stream, headers);
    else this.#enterAs(found, interceptors, stream, headers);
  }

  #enterHealth(interceptors: unknown, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    const path = headers[':path'] ?? '';
    const refusal = path === WATCH_PATH ? this.#countStream(stream, WATCH_PATH, null) : null;
    if (refusal) this.#refuse(stream, headers, refusal, refusal);
    else this.#serve(interceptors, stream, headers);
  }

  /** Counts a stream until it closes. A Failure: its caller has too many. */
  #countStream(stream: ServerHttp2Stream, caller: string, callerMax: number | null) {
    try {
      stream.once('close', this.#context.streams.open(caller, callerMax));
      return null;
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }

  /** Holds the stream, whose body is not read, until the caller is known. */
  async #enterLater(
    found: Promise<Identity | Failure>,
    interceptors: unknown,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ) {
    const { inFlight } = this.#context;
    inFlight.started();
    stream.on('error', ignore);
    const outcome = await found;
    inFlight.ended();
    if (stream.destroyed || stream.closed) return;
    this.#enterAs(outcome, interceptors, stream, headers);
  }

  #enterAs(
    found: Identity | Failure,
    interceptors: unknown,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ) {
    const { authorization, overloadAnswer } = this.#context;
    const path = headers[':path'] ?? '';
    const access = found instanceof Failure ? found : authorization.enter(found, path, headers);
    if (access instanceof Failure) {
      this.#refuse(stream, headers, found, access);
      return;
    }
    const { caller } = access.identity;
    const overload = path.startsWith(OUR_PATHS)
      ? overloadAnswer.refuses(stream, caller, headers)
      : null;
    if (overload) {
      recordRefusal(this.#context, path, access.identity, callersSpanOf(headers), overload);
      return;
    }
    const refusal = path.startsWith(REFLECTION_PATHS)
      ? this.#countStream(stream, caller, access.permissions.streamsMax)
      : null;
    if (refusal) {
      this.#refuse(stream, headers, found, refusal);
      return;
    }
    setAccess(stream, access);
    this.#serve(interceptors, stream, headers);
  }

  #refuse(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    found: Identity | Failure,
    failure: Failure,
  ) {
    answerWith(stream, this.#encode(failure));
    const path = headers[':path'] ?? '';
    if (failure.reason === 'CALLER_UNKNOWN')
      this.#context.audit.denied(failure, {
        method: shorten(path.slice(1)),
        peer: stream.session?.socket.remoteAddress ?? '',
      });
    const identity = found instanceof Failure ? null : found;
    recordRefusal(this.#context, path, identity, callersSpanOf(headers), failure);
  }

  #encode(failure: Failure): OutgoingHttpHeaders {
    let headers = this.#encoded.get(failure);
    if (!headers) {
      headers = toHeaders(toServiceError(failure));
      this.#encoded.set(failure, headers);
    }
    return headers;
  }
}

const ignore = () => {};

function hasSeveralTokens(rawHeaders: readonly string[]): boolean {
  let tokens = 0;
  for (let name = 0; name < rawHeaders.length; name += 2)
    if (rawHeaders[name] === 'authorization') tokens += 1;
  return tokens > 1;
}

/** The token has served its purpose: nothing behind this place can show it. */
function withoutToken(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  if (headers.authorization !== undefined) headers.authorization = undefined;
  return headers;
}
