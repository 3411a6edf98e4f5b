/**
 * Commit: charges what a reserved job really used. What is not committed goes back to the grants it
 * came from, in the same entry.
 */
import { Failure } from '../../failure.ts';
import { type Book, movesOf } from '../book.ts';
import type { Move, Origin } from '../entry.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { heldBy, type Reservation, total } from '../reservation.ts';
import { giveBack } from '../settle.ts';
import { inBurnOrder } from '../split.ts';
import { type Priced, priceUsagesOrCredits, type UsagesOrCredits } from '../usages-or-credits.ts';
import { byOperation } from '../waterfall.ts';
import { type CommitAllocation, remainingDemands, take, takeLate } from './commit-allocation.ts';

export type Commit = {
  readonly kind: 'Commit';
  readonly reservationId: string;
  /** Null: all that is held. */
  readonly asked: UsagesOrCredits | null;
  /** False: what is not committed stays reserved. */
  readonly final: boolean;
};

export function commit(book: Book, command: Commit, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state === 'COMMITTED') return unchanged(reservation);
  if (reservation.state === 'RELEASED') return reservationEnded(reservation);
  const late = reservation.state === 'EXPIRED';
  if (late && book.now > reservation.expiresAt + book.plan.terms.reservation.graceMs)
    return reservationEnded(reservation);

  const asked: Priced | Failure = command.asked
    ? priceUsagesOrCredits(book, command.asked, reservation)
    : { credits: late ? reservation.returned : heldBy(reservation), lines: [] };
  if (asked instanceof Failure) return asked;
  const taking = late
    ? takeLate(book, reservation, asked)
    : take(book, reservation, asked, command.final);
  if (taking instanceof Failure) return taking;
  return post(book, reservation, { ...command, late }, asked, taking, origin);
}

function post(
  book: Book,
  reservation: Reservation,
  command: Commit & { late: boolean },
  asked: Priced,
  taking: CommitAllocation,
  origin: Origin,
) {
  const split = inBurnOrder(book, [...taking.held, ...taking.drawn]);
  const committed = total(split);
  const moves: Move[] = [
    ...movesOf(taking.held, 'reserved', 'consumed'),
    ...movesOf(taking.drawn, 'available', 'consumed'),
    ...(command.final ? giveBack(book, taking.left) : []),
  ];
  const entry = book.post(
    {
      kind: 'COMMIT',
      moves,
      credits: committed,
      reservationId: reservation.reservationId,
      usages: asked.lines,
      planId: reservation.planId,
      rateCardVersion: reservation.rateCardVersion,
      late: command.late,
      reference: reservation.reference,
      labels: reservation.labels,
    },
    origin,
  );
  reservation.committed += committed;
  reservation.late ||= command.late;
  reservation.allocations = command.final ? [] : taking.left;
  if (command.late) reservation.returned -= smaller(committed, reservation.returned);
  else if (command.final) reservation.returned += total(taking.left);
  if (command.final || command.late) {
    reservation.state = 'COMMITTED';
    reservation.endedAt = book.now;
    reservation.heldFor = null;
  } else if (reservation.heldFor) {
    reservation.heldFor = remainingDemands(reservation.heldFor, byOperation(asked.lines));
  }
  book.changes.reservations.change(reservation);
  return {
    kind: 'Commit',
    reservation,
    committed,
    split,
    entrySeq: entry.seq,
    lines: asked.lines,
  } as const;
}

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** The commit of a committed reservation: its state, and no second effect. */
const unchanged = (reservation: Reservation) =>
  ({ kind: 'Commit', reservation, committed: 0n, split: [], entrySeq: 0n, lines: [] }) as const;
