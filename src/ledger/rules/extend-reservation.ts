/** ExtendReservation: gives a running job more time. No credits move, so there is no entry. */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { chooseTtl } from './reserve.ts';

export type ExtendReservation = {
  readonly kind: 'ExtendReservation';
  readonly reservationId: string;
  /** Milliseconds, counted from now. */
  readonly ttlMs: number;
};

export function extendReservation(book: Book, command: ExtendReservation) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state !== 'ACTIVE') return reservationEnded(reservation);
  const ttlMs = chooseTtl(book, command.ttlMs);
  if (ttlMs instanceof Failure) return ttlMs;

  reservation.expiresAt = Math.max(reservation.expiresAt, book.now + ttlMs);
  book.changes.reservations.markChanged(reservation);
  return { kind: 'ExtendReservation', reservation } as const;
}
