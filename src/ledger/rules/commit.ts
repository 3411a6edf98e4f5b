/**
 * Commit: charges what a reserved job used. Unless more commits follow, the same entry gives the rest
 * back to the grants it came from.
 */
import { Failure } from '../../failure.ts';
import { min } from '../../min.ts';
import { type Allocation, mergeInBurnOrder, totalCredits } from '../allocation/allocation.ts';
import {
  allocateCommit,
  allocateLateCommit,
  type CommitAllocation,
  remainingDemands,
} from '../allocation/commit-allocation.ts';
import { demandsByOperation } from '../allocation/waterfall.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { reservationEnded, reservationNotFound } from '../failures.ts';
import { toMoves, toReturnMoves } from '../moves.ts';
import { type PricedAmount, priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { entryFields, heldCredits, type Reservation } from '../reservation.ts';

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
  return postCommit(book, reservation, { ...command, late }, amount, allocation, origin);
}

type DecidedCommit = Commit & { readonly late: boolean };

function postCommit(
  book: Book,
  reservation: Reservation,
  command: DecidedCommit,
  amount: PricedAmount,
  { fromHeld, fromAvailable, uncommitted }: CommitAllocation,
  origin: Origin,
) {
  const split = mergeInBurnOrder(book, [...fromHeld, ...fromAvailable]);
  const committed = totalCredits(split);
  const entry = book.post(
    {
      kind: 'COMMIT',
      moves: [
        ...toMoves(fromHeld, 'reserved', 'consumed'),
        ...toMoves(fromAvailable, 'available', 'consumed'),
        ...(command.final ? toReturnMoves(book, uncommitted) : []),
      ],
      credits: committed,
      usages: amount.lines,
      late: command.late,
      ...entryFields(reservation),
    },
    origin,
  );
  updateReservation(book, reservation, command, amount, committed, uncommitted);
  return {
    kind: 'Commit',
    reservation,
    committed,
    split,
    entrySeq: entry.seq,
    lines: amount.lines,
  } as const;
}

function updateReservation(
  book: Book,
  reservation: Reservation,
  { final, late }: DecidedCommit,
  { lines }: PricedAmount,
  committed: bigint,
  uncommitted: readonly Allocation[],
) {
  reservation.committed += committed;
  reservation.late ||= late;
  reservation.allocations = final ? [] : uncommitted;
  if (late) reservation.returned -= min(committed, reservation.returned);
  else if (final) reservation.returned += totalCredits(uncommitted);
  if (final || late) {
    reservation.state = 'COMMITTED';
    reservation.endedAt = book.now;
    reservation.heldFor = null;
  } else if (reservation.heldFor) {
    reservation.heldFor = remainingDemands(reservation.heldFor, demandsByOperation(lines));
  }
  book.changes.reservations.markChanged(reservation);
}

/** A repeated commit is answered with the state and has no second effect. */
const unchanged = (reservation: Reservation) =>
  ({ kind: 'Commit', reservation, committed: 0n, split: [], entrySeq: 0n, lines: [] }) as const;
