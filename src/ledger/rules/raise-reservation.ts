/** RaiseReservation: sets more credits aside for a job that turns out larger than it looked. */

import { Failure } from '../../failure.ts';
import { allocate, includesLimitedGrant } from '../allocation/allocate.ts';
import { mergeInBurnOrder } from '../allocation/allocation.ts';
import { demandsByOperation } from '../allocation/waterfall.ts';
import { type Book, toMoves } from '../book.ts';
import type { Origin } from '../entry.ts';
import { accountClosed, reservationEnded, reservationNotFound } from '../failures.ts';
import { priceAmount, type RequestedAmount } from '../requested-amount.ts';

export type RaiseReservation = {
  readonly kind: 'RaiseReservation';
  readonly reservationId: string;
  /** What is added; usages are priced on the version the reservation was made on. */
  readonly amount: RequestedAmount;
};

export function raiseReservation(book: Book, command: RaiseReservation, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state !== 'ACTIVE') return reservationEnded(reservation);
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const priced = priceAmount(book, command.amount, reservation);
  if (priced instanceof Failure) return priced;
  const drawn = allocate(book, priced.credits, priced.lines);
  if (drawn instanceof Failure) return drawn;

  const entry = book.post(
    {
      kind: 'RAISE',
      moves: toMoves(drawn, 'available', 'reserved'),
      credits: priced.credits,
      reservationId: reservation.reservationId,
      usages: priced.lines,
      planId: reservation.planId,
      rateCardVersion: reservation.rateCardVersion,
      reference: reservation.reference,
      labels: reservation.labels,
    },
    origin,
  );
  reservation.credits += priced.credits;
  reservation.allocations = mergeInBurnOrder(book, [...reservation.allocations, ...drawn]);
  if (reservation.heldFor || includesLimitedGrant(book, drawn))
    reservation.heldFor = [...(reservation.heldFor ?? []), ...demandsByOperation(priced.lines)];
  book.changes.reservations.markChanged(reservation);
  return {
    kind: 'RaiseReservation',
    reservation,
    raised: priced.credits,
    entrySeq: entry.seq,
    lines: priced.lines,
  } as const;
}
