/**
 * Commit: charges what a reserved job used. Unless more commits follow, the same entry gives the rest
 * back to the grants it came from.
 */
import { Failure } from '../../failure.ts';
import { min } from '../../min.ts';
import { MAX_CREDITS } from '../../pricing/plan.ts';
import {
  type Allocation,
  mergeInBurnOrder,
  OVERAGE,
  OWED,
  totalCredits,
} from '../allocation/allocation.ts';
import {
  allocateCommit,
  allocateLateCommit,
  type CommitAllocation,
  remainingDemands,
  splitHeld,
} from '../allocation/commit-allocation.ts';
import { type SparedAllocation, spareOverage } from '../allocation/spare-overage.ts';
import { demandsByOperation } from '../allocation/waterfall.ts';
import { amountKey, creditsKey } from '../amount-key.ts';
import type { Book } from '../book.ts';
import { applyCounts, planCounts } from '../budget-counts.ts';
import { commitChange } from '../budgeted-operations.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import { ACCOUNT_CREDITS_MAX } from '../credit-limit.ts';
import type { Move, Origin } from '../entry.ts';
import { exceedsReservation, reservationEnded, reservationNotFound } from '../failures.ts';
import { committedAt } from '../late-usage.ts';
import { toMoves, toReturnMoves } from '../moves.ts';
import { type PricedAmount, priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { canCommit, entryFields, heldCredits, jobOf, type Reservation } from '../reservation.ts';
import { refuseRunningWork } from '../suspension.ts';

export type Commit = {
  readonly kind: 'Commit';
  readonly reservationId: string;
  /** 'all': everything that is held. */
  readonly amount: RequestedAmount | 'all';
  /** False: the rest stays reserved for further commits. */
  readonly final: boolean;
};

export function commit(book: Book, command: Commit, origin: Origin) {
  const reservation = book.findReservation(command.reservationId);
  if (!reservation) return reservationNotFound(book.account.accountId, command.reservationId);
  if (reservation.state === 'COMMITTED') return repeatCommit(book, reservation, command);
  if (!canCommit(reservation, book)) return reservationEnded(reservation);
  const refused = refuseRunningWork(book);
  if (refused) return refused;
  const amount =
    command.amount === 'all'
      ? { credits: committableCredits(reservation), lines: [] }
      : priceAmount(book, command.amount, reservation);
  if (amount instanceof Failure) return amount;
  const allocation =
    reservation.state === 'EXPIRED'
      ? allocateLateCommit(book, reservation, amount)
      : allocateCommit(book, reservation, amount, command.final);
  if (allocation instanceof Failure) return allocation;
  const tooMuch =
    checkOwedLimit(book, reservation, amount, allocation) ??
    checkCommittedLimit(reservation, amount, allocation);
  if (tooMuch) return tooMuch;
  const beyond = beyondReserved(reservation, allocation);
  const overLimit = checkCallerLimits(book, beyond);
  if (overLimit) return overLimit;
  const { final } = command;
  const change = commitChange(
    reservation,
    amount,
    { ...allocation, beyondReserved: beyond },
    final,
  );
  const counts = planCounts(book, jobOf(reservation), change);
  if (counts instanceof Failure) return counts;
  const spared = spareOverage(book, amount, allocation);
  const outcome = postCommit(book, reservation, final, amount, spared, origin);
  reservation.heldByOperation = change.heldAfter;
  applyCounts(book, counts, origin);
  return outcome;
}

/** Sums of what an account owes are int64. */
function checkOwedLimit(
  { account }: Book,
  reservation: Reservation,
  { credits }: PricedAmount,
  { fromAvailable }: CommitAllocation,
): Failure | null {
  const last = fromAvailable.at(-1);
  if (last?.grantId !== OWED || account.owed + last.credits <= ACCOUNT_CREDITS_MAX) return null;
  const above = account.owed + last.credits - ACCOUNT_CREDITS_MAX;
  return exceedsReservation(reservation, credits, credits - above);
}

/** What one job has committed is int64, however often its account is granted more. */
function checkCommittedLimit(
  reservation: Reservation,
  { credits }: PricedAmount,
  { fromHeld, fromAvailable }: CommitAllocation,
): Failure | null {
  const room = MAX_CREDITS - reservation.committed;
  if (credits <= room || totalCredits(fromHeld) + totalCredits(fromAvailable) <= room) return null;
  return exceedsReservation(reservation, credits, room);
}

/** What the reservation set aside and is not committed yet. */
const committableCredits = (reservation: Reservation): bigint =>
  reservation.state === 'EXPIRED' ? reservation.returned : heldCredits(reservation);

/** What it charges beyond what the reservation set aside. */
const beyondReserved = (
  reservation: Reservation,
  { fromHeld, fromAvailable }: CommitAllocation,
): bigint => {
  const committed = totalCredits(fromHeld) + totalCredits(fromAvailable);
  return committed - min(committed, committableCredits(reservation));
};

/**
 * A commit of a committed reservation, under another request id. If it asks for exactly what was done, it is
 * answered with the state and has no second effect. Anything else would not be charged, so it fails.
 */
function repeatCommit(book: Book, reservation: Reservation, { amount, final }: Commit) {
  if (!final) return reservationEnded(reservation);
  if (amount === 'all') {
    if (reservation.returned > 0n) return reservationEnded(reservation);
  } else {
    const priced = priceAmount(book, amount, reservation);
    if (priced instanceof Failure) return priced;
    const asked = amountKey(priced);
    if (asked !== reservation.endedAsking && asked !== creditsKey(reservation.committed))
      return reservationEnded(reservation);
  }
  return {
    kind: 'Commit',
    reservation,
    committed: 0n,
    split: [],
    entrySeq: 0n,
    lines: [],
  } as const;
}

function postCommit(
  book: Book,
  reservation: Reservation,
  final: boolean,
  amount: PricedAmount,
  allocation: SparedAllocation,
  origin: Origin,
) {
  const { fromHeld, fromAvailable, overageSpared, uncommitted } = allocation;
  const split = mergeInBurnOrder(book, [...fromHeld, ...fromAvailable]);
  const committed = totalCredits(split);
  const entry = book.post(
    {
      kind: 'COMMIT',
      moves: [
        ...overageLast([
          ...toMoves(fromHeld, 'reserved', 'consumed'),
          ...toMoves(fromAvailable, 'available', 'consumed'),
        ]),
        ...toReturnMoves(book, final ? [...uncommitted, ...overageSpared] : overageSpared),
      ],
      credits: committed,
      usages: amount.lines,
      usedAt: committedAt(book, reservation, fromAvailable),
      late: reservation.state === 'EXPIRED',
      final,
      ...(amount.lines.length === 0 && amount.credits !== committed && { asked: amount.credits }),
      ...entryFields(reservation),
    },
    origin,
  );
  if (reservation.state === 'EXPIRED') updateExpired(reservation, committed, fromAvailable);
  else updateActive(reservation, final, committed, uncommitted);
  if (final) {
    reservation.state = 'COMMITTED';
    reservation.endedAt = book.now;
    reservation.endedAsking = amountKey(amount);
    reservation.expiredAllocations = [];
    reservation.heldFor = null;
  } else if (reservation.heldFor) {
    const committedDemands = demandsByOperation(amount.lines);
    reservation.heldFor = remainingDemands(reservation.heldFor, committedDemands);
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

/** A refund gives back what was used last: first what is owed, then overage. */
const overageLast = (moves: Move[]): Move[] =>
  moves.sort((a, b) => Number(a.grantId === OVERAGE) - Number(b.grantId === OVERAGE));

function updateActive(
  reservation: Reservation,
  final: boolean,
  committed: bigint,
  uncommitted: readonly Allocation[],
) {
  reservation.committed += committed;
  reservation.allocations = final ? [] : uncommitted;
  if (final) reservation.returned += totalCredits(uncommitted);
}

/** A late commit that is not final leaves the reservation expired, for further late commits. */
function updateExpired(reservation: Reservation, committed: bigint, split: readonly Allocation[]) {
  reservation.committed += committed;
  reservation.returned -= min(committed, reservation.returned);
  reservation.expiredAllocations = splitHeld(reservation.expiredAllocations, split).uncommitted;
  reservation.late = true;
}
