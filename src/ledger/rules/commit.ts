/**
 * Commit: charges what a reserved job really used. What is not committed goes back to the grants it
 * came from, in the same entry.
 */
import { Failure } from '../../failure.ts';
import {
  allocateCommit,
  allocateLateCommit,
  type CommitAllocation,
  remainingDemands,
} from '../allocation/commit-allocation.ts';
import { mergeInBurnOrder } from '../allocation/split.ts';
import { demandsByOperation } from '../allocation/waterfall.ts';
import { type Book, toMoves } from '../book.ts';
import type { Move, Origin } from '../entry.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { type PricedAmount, priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { heldCredits, type Reservation, totalCredits } from '../reservation.ts';
import { toReturnMoves } from '../settle.ts';

export type Commit = {
  readonly kind: 'Commit';
  readonly reservationId: string;
  /** Null: all that is held. */
  readonly amount: RequestedAmount | null;
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

  const asked: PricedAmount | Failure = command.amount
    ? priceAmount(book, command.amount, reservation)
    : { credits: late ? reservation.returned : heldCredits(reservation), lines: [] };
  if (asked instanceof Failure) return asked;
  const taking = late
    ? allocateLateCommit(book, reservation, asked)
    : allocateCommit(book, reservation, asked, command.final);
  if (taking instanceof Failure) return taking;
  return post(book, reservation, { ...command, late }, asked, taking, origin);
}

function post(
  book: Book,
  reservation: Reservation,
  command: Commit & { late: boolean },
  asked: PricedAmount,
  taking: CommitAllocation,
  origin: Origin,
) {
  const split = mergeInBurnOrder(book, [...taking.fromHeld, ...taking.drawn]);
  const committed = totalCredits(split);
  const moves: Move[] = [
    ...toMoves(taking.fromHeld, 'reserved', 'consumed'),
    ...toMoves(taking.drawn, 'available', 'consumed'),
    ...(command.final ? toReturnMoves(book, taking.stillHeld) : []),
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
  reservation.allocations = command.final ? [] : taking.stillHeld;
  if (command.late) reservation.returned -= smaller(committed, reservation.returned);
  else if (command.final) reservation.returned += totalCredits(taking.stillHeld);
  if (command.final || command.late) {
    reservation.state = 'COMMITTED';
    reservation.endedAt = book.now;
    reservation.heldFor = null;
  } else if (reservation.heldFor) {
    reservation.heldFor = remainingDemands(reservation.heldFor, demandsByOperation(asked.lines));
  }
  book.changes.reservations.markChanged(reservation);
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
