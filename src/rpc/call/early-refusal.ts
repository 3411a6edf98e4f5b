/** Records calls that are refused before they are decoded: they have no span. */
import { status } from '@grpc/grpc-js';
import { type SpanContext, TraceFlags, trace } from '@opentelemetry/api';
import type { Failure } from '../../failure.ts';
import type { Identity } from '../../policy/identity.ts';
import { CallRecord, OTHER_METHOD } from '../../telemetry/call-record.ts';
import type { Parent } from '../../telemetry/tracing.ts';
import type { SharedContext } from '../service-context.ts';
import { isKnownPath } from './known-paths.ts';
import { shorten } from './shorten.ts';
import { statusCodeOf } from './status.ts';

const NOBODY = { caller: '', certificate: '' };

/** `path` is such as "/billing.v1.BillingService/Reserve"; `identity` null: it is not known who calls. */
export function recordRefusal(
  { observers }: Pick<SharedContext, 'observers'>,
  path: string,
  identity: Pick<Identity, 'caller' | 'certificate'> | null,
  parent: Parent,
  failure: Failure,
) {
  const isKnown = isKnownPath(path);
  const methodOriginal = isKnown ? '' : shorten(path.slice(1));
  const method = isKnown ? path.slice(1) : OTHER_METHOD;
  const span = spanIn(parent);
  const record = new CallRecord(method, identity ?? NOBODY, '', span, { methodOriginal });
  record.end(status[statusCodeOf(failure.reason)], failure);
  observers.callEnded(record);
}

/** No span, in the trace of the caller if it has one. */
const spanIn = (parent: Parent): SpanContext => ({
  traceId: trace.getSpanContext(parent)?.traceId ?? '',
  spanId: '',
  traceFlags: TraceFlags.NONE,
});
