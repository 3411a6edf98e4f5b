/** Reserve: sets credits aside for a job that is about to run. */
import { Failure } from '../../failure.ts';
import { allocate, includesLimitedGrant } from '../allocation/allocate.ts';
import { allocateLate } from '../allocation/allocate-late.ts';
import { demandsByOperation, toDemands } from '../allocation/waterfall.ts';
import type { Book } from '../book.ts';
import { applyCounts, hasOperationBudget, newJob, planCounts } from '../budget-counts.ts';
import { addedBy } from '../budgeted-operations.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import type { Labels, Origin } from '../entry.ts';
import { reinstateExpired } from '../expired-allowances.ts';
import { invalidField } from '../failures.ts';
import { checkUsedAt } from '../late-usage.ts';
import { toMoves } from '../moves.ts';
import { type Criticality, checkPauseFloor } from '../pause-floor.ts';
import { chooseRateCard, priceAmount, type RequestedAmount } from '../requested-amount.ts';
import { entryFields, type OverCommitPolicy, type Reservation } from '../reservation.ts';
import { refuseNewWork } from '../suspension.ts';

export type Reserve = {
  readonly kind: 'Reserve';
  readonly amount: RequestedAmount;
  /** Null: the plan's default. */
  readonly ttlMs: number | null;
  readonly overCommitPolicy: OverCommitPolicy;
  /** Null: the version in force now. */
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  readonly criticality: Criticality;
  /** When the work was done; null: now. */
  readonly usedAt: number | null;
};

export function reserve(book: Book, command: Reserve, origin: Origin) {
  const refused = refuseNewWork(book);
  if (refused) return refused;
  const ttlMs = chooseTtl(book, command.ttlMs);
  if (ttlMs instanceof Failure) return ttlMs;
  const { usedAt } = command;
  const tooLate = checkUsedAt(book, usedAt);
  if (tooLate) return tooLate;
  const rateCard = chooseRateCard(book, command.rateCardVersion, usedAt);
  if (rateCard instanceof Failure) return rateCard;
  const priced = priceAmount(book, command.amount, rateCard);
  if (priced instanceof Failure) return priced;
  const overLimit = checkCallerLimits(book, priced.credits);
  if (overLimit) return overLimit;
  const paused = checkPauseFloor(book, command.criticality, priced.lines);
  if (paused) return paused;
  const counts = planCounts(book, newJob(book, command.labels, usedAt), addedBy(priced));
  if (counts instanceof Failure) return counts;
  const allocations =
    usedAt === null
      ? allocate(book, priced.credits, priced.lines)
      : allocateLate(book, priced, usedAt, { holds: true });
  if (allocations instanceof Failure) return allocations;
  if (usedAt !== null) reinstateExpired(book, allocations, usedAt, origin);

  const reservation: Reservation = {
    accountId: book.account.accountId,
    reservationId: book.newId(),
    state: 'ACTIVE',
    credits: priced.credits,
    committed: 0n,
    returned: 0n,
    allocations,
    expiredAllocations: [],
    heldFor: includesLimitedGrant(book, allocations) ? demandsByOperation(priced.lines) : null,
    heldByOperation: hasOperationBudget(book) ? toDemands(priced.credits, priced.lines) : null,
    expiresAt: book.now + ttlMs,
    entrySeq: book.account.seq + 1n,
    createdAt: book.now,
    usedAt,
    endedAt: null,
    endedAsking: null,
    overCommitPolicy: command.overCommitPolicy,
    ...rateCard,
    caller: origin.caller,
    reference: command.reference,
    labels: command.labels,
    late: false,
  };
  const entry = book.post(
    {
      kind: 'RESERVE',
      moves: toMoves(allocations, 'available', 'reserved'),
      credits: priced.credits,
      usages: priced.lines,
      usedAt,
      expiresAt: reservation.expiresAt,
      overCommitPolicy: reservation.overCommitPolicy,
      ...entryFields(reservation),
    },
    origin,
  );
  book.addReservation(reservation);
  applyCounts(book, counts, origin);
  return { kind: 'Reserve', reservation, entrySeq: entry.seq, lines: priced.lines } as const;
}

/** The time to live in milliseconds: as asked, or the plan's default. Fails above the plan's maximum. */
export function chooseTtl(book: Book, askedMs: number | null): number | Failure {
  const { ttlMs, maxTtlMs } = book.plan.terms.reservation;
  if (askedMs === null) return ttlMs;
  if (askedMs <= maxTtlMs) return askedMs;
  const allowed = `${maxTtlMs / 1000}s`;
  return invalidField(
    'ttl',
    `must be at most ${allowed}, the maximum of plan ${book.plan.planId}`,
    { allowed },
  );
}
