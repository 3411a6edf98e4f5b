/**
 * One call from its start to its end: who calls, its server span in the caller's trace, what is recorded of it, and the
 * one place where anything thrown becomes a status.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Failure } from '../../failure.ts';
import { attributesOfCall } from '../../telemetry/call-attributes.ts';
import { CallRecord } from '../../telemetry/call-record.ts';
import { type AttributesOf, LINKS_MAX } from '../../telemetry/spans.ts';
import { failSpan, type SpanOf, spanContextOf } from '../../telemetry/tracing.ts';
import type { SharedContext } from '../service-context.ts';
import type { Access } from './access.ts';
import { addressesOf } from './addresses.ts';
import { callersSpan } from './callers-span.ts';
import { failureOf } from './failure-of.ts';
import { recordRequest } from './record-request.ts';
import { isFault, statusCodeOf, toServiceError } from './status.ts';

export type CallContext = Pick<
  SharedContext,
  | 'tracing'
  | 'observers'
  | 'log'
  | 'inFlight'
  | 'admission'
  | 'overloadAnswer'
  | 'streams'
  | 'authorization'
  | 'answerTime'
>;

export class ObservedCall {
  readonly record: CallRecord;
  /** The request, if it could be decoded. */
  request: object | null = null;
  readonly #context: CallContext;
  readonly #span: SpanOf<'rpc'>;
  readonly #stream: ServerHttp2Stream;

  /** `method` is the full name, such as "billing.v1.BillingService/Reserve". `methodOriginal`: of OTHER_METHOD. */
  constructor(
    context: CallContext,
    method: string,
    metadata: Metadata,
    { identity, onBehalfOf }: Access,
    stream: ServerHttp2Stream,
    methodOriginal = '',
  ) {
    this.#context = context;
    this.#stream = stream;
    context.inFlight.started();
    const parent = callersSpan(metadata);
    const attributes = startAttributesOf(method);
    this.#span = context.tracing.start('rpc', { parent, attributes }, method);
    const span = this.#span.spanContext();
    this.record = new CallRecord(method, identity, onBehalfOf, span, { methodOriginal });
  }

  succeeded(replayed = false) {
    this.record.replayed ||= replayed;
    this.#end(null);
  }

  /** Ends the call with what was thrown, and returns the error for grpc-js to send. */
  failed(error: unknown): ServiceError {
    const failure = failureOf(error, this.#context, this.record);
    this.#end(failure);
    const answer = toServiceError(failure);
    this.#context.answerTime.addTo(answer.metadata);
    return answer;
  }

  #end(failure: Failure | null) {
    const { inFlight, observers, log } = this.#context;
    const { record } = this;
    inFlight.ended();
    const code = failure ? statusCodeOf(failure.reason) : status.OK;
    record.end(status[code], failure);
    const isRecording = this.#span.isRecording();
    if (this.request && (isRecording || failure || log.isLevelEnabled('debug')))
      recordRequest(record, this.request);
    if (isRecording) this.#describeSpan(code, failure);
    this.#span.end();
    observers.callEnded(record);
  }

  #describeSpan(code: status, failure: Failure | null) {
    const span = this.#span;
    span.setAttributes(attributesOfCall(this.record));
    span.setAttributes(addressesOf(this.#stream));
    for (const unit of this.record.units.slice(-LINKS_MAX))
      span.addLink({ context: spanContextOf(unit) });
    if (failure && isFault(code)) failSpan(span, failure.reason);
  }
}

/** By method: what samplers are told. */
const startAttributes = new Map<string, AttributesOf<'rpc'>>();

function startAttributesOf(method: string): AttributesOf<'rpc'> {
  let attributes = startAttributes.get(method);
  if (!attributes) {
    attributes = { 'rpc.system.name': 'grpc', 'rpc.method': method };
    startAttributes.set(method, attributes);
  }
  return attributes;
}
