/**
 * Commit: charges what a reserved job used. Unless more commits follow, the same entry gives the rest
 * back to the grants it came from.
 */

import { Failure } from '../../failure.ts';
import { min } from '../../min.ts';
import { mergeInBurnOrder, totalCredits } from '../allocation/allocation.ts';
import {
  allocateCommit,
  allocateLateCommit,
  type CommitAllocation,
  remainingDemands,
} from '../allocation/commit-allocation.ts';
import { demandsByOperation } from '../allocation/waterfall.ts';
import type { Book } from '../book.ts';
import type { Move, Origin } from '../entry.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { toMoves, toReturnMoves } from '../moves.ts';
import { type PricedAmount, priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { heldCredits, type Reservation } from '../reservation.ts';

export type Commit = {
  readonly kind: 'Commit';
  readonly reservationId: string;
  /** Null: everything that is held. */
  readonly amount: RequestedAmount | null;
  /** False: the rest stays reserved for further commits. */
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

  const amount: PricedAmount | Failure = command.amount
    ? priceAmount(book, command.amount, reservation)
    : { credits: late ? reservation.returned : heldCredits(reservation), lines: [] };
  if (amount instanceof Failure) return amount;
  const allocation = late
    ? allocateLateCommit(book, reservation, amount)
    : allocateCommit(book, reservation, amount, command.final);
  if (allocation instanceof Failure) return allocation;
  return post(book, reservation, { ...command, late }, amount, allocation, origin);
}

function post(
  book: Book,
  reservation: Reservation,
  command: Commit & { late: boolean },
  amount: PricedAmount,
  allocation: CommitAllocation,
  origin: Origin,
) {
  const split = mergeInBurnOrder(book, [...allocation.fromHeld, ...allocation.fromAvailable]);
  const committed = totalCredits(split);
  const moves: Move[] = [
    ...toMoves(allocation.fromHeld, 'reserved', 'consumed'),
    ...toMoves(allocation.fromAvailable, 'available', 'consumed'),
    ...(command.final ? toReturnMoves(book, allocation.uncommitted) : []),
  ];
  const entry = book.post(
    {
      kind: 'COMMIT',
      moves,
      credits: committed,
      reservationId: reservation.reservationId,
      usages: amount.lines,
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
  reservation.allocations = command.final ? [] : allocation.uncommitted;
  if (command.late) reservation.returned -= min(committed, reservation.returned);
  else if (command.final) reservation.returned += totalCredits(allocation.uncommitted);
  if (command.final || command.late) {
    reservation.state = 'COMMITTED';
    reservation.endedAt = book.now;
    reservation.heldFor = null;
  } else if (reservation.heldFor) {
    reservation.heldFor = remainingDemands(reservation.heldFor, demandsByOperation(amount.lines));
  }
  book.changes.reservations.markChanged(reservation);
  return {
    kind: 'Commit',
    reservation,
    committed,
    split,
    entrySeq: entry.seq,
    lines: amount.lines,
  } as const;
}

/** A repeated commit is answered with the state and has no second effect. */
const unchanged = (reservation: Reservation) =>
  ({ kind: 'Commit', reservation, committed: 0n, split: [], entrySeq: 0n, lines: [] }) as const;
