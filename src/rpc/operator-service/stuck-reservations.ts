/** ListStuckReservations: reservations of all accounts, oldest first. */
import { Reservation_State } from '../../gen/billing/v1/ledger.ts';
import {
  type ListStuckReservationsRequest,
  type ListStuckReservationsResponse,
  StuckReservation,
} from '../../gen/billing/v1/operator_service.ts';
import type { Reservation } from '../../ledger/reservation.ts';
import { type AgePosition, findStuckReservations } from '../../queries/stuck-reservations.ts';
import { ownerOf } from '../call/access.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { mergedPage } from '../call/merged-pages.ts';
import { reservationMessage } from '../messages/reservation.ts';
import { durationMessage } from '../messages/time.ts';
import type { ServiceContext } from '../service-context.ts';

/** The states of reservations that have rows. */
const STATES = new Map<Reservation_State, 'ACTIVE' | 'EXPIRED'>([
  [Reservation_State.UNSPECIFIED, 'ACTIVE'],
  [Reservation_State.ACTIVE, 'ACTIVE'],
  [Reservation_State.EXPIRED, 'EXPIRED'],
]);
const POSITION = /^\d{1,15} [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export async function listStuckReservations(
  context: ServiceContext,
  request: ListStuckReservationsRequest,
  { access }: UnaryCall,
): Promise<ListStuckReservationsResponse> {
  const { accountId } = request;
  const check = new FieldChecker();
  if (accountId) check.accountId(accountId);
  const state = STATES.get(request.state);
  if (state === undefined) check.addViolation('state', 'must be ACTIVE or EXPIRED');
  const olderThan = check.ttlMs(request.olderThan, 'older_than');
  const expiringWithin = check.ttlMs(request.expiringWithin, 'expiring_within');
  const pageSize = check.pageSize(request.pageSize);
  check.throwIfInvalid();
  const list = [
    'stuck reservations',
    accountId,
    state ?? '',
    String(olderThan),
    String(expiringWithin),
  ];
  const now = context.clock.now();
  const { messages, nextPageToken } = await mergedPage(context, {
    list,
    accountId,
    pageToken: request.pageToken,
    pageSize,
    keyPattern: POSITION,
    read: async (cell, after) => {
      const { reservations, next } = await findStuckReservations(cell.em(), {
        state: state ?? 'ACTIVE',
        accountId,
        madeBy: olderThan === null ? null : now - olderThan,
        expiringBy: expiringWithin === null ? null : now + expiringWithin,
        scope: access.permissions.accounts,
        caller: ownerOf(access),
        after: after === null ? null : toPosition(after),
        limit: pageSize,
      });
      return { rows: reservations, next: next && keyOf(next) };
    },
    keyOf,
    order: { byKeys: () => (one, other) => compare(toPosition(one), toPosition(other)) },
    codec: StuckReservation,
    toMessage: (reservation) => stuckReservationMessage(reservation, now),
  });
  return { reservations: messages, nextPageToken };
}

const compare = (one: AgePosition, other: AgePosition): number =>
  one.createdAt - other.createdAt || (one.reservationId < other.reservationId ? -1 : 1);

const keyOf = ({ createdAt, reservationId }: AgePosition): string =>
  `${createdAt} ${reservationId}`;

const stuckReservationMessage = (reservation: Reservation, now: number): StuckReservation => ({
  reservation: reservationMessage(reservation),
  caller: reservation.caller,
  age: durationMessage(Math.max(0, now - reservation.createdAt)),
  overdue: reservation.state === 'ACTIVE' && reservation.expiresAt <= now,
});

function toPosition(token: string): AgePosition {
  const [createdAt, reservationId = ''] = token.split(' ');
  return { createdAt: Number(createdAt), reservationId };
}
