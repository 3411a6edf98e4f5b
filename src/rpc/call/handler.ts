/**
 * What every RPC has in common: a server span in the caller's trace, the caller's name, one place
 * where failures become statuses, and one line of log per call.
 */
import {
  Metadata,
  type MetadataValue,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
} from '@opentelemetry/api';
import type { Logger } from 'pino';
import { Failure, internalFailure } from '../../failure.ts';
import { failureOfDatabase } from '../../pg/failures.ts';
import type { InFlight } from './in-flight-calls.ts';
import { releaseReferencesOnClose } from './release-on-close.ts';
import { codeOf, serviceError } from './status.ts';

/** Who calls, and under which span. */
export type Caller = {
  readonly caller: string;
  readonly traceId: string;
  readonly spanId: string;
};

export type CallContext = {
  readonly tracer: Tracer;
  readonly log: Logger;
  readonly inFlight: InFlight;
};

/** A response, or its bytes where it is stored as it is sent. */
export type Answered<Response> = {
  readonly response: Response | Uint8Array;
  /** The first response to a request id that was used before. */
  readonly replayed?: boolean;
};

const UNKNOWN_CALLER = 'unknown';
const CALLER = /^[\x21-\x7e]{1,128}$/;

/** A unary handler from a function that answers, or returns or throws a Failure. */
export function unary<Request, Response>(
  callContext: CallContext,
  method: string,
  answer: (
    request: Request,
    caller: Caller,
    call: ServerUnaryCall<Request, Response>,
  ) => Promise<Answered<Response> | Failure>,
) {
  return async (call: ServerUnaryCall<Request, Response>, respond: sendUnaryData<Response>) => {
    releaseReferencesOnClose(call);
    const { span, caller } = begin(callContext, method, call.metadata);
    try {
      const answered = await answer(call.request, caller, call);
      if (answered instanceof Failure) throw answered;
      end(callContext, span, method, caller, null);
      respond(null, answered.response as Response, answered.replayed ? replayed() : undefined);
    } catch (error) {
      const failure = failureOf(callContext, error, caller, method);
      end(callContext, span, method, caller, failure);
      respond(serviceError(failure));
    }
  };
}

/** A server-streaming handler from a function that writes until it is done or the signal aborts. */
export function serverStream<Request, Response>(
  callContext: CallContext,
  method: string,
  stream: (
    request: Request,
    write: (response: Response | Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ) => Promise<void>,
) {
  return async (call: ServerWritableStream<Request, Response>) => {
    const { span, caller } = begin(callContext, method, call.metadata);
    const gone = new AbortController();
    call.once('cancelled', () => gone.abort());
    try {
      await stream(call.request, (response) => writeTo(call, response, gone.signal), gone.signal);
      end(callContext, span, method, caller, null);
      call.end();
    } catch (error) {
      const failure = failureOf(callContext, error, caller, method);
      end(callContext, span, method, caller, failure);
      call.emit('error', serviceError(failure));
    }
  };
}

/** Resolves when the reader can take more: a slow reader slows its stream, it fills no memory. */
async function writeTo<Response>(
  call: ServerWritableStream<unknown, Response>,
  response: Response | Uint8Array,
  signal: AbortSignal,
) {
  if (signal.aborted || call.write(response as Response)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.on('drain', done);
    signal.addEventListener('abort', done);
  });
}

const headers: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key).map(String),
  keys: (metadata) => Object.keys(metadata.getMap()),
};

function begin({ tracer, inFlight }: CallContext, method: string, metadata: Metadata) {
  inFlight.enter();
  const parent = propagation.extract(ROOT_CONTEXT, metadata, headers);
  const span = tracer.startSpan(
    method,
    {
      kind: SpanKind.SERVER,
      attributes: { 'rpc.system.name': 'grpc', 'rpc.method': method },
    },
    parent,
  );
  const { traceId, spanId } = span.spanContext();
  const [name] = metadata.get('x-caller') as [MetadataValue?];
  const caller = typeof name === 'string' && CALLER.test(name) ? name : UNKNOWN_CALLER;
  return { span, caller: { caller, traceId, spanId } };
}

/** Codes that say the service failed; the others are answers (OpenTelemetry RPC conventions). */
const SERVER_FAULTS: ReadonlySet<status> = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

function end(
  { log, inFlight }: CallContext,
  span: Span,
  method: string,
  caller: Caller,
  failure: Failure | null,
) {
  inFlight.leave();
  const code = failure ? codeOf(failure.reason) : status.OK;
  if (span.isRecording()) {
    span.setAttribute('rpc.response.status_code', status[code]);
    if (failure) span.setAttribute('error.type', failure.reason);
    if (SERVER_FAULTS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
  if (log.isLevelEnabled('debug'))
    log.debug(
      {
        method,
        caller: caller.caller,
        trace_id: caller.traceId,
        span_id: caller.spanId,
        code: status[code],
        ...(failure && { reason: failure.reason, ...failure.metadata }),
      },
      'call',
    );
}

/** What was thrown, as a failure. Anything that is none is a bug: logged here, never sent. */
function failureOf({ log }: CallContext, error: unknown, caller: Caller, method: string): Failure {
  if (error instanceof Failure) return error;
  const database = failureOfDatabase(error);
  if (database) return database;
  log.error({ err: error, method, trace_id: caller.traceId, span_id: caller.spanId }, 'bug');
  return internalFailure(caller.traceId);
}

function replayed(): Metadata {
  const trailer = new Metadata();
  trailer.set('idempotent-replayed', 'true');
  return trailer;
}
