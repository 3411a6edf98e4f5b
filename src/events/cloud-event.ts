/**
 * An event as a CloudEvent (version 1.0) in structured JSON. `source` and `id` together identify it.
 * There are two extension attributes: `position`, as text because CloudEvents' integers have 32 bits,
 * and `traceparent`, the trace of the request that caused the event and not of its delivery.
 */
import { givenPosition } from '../cells/moved-position.ts';
import type { PositionedEvent } from '../store/tables/events.ts';
import { traceparentOf } from '../telemetry/tracing.ts';

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
    position: givenPosition(event).toString(),
    // Without one where the event was caused outside any trace.
    traceparent: traceparentOf(event) ?? undefined,
    data: event.data,
  });
}
