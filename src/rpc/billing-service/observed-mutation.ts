/**
 * One mutation of a Batch from its start to its end. It is recorded as a call of its own, because it has a result of
 * its own, and it is a span in the trace of its own caller, if it names one.
 */
import { status } from '@grpc/grpc-js';
import { trace } from '@opentelemetry/api';
import type { Failure } from '../../failure.ts';
import { attributesOfMutation } from '../../telemetry/call-attributes.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import { LINKS_MAX } from '../../telemetry/spans.ts';
import { failSpan, type SpanOf, spanContextOf, type Tracing } from '../../telemetry/tracing.ts';
import { callersSpanOf } from '../call/callers-span.ts';
import { recordRequest } from '../call/record-request.ts';
import { isFaultName, statusCodeOf } from '../call/status.ts';
import type { ServiceContext } from '../service-context.ts';

type Context = Pick<ServiceContext, 'tracing' | 'observers'>;

export class ObservedMutation {
  readonly record: CallRecord;
  readonly #observers: Context['observers'];
  /** Null: it is made in the span of the Batch. */
  readonly #span: SpanOf<'mutation'> | null;

  /** `traceparent` is empty if the mutation names no span. */
  constructor(
    { tracing, observers }: Context,
    batch: CallRecord,
    mutation: string,
    traceparent: string,
  ) {
    this.#observers = observers;
    this.#span = startSpan(tracing, batch, traceparent);
    this.record = batch.part(mutation, this.#span?.spanContext());
  }

  /** `failure` null: it has succeeded. */
  end(request: object | undefined, failure: Failure | null) {
    const { record } = this;
    const isRecording = this.#span?.isRecording() ?? false;
    if (request && (failure || isRecording)) recordRequest(record, request);
    record.end(status[failure ? statusCodeOf(failure.reason) : status.OK], failure);
    if (this.#span && isRecording) describe(this.#span, record, failure);
    this.#span?.end();
    this.#observers.callEnded(record);
  }
}

function startSpan(tracing: Tracing, batch: CallRecord, traceparent: string) {
  if (traceparent === '') return null;
  const parent = callersSpanOf({ traceparent });
  if (!trace.getSpanContext(parent)) return null;
  return tracing.start('mutation', { parent, links: [{ context: spanContextOf(batch) }] });
}

function describe(span: SpanOf<'mutation'>, record: CallRecord, failure: Failure | null) {
  span.setAttributes(attributesOfMutation(record));
  for (const unit of record.units.slice(-(LINKS_MAX - 1)))
    span.addLink({ context: spanContextOf(unit) });
  if (failure && isFaultName(record.status)) failSpan(span, failure.reason);
}
