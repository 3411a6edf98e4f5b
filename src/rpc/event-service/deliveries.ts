/** Deliveries of events to the webhook endpoint: ListDeliveries, ReplayDelivery, ReplayDeadDeliveries. */

import {
  replayDelivery as replay,
  replayDeadDeliveries as replayDead,
} from '../../events/replay-deliveries.ts';
import { Failure } from '../../failure.ts';
import {
  Delivery_State,
  Delivery as DeliveryMessage,
  type ListDeliveriesRequest,
  type ListDeliveriesResponse,
  type ReplayDeadDeliveriesRequest,
  type ReplayDeadDeliveriesResponse,
  type ReplayDeliveryRequest,
  type ReplayDeliveryResponse,
} from '../../gen/billing/v1/event_service.ts';
import { findDeliveries } from '../../queries/deliveries.ts';
import type { Delivery, DeliveryState } from '../../store/tables/deliveries.ts';
import { actorOf } from '../call/audit-log.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCell } from '../call/in-cell.ts';
import { mergedPage, toCellPage } from '../call/merged-pages.ts';
import { deliveryMessage } from '../messages/event.ts';
import type { ServiceContext } from '../service-context.ts';

/** Null: deliveries in any state. */
const STATES = new Map<Delivery_State, DeliveryState | null>([
  [Delivery_State.UNSPECIFIED, null],
  [Delivery_State.PENDING, 'PENDING'],
  [Delivery_State.DELIVERED, 'DELIVERED'],
  [Delivery_State.DEAD, 'DEAD'],
]);
/** Below 0: given by the cell that the account was in before. */
const POSITION = /^-?[1-9]\d{0,17}$/;

export async function listDeliveries(
  context: ServiceContext,
  request: ListDeliveriesRequest,
  { access }: UnaryCall,
): Promise<ListDeliveriesResponse> {
  const { accountId } = request;
  const check = new FieldChecker();
  if (accountId) check.accountId(accountId);
  const state = STATES.get(request.state);
  if (state === undefined) check.addViolation('state', 'must be a known state');
  const pageSize = check.pageSize(request.pageSize);
  check.throwIfInvalid();
  const list = ['deliveries', accountId, state ?? ''];
  const filter = { state: state ?? null, accountId, scope: access.permissions.accounts };
  const keyOf = ({ event }: Delivery) => String(event.position);
  const { messages, nextPageToken } = await mergedPage(context, {
    list,
    accountId,
    pageToken: request.pageToken,
    pageSize,
    keyPattern: POSITION,
    read: async (cell, below) => {
      const before = below === null ? null : BigInt(below);
      const rows = await findDeliveries(cell.em(), filter, before, pageSize + 1);
      return toCellPage(rows, pageSize, keyOf);
    },
    keyOf,
    order: { byRows: (one, other) => other.event.at - one.event.at },
    codec: DeliveryMessage,
    toMessage: deliveryMessage,
  });
  return { deliveries: messages, nextPageToken };
}

export async function replayDelivery(
  { em, clock, audit }: ServiceContext,
  request: ReplayDeliveryRequest,
  { record }: UnaryCall,
): Promise<ReplayDeliveryResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const eventId = check.eventId(request.eventId);
  check.throwIfInvalid();
  const delivery = await replay(em(), accountId, eventId, clock.now());
  if (!delivery)
    throw new Failure(
      'DELIVERY_NOT_FOUND',
      `account ${accountId} has no delivery of event ${eventId}`,
      { account_id: accountId, event_id: eventId },
    );
  audit.acted({ ...actorOf(record), method: 'ReplayDelivery', accountId });
  return { delivery: deliveryMessage(delivery) };
}

/** Deliveries that one call replays, at most. */
const REPLAYED_MAX = 1_000;

export async function replayDeadDeliveries(
  { cells, audit }: ServiceContext,
  { accountId }: ReplayDeadDeliveriesRequest,
  { record, access }: UnaryCall,
): Promise<ReplayDeadDeliveriesResponse> {
  const check = new FieldChecker();
  if (accountId) check.accountId(accountId);
  check.throwIfInvalid();
  const of = { accountId, scope: access.permissions.accounts };
  let replayed = 0;
  // One after the other: all of them together have one limit.
  for (const cell of cells.allOf(accountId))
    replayed += await readInCell(cell, ({ em, clock }) =>
      replayDead(em(), of, clock.now(), REPLAYED_MAX - replayed),
    );
  audit.acted({ ...actorOf(record), method: 'ReplayDeadDeliveries', accountId });
  return { replayed };
}
