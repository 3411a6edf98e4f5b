/** Reservations as messages. */
import {
  OverCommitPolicy,
  Reservation_State,
  type Reservation as ReservationMessage,
} from '../../gen/billing/v1/ledger.ts';
import { heldCredits, type Reservation } from '../../ledger/reservation.ts';
import { mapOf } from '../../map-of.ts';
import { allocationMessage } from './grant.ts';
import { optionalInstant } from './time.ts';

export const reservationMessage = (reservation: Reservation): ReservationMessage => ({
  accountId: reservation.accountId,
  reservationId: reservation.reservationId,
  state: Reservation_State[reservation.state],
  credits: reservation.credits,
  held: heldCredits(reservation),
  committed: reservation.committed,
  returned: reservation.returned,
  allocations: reservation.allocations.map(allocationMessage),
  expiresAt: new Date(reservation.expiresAt),
  createdAt: new Date(reservation.createdAt),
  endedAt: optionalInstant(reservation.endedAt),
  overCommitPolicy: OverCommitPolicy[reservation.overCommitPolicy],
  rateCardVersion: BigInt(reservation.rateCardVersion),
  reference: reservation.reference,
  labels: mapOf(reservation.labels),
  late: reservation.late,
  planId: reservation.planId,
  usedAt: optionalInstant(reservation.usedAt),
});
