/** RaiseReservation: sets more credits aside for a job that turns out larger than it looked. */
import { Failure } from '../../failure.ts';
import { type Book, movesOf } from '../book.ts';
import { draw, takesLimited } from '../draw.ts';
import type { Origin } from '../entry.ts';
import { accountClosed, reservationEnded, reservationNotFound } from '../failures.ts';
import { inBurnOrder } from '../split.ts';
import { priceUsagesOrCredits, type UsagesOrCredits } from '../usages-or-credits.ts';
import { byOperation } from '../waterfall.ts';

export type RaiseReservation = {
  readonly kind: 'RaiseReservation';
  readonly reservationId: string;
  /** What is added; usages are priced on the version the reservation was made on. */
  readonly asked: UsagesOrCredits;
};

export function raiseReservation(book: Book, command: RaiseReservation, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state !== 'ACTIVE') return reservationEnded(reservation);
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const priced = priceUsagesOrCredits(book, command.asked, reservation);
  if (priced instanceof Failure) return priced;
  const drawn = draw(book, priced.credits, priced.lines);
  if (drawn instanceof Failure) return drawn;

  const entry = book.post(
    {
      kind: 'RAISE',
      moves: movesOf(drawn, 'available', 'reserved'),
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
  reservation.allocations = inBurnOrder(book, [...reservation.allocations, ...drawn]);
  if (reservation.heldFor || takesLimited(book, drawn))
    reservation.heldFor = [...(reservation.heldFor ?? []), ...byOperation(priced.lines)];
  book.changes.reservations.change(reservation);
  return {
    kind: 'RaiseReservation',
    reservation,
    raised: priced.credits,
    entrySeq: entry.seq,
    lines: priced.lines,
  } as const;
}
