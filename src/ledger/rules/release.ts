/**
 * Release: gives back everything that a reservation holds. Repeating it changes nothing. An expired
 * reservation holds nothing any more; releasing it makes a late commit impossible.
 */
import type { Book } from '../book.ts';
import { returnCounts } from '../budget-counts.ts';
import { returnedByEnd } from '../budgeted-operations.ts';
import type { Origin } from '../entry.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { toReturnMoves } from '../moves.ts';
import { canCommit, entryFields, heldCredits, jobOf } from '../reservation.ts';

export type Release = { readonly kind: 'Release'; readonly reservationId: string };

export function release(book: Book, command: Release, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state === 'COMMITTED') return reservationEnded(reservation);
  if (!canCommit(reservation, book))
    return { kind: 'Release', reservation, released: 0n, entrySeq: 0n } as const;

  const released = heldCredits(reservation);
  const entry = book.post(
    {
      kind: 'RELEASE',
      moves: toReturnMoves(book, reservation.allocations),
      credits: released,
      ...entryFields(reservation),
    },
    origin,
  );
  returnCounts(book, jobOf(reservation), returnedByEnd(reservation), origin);
  reservation.state = 'RELEASED';
  reservation.returned += released;
  reservation.allocations = [];
  reservation.expiredAllocations = [];
  reservation.heldFor = null;
  reservation.heldByOperation = null;
  reservation.endedAt = book.now;
  book.changes.reservations.markChanged(reservation);
  return { kind: 'Release', reservation, released, entrySeq: entry.seq } as const;
}
