/** Events and their deliveries as messages of the protos. */
import {
  Delivery_State,
  type Delivery as DeliveryMessage,
  type Event as EventMessage,
} from '../../gen/billing/v1/event_service.ts';
import type { Delivery } from '../../store/deliveries.ts';
import type { PositionedEvent } from '../../store/events.ts';

export const eventMessage = (event: PositionedEvent): EventMessage => ({
  eventId: event.eventId,
  position: event.position,
  type: event.type,
  accountId: event.accountId,
  at: new Date(event.at),
  data: event.data,
  traceId: event.traceId,
  spanId: event.spanId,
});

const instant = (ms: number | null): Date | undefined => (ms === null ? undefined : new Date(ms));

export const deliveryMessage = (delivery: Delivery): DeliveryMessage => ({
  event: eventMessage(delivery.event),
  state: Delivery_State[delivery.state],
  attempts: delivery.attempts,
  nextAttemptAt: instant(delivery.dueAt),
  lastAttemptAt: instant(delivery.lastAttemptAt),
  lastError: delivery.lastError,
  endedAt: instant(delivery.endedAt),
});
