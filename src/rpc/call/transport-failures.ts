/**
 * Failures that grpc-js finds by itself, before a handler is called or beside it: messages that are too
 * large or cannot be decompressed, unknown methods, deadlines. It sends them as bare statuses. Here they
 * get a reason and details, as every error of the service has.
 *
 * grpc-js has no interface for that, so this file replaces three of its methods. It says so at the start
 * if one is missing, and `test/rpc/transport-failures.test.ts` tests each failure over a socket.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import {
  type Metadata,
  type Server,
  type ServerDuplexStream,
  type ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { Failure } from '../../failure.ts';
import { OTHER_METHOD } from '../../telemetry/call-record.ts';
import { accessOfStream, streamOf } from './access.ts';
import { CallEntry, type EntryContext } from './call-entry.ts';
import { type CallContext, ObservedCall } from './observed-call.ts';
import { messageUndecodable } from './request-decoder.ts';
import { shorten } from './shorten.ts';
import { DETAILS_KEY, toServiceError } from './status.ts';
import { TIMEOUT_KEY, timeoutMsOf } from './timeout.ts';

type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

/** A call as grpc-js makes it, before the handler knows of it. */
type TransportCall = ServerInterceptingCallInterface & {
  readonly handler: { readonly path: string };
  readonly metadata: Metadata;
  readonly stream: ServerHttp2Stream;
  /** Whether nobody can receive a status any more. */
  checkCancelled(): boolean;
};

/** Gives statuses without details, which only grpc-js and the health service send, their details. */
export function transportFailures(context: CallContext): ServerInterceptor {
  // One function for all calls: `release-on-close.ts` says what a function per call would cost.
  function sendStatus(this: TransportCall, sent: Status) {
    if (this.checkCancelled() || isUnwritten(sent)) return;
    const { sendStatus: send } = Object.getPrototypeOf(this) as TransportCall;
    send.call(this, hasDetails(sent) ? sent : withDetails(context, this, sent));
  }
  return (_, call) => Object.assign(call as ServerInterceptingCall, { sendStatus });
}

const hasDetails = ({ code, metadata }: Status): boolean =>
  code === status.OK || (metadata?.get(DETAILS_KEY).length ?? 0) > 0;

/** A message could not be written: its reader has gone, and the call is told that it was cancelled. */
const isUnwritten = ({ code, details }: Status): boolean =>
  code === status.INTERNAL && details === 'Internal server error';

function withDetails(
  context: CallContext,
  { handler, metadata, stream }: TransportCall,
  sent: Status,
) {
  // The handler of the call is at work, and ends the observed call.
  if (sent.code === status.DEADLINE_EXCEEDED) return toServiceError(deadlineExceeded());
  const observed = new ObservedCall(
    context,
    handler.path.slice(1),
    metadata,
    accessOfStream(stream),
    stream,
  );
  return observed.failed(toFailure(sent) ?? new Error(sent.details));
}

const deadlineExceeded = () =>
  new Failure(
    'DEADLINE_EXCEEDED',
    'the deadline has passed; whether the call had an effect is told by repeating it with its request id',
  );

/** What a status of grpc-js or of the health service means; null: a bug. */
function toFailure({ code, details }: Status): Failure | null {
  const text = details ?? '';
  const [, size, limit] = /larger than max \((\d+) vs (\d+)\)/.exec(text) ?? [];
  if (size && limit) return messageTooLarge(limit, size);
  const [, decompressedLimit] = /decompresses to a size larger than (\d+)/.exec(text) ?? [];
  if (decompressedLimit) return messageTooLarge(decompressedLimit);
  const [, encoding] = /unsupported encoding "(.*)"/.exec(text) ?? [];
  if (encoding !== undefined) return compressionUnsupported(encoding);
  const [, timeout] = /^Invalid grpc-timeout value "(.*)"/.exec(text) ?? [];
  if (timeout !== undefined) return invalidTimeout();
  const [, service] = /^Health status unknown for service (.*)$/.exec(text) ?? [];
  if (code === status.NOT_FOUND && service !== undefined) return serviceUnknown(service);
  const [, description] = UNDECODABLE.find(([begin]) => text.startsWith(begin)) ?? [];
  return description === undefined ? null : messageUndecodable({ field: '', description });
}

/** The beginnings of texts of grpc-js, and what they say of the request. */
const UNDECODABLE = [
  ['Failed to decompress message', 'cannot be decompressed'],
  ['Error deserializing request', 'is not a message of the type of the method'],
  ['Received a second request message', 'is more than one message'],
  ['Received no request message', 'is no message'],
] as const;

function messageTooLarge(limit: string, size?: string): Failure {
  const message = size
    ? `the request has ${size} bytes, and at most ${limit} are accepted`
    : `the request has more than ${limit} bytes when decompressed, and at most that many are accepted`;
  return new Failure('MESSAGE_TOO_LARGE', message, { limit, ...(size && { size }) });
}

const compressionUnsupported = (encoding: string): Failure =>
  new Failure(
    'COMPRESSION_UNSUPPORTED',
    `the encoding ${shorten(encoding)} is not supported; supported are identity, deflate and gzip`,
    { encoding: shorten(encoding), supported: 'identity, deflate, gzip' },
  );

function invalidTimeout(): Failure {
  const field = TIMEOUT_KEY;
  const description = 'must be 1 to 8 digits and a unit';
  const message = `the request metadata ${field} ${description}`;
  return new Failure('INVALID_FIELD', message, { field }, [{ field, description }]);
}

const serviceUnknown = (service: string): Failure =>
  new Failure('SERVICE_UNKNOWN', `there is no service ${shorten(service)}`, {
    service: shorten(service),
  });

const methodUnknown = (method: string): Failure =>
  new Failure('METHOD_UNKNOWN', `there is no method ${method}`, {
    method: method,
  });

/** What grpc-js keeps of a method. `func` is called when the request metadata has arrived. */
type Handler = {
  readonly type: 'bidi';
  readonly path: string;
  readonly func: (call: ServerDuplexStream<Buffer, Buffer>) => void;
  readonly serialize: (bytes: Buffer) => Buffer;
  readonly deserialize: (bytes: Buffer) => Buffer;
};

type ServerInternals = {
  _retrieveHandler(path: string): object | null;
  _streamHandler(
    interceptors: unknown,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags?: number,
    rawHeaders?: readonly string[],
  ): void;
};

/** Call it before the server listens. */
export function replaceServerMethods(server: Server, context: CallContext & EntryContext) {
  const internals = server as unknown as ServerInternals;
  const { _retrieveHandler: retrieve, _streamHandler: handle } = internals;
  if (typeof retrieve !== 'function' || typeof handle !== 'function')
    throw new Error('this version of @grpc/grpc-js has other internals: see transport-failures.ts');
  internals._retrieveHandler = (path) =>
    retrieve.call(server, path) ?? unknownMethodHandler(context, path);
  const entry = new CallEntry(context, (interceptors, stream, headers) =>
    handle.call(server, interceptors, stream, withReadableTimeout(headers)),
  );
  internals._streamHandler = (interceptors, stream, headers, _, rawHeaders = []) =>
    entry.enter(interceptors, stream, headers, rawHeaders);
}

/** Fails at once, without waiting for a message, whichever kind of call the caller has in mind. */
const unknownMethodHandler = (context: CallContext, path: string): Handler => ({
  type: 'bidi',
  path,
  func(call) {
    const method = shorten(path.slice(1));
    const stream = streamOf(call);
    const access = accessOfStream(stream);
    const observed = new ObservedCall(context, OTHER_METHOD, call.metadata, access, stream, method);
    call.emit('error', observed.failed(methodUnknown(method)));
  },
  serialize: (bytes) => bytes,
  deserialize: (bytes) => bytes,
});

/** grpc-js takes a timeout of more milliseconds than 31 bits hold for one that has passed. */
function withReadableTimeout(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const timeout = headers[TIMEOUT_KEY];
  const ms = timeoutMsOf(timeout);
  if (ms > TIMER_MAX_MS && Number.isFinite(ms)) headers[TIMEOUT_KEY] = TIMEOUT_MAX;
  return headers;
}

/** Nobody waits that long. */
const TIMEOUT_MAX = '2147483S';
const TIMER_MAX_MS = 2 ** 31 - 1;
