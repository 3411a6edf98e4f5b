/**
 * An event as a CloudEvent (version 1.0) in structured JSON. `source` and `id` together name it for
 * good. `position` is an extension attribute, as text because CloudEvents' integers have 32 bits; so
 * is `traceparent`, which names the trace of what caused the event, not that of its delivery.
 */
import { isValidSpanId, isValidTraceId } from '@opentelemetry/api';
import type { LedgerEvent } from '../ledger/event.ts';
import type { PositionedEvent } from '../store/events.ts';

export const CLOUD_EVENT_TYPE = 'application/cloudevents+json; charset=utf-8';

export function cloudEventJson(event: PositionedEvent, source: string): string {
  return JSON.stringify({
    specversion: '1.0',
    id: event.eventId,
    source,
    type: `scrip.${event.type}`,
    subject: event.accountId,
    time: new Date(event.at).toISOString(),
    datacontenttype: 'application/json',
    position: event.position.toString(),
    traceparent: traceparentOf(event),
    data: event.data,
  });
}

/** Left out where the event was not caused within a trace. */
function traceparentOf({ traceId, spanId }: LedgerEvent): string | undefined {
  return isValidTraceId(traceId) && isValidSpanId(spanId)
    ? `00-${traceId}-${spanId}-01`
    : undefined;
}
