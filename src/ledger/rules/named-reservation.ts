/** Finds the reservation a command names, and says how one ended. */
import { Failure, type Reason } from '../../failure.ts';
import type { Book } from '../book.ts';
import type { Reservation } from '../reservation.ts';

export function reservationNamed(book: Book, reservationId: string): Reservation | Failure {
  return (
    book.reservations.get(reservationId) ??
    reservationNotFound(book.account.accountId, reservationId)
  );
}

export const reservationNotFound = (accountId: string, reservationId: string): Failure =>
  new Failure('RESERVATION_NOT_FOUND', `account ${accountId} has no reservation ${reservationId}`, {
    reservation_id: reservationId,
    account_id: accountId,
  });

/** The failure that says that, how and when a reservation ended. */
export function reservationEnded(reservation: Reservation): Failure {
  const { reservationId, state } = reservation;
  const at = new Date(reservation.endedAt ?? reservation.expiresAt).toISOString();
  return new Failure(
    `RESERVATION_${state}` as Reason,
    `reservation ${reservationId} is ${state} since ${at}`,
    { reservation_id: reservationId, state, at },
  );
}
