/**
 * One call from its start to its end: who calls, its server span in the caller's trace, one line of
 * log, and the one place where anything thrown becomes a status.
 */
import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
} from '@opentelemetry/api';
import { Failure, internalFailure } from '../../failure.ts';
import { toDatabaseFailure } from '../../pg/failures.ts';
import type { ServiceContext } from '../service-context.ts';
import type { Access } from './access.ts';
import { statusCodeOf, toServiceError } from './status.ts';

/** Who calls, and the span of the call. */
export type Caller = {
  /** The name of the caller's identity. */
  readonly caller: string;
  readonly onBehalfOf: string;
  readonly certificate: string;
  readonly traceId: string;
  readonly spanId: string;
};

export type CallContext = Pick<
  ServiceContext,
  'tracer' | 'log' | 'inFlight' | 'admission' | 'overloadAnswer' | 'streams' | 'authorization'
>;

/** The status codes that OpenTelemetry counts as errors of the server; the others are the caller's. */
const SERVER_ERRORS: ReadonlySet<status> = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

export class ObservedCall {
  readonly caller: Caller;
  readonly #context: CallContext;
  readonly #method: string;
  readonly #span: Span;

  /** `method` is the full name, such as "billing.v1.BillingService/Reserve". The log has it, the span `spanName`. */
  constructor(
    context: CallContext,
    method: string,
    metadata: Metadata,
    { identity, onBehalfOf }: Access,
    spanName = method,
  ) {
    this.#context = context;
    this.#method = method;
    context.inFlight.started();
    this.#span = context.tracer.startSpan(
      spanName,
      {
        kind: SpanKind.SERVER,
        attributes: { 'rpc.system.name': 'grpc', 'rpc.method': spanName },
      },
      propagation.extract(ROOT_CONTEXT, metadata, metadataGetter),
    );
    const { traceId, spanId } = this.#span.spanContext();
    const { caller, certificate } = identity;
    this.caller = { caller, onBehalfOf, certificate, traceId, spanId };
  }

  succeeded() {
    this.#end(null);
  }

  /** Ends the call with what was thrown, and returns the error for grpc-js to send. */
  failed(error: unknown): ServiceError {
    const failure = this.#toFailure(error);
    this.#end(failure);
    return toServiceError(failure);
  }

  /** An error that is neither a Failure nor the database's is a bug: it is logged and not sent. */
  #toFailure(error: unknown): Failure {
    const failure = error instanceof Failure ? error : toDatabaseFailure(error);
    if (failure) return failure;
    const { traceId, spanId } = this.caller;
    this.#context.log.error(
      { err: error, method: this.#method, trace_id: traceId, span_id: spanId },
      'bug',
    );
    return internalFailure(traceId);
  }

  #end(failure: Failure | null) {
    this.#context.inFlight.ended();
    const code = failure ? statusCodeOf(failure.reason) : status.OK;
    this.#endSpan(code, failure);
    this.#log(code, failure);
  }

  #endSpan(code: status, failure: Failure | null) {
    const span = this.#span;
    if (span.isRecording()) {
      span.setAttribute('rpc.response.status_code', status[code]);
      if (failure) span.setAttribute('error.type', failure.reason);
      if (SERVER_ERRORS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  }

  #log(code: status, failure: Failure | null) {
    const { log } = this.#context;
    if (!log.isLevelEnabled('debug')) return;
    const { caller, traceId, spanId } = this.caller;
    log.debug(
      {
        ...failure?.metadata,
        method: this.#method,
        caller,
        trace_id: traceId,
        span_id: spanId,
        code: status[code],
        ...(failure && { reason: failure.reason }),
      },
      'call',
    );
  }
}

/** How OpenTelemetry reads `traceparent` from request metadata. */
const metadataGetter: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key).map(String),
  keys: (metadata) => Object.keys(metadata.getMap()),
};
