/** Reserve: sets credits aside for a job that is about to run. */
import { Failure } from '../../failure.ts';
import { includesLimitedGrant } from '../allocation/allocate.ts';
import { demandsByOperation, toDemands } from '../allocation/waterfall.ts';
import type { Book } from '../book.ts';
import { applyCounts, hasOperationBudget } from '../budget-counts.ts';
import type { Origin } from '../entry.ts';
import { invalidField } from '../failures.ts';
import { toMoves } from '../moves.ts';
import { entryFields, type OverCommitPolicy, type Reservation } from '../reservation.ts';
import { refuseNewWork } from '../suspension.ts';
import { beginWork, type NewWork } from './new-work.ts';

export type Reserve = NewWork & {
  readonly kind: 'Reserve';
  /** Null: the plan's default. */
  readonly ttlMs: number | null;
  readonly overCommitPolicy: OverCommitPolicy;
};

export function reserve(book: Book, command: Reserve, origin: Origin) {
  const refused = refuseNewWork(book);
  if (refused) return refused;
  const ttlMs = chooseTtl(book, command.ttlMs);
  if (ttlMs instanceof Failure) return ttlMs;
  const work = beginWork(book, command, origin, { holds: true });
  if (work instanceof Failure) return work;
  const { usedAt } = command;
  const { priced, rateCard, counts, split: allocations } = work;

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
