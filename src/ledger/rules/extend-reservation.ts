/** ExtendReservation: gives a running job more time. No credits move. */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { entryFields } from '../reservation.ts';
import { refuseRunningWork } from '../suspension.ts';
import { chooseTtl } from './reserve.ts';

export type ExtendReservation = {
  readonly kind: 'ExtendReservation';
  readonly reservationId: string;
  /** Milliseconds, counted from now. */
  readonly ttlMs: number;
};

/** A reservation that expires later already stays as it is. */
export function extendReservation(book: Book, command: ExtendReservation, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state !== 'ACTIVE') return reservationEnded(reservation);
  const refused = refuseRunningWork(book);
  if (refused) return refused;
  const ttlMs = chooseTtl(book, command.ttlMs);
  if (ttlMs instanceof Failure) return ttlMs;

  const expiresAt = book.now + ttlMs;
  if (expiresAt <= reservation.expiresAt)
    return { kind: 'ExtendReservation', reservation, entrySeq: 0n } as const;
  reservation.expiresAt = expiresAt;
  book.changes.reservations.markChanged(reservation);
  const entry = book.post({ kind: 'EXTEND', expiresAt, ...entryFields(reservation) }, origin);
  return { kind: 'ExtendReservation', reservation, entrySeq: entry.seq } as const;
}
