/** EventService: its RPCs, each with the function that serves it. */
import type { EventServiceServer } from '../../gen/billing/v1/event_service.ts';
import { handlersOf } from '../call/handlers.ts';
import type { SharedContext } from '../service-context.ts';
import { listDeliveries, replayDeadDeliveries, replayDelivery } from './deliveries.ts';
import { streamEvents } from './event-stream.ts';

export function eventService(context: SharedContext): EventServiceServer {
  const { unary, serverStream } = handlersOf(context, 'billing.v1.EventService');
  return {
    streamEvents: serverStream('StreamEvents', streamEvents),
    listDeliveries: unary('ListDeliveries', listDeliveries),
    replayDelivery: unary('ReplayDelivery', replayDelivery),
    replayDeadDeliveries: unary('ReplayDeadDeliveries', replayDeadDeliveries),
  };
}
