/** Events, and their deliveries to the webhook endpoint, as messages. */
import { givenPosition } from '../../cells/moved-position.ts';
import {
  Delivery_State,
  type Delivery as DeliveryMessage,
  type Event as EventMessage,
} from '../../gen/billing/v1/event_service.ts';
import { mapOf } from '../../map-of.ts';
import type { Delivery } from '../../store/tables/deliveries.ts';
import type { PositionedEvent } from '../../store/tables/events.ts';
import { optionalInstant } from './time.ts';

export const eventMessage = (event: PositionedEvent): EventMessage => ({
  eventId: event.eventId,
  position: givenPosition(event),
  type: event.type,
  accountId: event.accountId,
  at: new Date(event.at),
  data: mapOf(event.data),
  traceId: event.traceId,
  spanId: event.spanId,
});

export const deliveryMessage = (delivery: Delivery): DeliveryMessage => ({
  event: eventMessage(delivery.event),
  state: Delivery_State[delivery.state],
  attempts: delivery.attempts,
  nextAttemptAt: optionalInstant(delivery.dueAt),
  lastAttemptAt: optionalInstant(delivery.lastAttemptAt),
  lastError: delivery.lastError,
  endedAt: optionalInstant(delivery.endedAt),
});
