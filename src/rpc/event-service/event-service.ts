/** EventService: events to follow, and their deliveries to the webhook endpoint. */
import { Failure } from '../../failure.ts';
import {
  Delivery,
  Delivery_State,
  type EventServiceServer,
} from '../../gen/billing/v1/event_service.ts';
import {
  type DeliveryState,
  listDeliveries,
  replayDead,
  replayDelivery,
} from '../../store/deliveries.ts';
import { Check } from '../call/field-checker.ts';
import { serverStream, unary } from '../call/handler.ts';
import { cutPage, keyOfPageToken, pageToken } from '../call/pages.ts';
import { deliveryMessage } from '../messages/event.ts';
import type { ServiceContext } from '../service-context.ts';
import { streamEvents } from './event-stream.ts';

const service = 'billing.v1.EventService';
const POSITION = /^[1-9]\d{0,17}$/;
const REPLAYED_MAX = 1_000;

const STATES = new Map<Delivery_State, DeliveryState | null>([
  [Delivery_State.UNSPECIFIED, null],
  [Delivery_State.PENDING, 'PENDING'],
  [Delivery_State.DELIVERED, 'DELIVERED'],
  [Delivery_State.DEAD, 'DEAD'],
]);

export function eventService(context: ServiceContext): EventServiceServer {
  return {
    streamEvents: serverStream(context, `${service}/StreamEvents`, (request, write, signal) =>
      streamEvents(context, request, write, signal),
    ),

    listDeliveries: unary(context, `${service}/ListDeliveries`, async (request) => {
      const check = new Check();
      const { accountId } = request;
      if (accountId) check.accountId(accountId);
      const state = STATES.get(request.state);
      if (state === undefined) check.refuse('state', 'must be a known state');
      const limit = check.pageSize(request.pageSize);
      check.pass();
      const list = ['deliveries', accountId, state ?? ''];
      const below = keyOfPageToken(list, request.pageToken, POSITION);
      const found = await listDeliveries(
        context.em(),
        { state: state ?? null, accountId },
        below === null ? null : BigInt(below),
        limit + 1,
      );
      const { messages, nextPageToken } = cutPage(
        found,
        limit,
        Delivery,
        deliveryMessage,
        ({ event }) => pageToken(list, event.position),
      );
      return { response: { deliveries: messages, nextPageToken } };
    }),

    replayDelivery: unary(context, `${service}/ReplayDelivery`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const eventId = check.eventId(request.eventId);
      check.pass();
      const replayed = await replayDelivery(context.em(), accountId, eventId, context.clock());
      if (!replayed)
        return new Failure(
          'DELIVERY_NOT_FOUND',
          `account ${accountId} has no delivery of event ${eventId}`,
          { account_id: accountId, event_id: eventId },
        );
      return { response: { delivery: deliveryMessage(replayed) } };
    }),

    replayDeadDeliveries: unary(context, `${service}/ReplayDeadDeliveries`, async (request) => {
      const check = new Check();
      const { accountId } = request;
      if (accountId) check.accountId(accountId);
      check.pass();
      const { em, clock } = context;
      return { response: { replayed: await replayDead(em(), accountId, clock(), REPLAYED_MAX) } };
    }),
  };
}
