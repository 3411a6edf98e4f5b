/**
 * Chooses where the credits of a commit come from: from what its reservation holds and, beyond that,
 * from what is available, if the policy is DRAW or TAKE or the reservation has expired. With TAKE the account
 * owes what nothing pays.
 */
import { Failure } from '../../failure.ts';
import { min } from '../../min.ts';
import type { Book } from '../book.ts';
import { exceedsReservation, reservationEnded } from '../failures.ts';
import { ALL_OPERATIONS } from '../grant.ts';
import type { PricedAmount } from '../requested-amount.ts';
import { heldCredits, type Reservation } from '../reservation.ts';
import { allocate, allocateOwing, allocateUnmet } from './allocate.ts';
import { type Allocation, OVERAGE, splitAllocations } from './allocation.ts';
import {
  type Demand,
  demandsByOperation,
  flowTo,
  type Source,
  toDemands,
  toSource,
  Waterfall,
} from './waterfall.ts';

export type CommitAllocation = {
  /** Committed from what the reservation holds. */
  readonly fromHeld: readonly Allocation[];
  /** Committed from what is available. */
  readonly fromAvailable: readonly Allocation[];
  /** What the reservation holds and the commit does not use. */
  readonly uncommitted: readonly Allocation[];
};

/**
 * Allocates the commit of an active reservation. A commit that is not `final` uses the most limited
 * grants first, so that what stays reserved can pay for as many operations as possible.
 */
export function allocateCommit(
  book: Book,
  reservation: Reservation,
  amount: PricedAmount,
  final: boolean,
): CommitAllocation | Failure {
  if (book.hasLimitedGrants && amount.lines.length > 0)
    return allocateCommitByUsage(book, reservation, amount, final);
  // A commit without usages may use everything that is held: it was reserved for this job.
  const held = heldCredits(reservation);
  const credits = applyOverCommitPolicy(reservation, amount.credits, held);
  if (credits instanceof Failure) return credits;
  const beyondHeld = credits > held ? credits - held : 0n;
  const fromAvailable = owes(reservation)
    ? allocateOwing(book, beyondHeld)
    : allocate(book, beyondHeld);
  if (fromAvailable instanceof Failure) return fromAvailable;
  const { allocations } = reservation;
  if (book.hasLimitedGrants && !final) {
    const { first } = splitAllocations(mostLimitedFirst(book, allocations), credits - beyondHeld);
    return { ...splitHeld(allocations, first), fromAvailable };
  }
  const { first, rest } = splitAllocations(allocations, credits - beyondHeld);
  return { fromHeld: first, fromAvailable, uncommitted: rest };
}

/**
 * Allocates the late commit of an expired reservation. It holds nothing any more, so everything comes from
 * what is available: first from the grants it had held, as much as it had held of them.
 */
export function allocateLateCommit(
  book: Book,
  reservation: Reservation,
  amount: PricedAmount,
): CommitAllocation | Failure {
  const credits = applyOverCommitPolicy(reservation, amount.credits, reservation.returned);
  if (credits instanceof Failure) return credits;
  const { heldFor, expiredAllocations } = reservation;
  const waterfall = new Waterfall();
  const demands =
    heldFor && amount.lines.length === 0
      ? [...heldFor, { operation: null, credits }]
      : toDemands(credits, amount.lines);
  waterfall.addDemands(demands, credits);
  const fromAvailable = allocateUnmet(book, waterfall, {
    preferred: expiredAllocations,
    owes: owes(reservation),
  });
  // The credits of an expired reservation may be gone. Then it has simply expired.
  if (fromAvailable instanceof Failure) return reservationEnded(reservation);
  return { fromHeld: [], fromAvailable, uncommitted: [] };
}

/** Allocates a commit of usages where grants are limited: a limited grant pays only its operations. */
function allocateCommitByUsage(
  book: Book,
  reservation: Reservation,
  amount: PricedAmount,
  final: boolean,
): CommitAllocation | Failure {
  const { allocations, heldFor } = reservation;
  const demands = demandsByOperation(amount.lines);
  const held = toHeldSources(book, final ? allocations : mostLimitedFirst(book, allocations));
  const waterfall = new Waterfall();
  waterfall.addDemands(demands);
  for (const { source } of held) waterfall.assign(source);
  const payable = amount.credits - waterfall.unmet;
  const credits = applyOverCommitPolicy(reservation, amount.credits, payable);
  if (credits instanceof Failure) return credits;
  const fromAvailable =
    credits > payable ? allocateUnmet(book, waterfall, { owes: owes(reservation) }) : [];
  if (fromAvailable instanceof Failure) return fromAvailable;
  const used =
    final || !heldFor ? held : reassign(held, demands, remainingDemands(heldFor, demands));
  return { ...splitHeld(allocations, flowsByGrant(used, demands.length)), fromAvailable };
}

type HeldSource = { readonly grantId: bigint; readonly source: Source };

const toHeldSources = (book: Book, allocations: readonly Allocation[]): readonly HeldSource[] =>
  allocations.map(({ grantId, credits }) => ({
    grantId,
    source: toSource(
      grantId === OVERAGE ? ALL_OPERATIONS : book.getGrant(grantId).operations,
      credits,
    ),
  }));

/** Credits that each held source pays to the first `demandCount` demands. */
const flowsByGrant = (held: readonly HeldSource[], demandCount: number): readonly Allocation[] =>
  held.map(({ grantId, source }) => {
    let credits = 0n;
    for (let demand = 0; demand < demandCount; demand++) credits += flowTo(source, demand);
    return { grantId, credits };
  });

/**
 * Pays the same credits for the same operations again, from the held sources that the rest of the
 * reservation's demands can do without.
 */
function reassign(
  held: readonly HeldSource[],
  demands: readonly Demand[],
  rest: readonly Demand[],
): readonly HeldSource[] {
  const paid = demands.map(({ operation }, demand) => ({
    operation,
    credits: held.reduce((sum, { source }) => sum + flowTo(source, demand), 0n),
  }));
  const fresh = held.map(({ grantId, source }) => {
    const assigned = source.flows.reduce((sum, credits) => sum + (credits ?? 0n), 0n);
    return { grantId, source: toSource(source.operations, source.remaining + assigned) };
  });
  const waterfall = new Waterfall();
  for (const added of [paid, rest]) {
    waterfall.addDemands(added);
    for (const { source } of fresh) waterfall.assign(source);
  }
  return fresh;
}

/** What is left of the demands a reservation was made for after usages were committed. */
export function remainingDemands(
  heldFor: readonly Demand[],
  committed: readonly Demand[],
): readonly Demand[] {
  const unmatched = new Map(committed.map(({ operation, credits }) => [operation, credits]));
  return heldFor.flatMap(({ operation, credits }) => {
    const used = unmatched.get(operation) ?? 0n;
    unmatched.set(operation, used > credits ? used - credits : 0n);
    return used < credits ? [{ operation, credits: credits - used }] : [];
  });
}

/** Sorts allocations: grants for the fewest operations first, unlimited grants and overage last. */
function mostLimitedFirst(book: Book, allocations: readonly Allocation[]): readonly Allocation[] {
  const operationCount = ({ grantId }: Allocation) =>
    (grantId === OVERAGE ? 0 : book.getGrant(grantId).operations.length) || Number.MAX_SAFE_INTEGER;
  return [...allocations].sort((a, b) => operationCount(a) - operationCount(b));
}

/** Splits what a reservation holds into what a commit uses of each grant and what it does not. */
export function splitHeld(allocations: readonly Allocation[], used: readonly Allocation[]) {
  const usedOfGrant = new Map(used.map(({ grantId, credits }) => [grantId, credits]));
  const fromHeld: Allocation[] = [];
  const uncommitted: Allocation[] = [];
  for (const { grantId, credits } of allocations) {
    const committed = min(usedOfGrant.get(grantId) ?? 0n, credits);
    if (committed > 0n) fromHeld.push({ grantId, credits: committed });
    if (committed < credits) uncommitted.push({ grantId, credits: credits - committed });
  }
  return { fromHeld, uncommitted };
}

/** Whether the account owes what nothing pays of a commit. */
const owes = ({ overCommitPolicy }: Reservation): boolean => overCommitPolicy === 'TAKE';

/** The credits to commit of those asked for, where what is held can pay `allowed`. */
function applyOverCommitPolicy(
  reservation: Reservation,
  asked: bigint,
  allowed: bigint,
): bigint | Failure {
  switch (reservation.overCommitPolicy) {
    case 'DRAW':
    case 'TAKE':
      return asked;
    case 'CAP':
      return min(asked, allowed);
    case 'REJECT':
      return asked <= allowed ? asked : exceedsReservation(reservation, asked, allowed);
  }
}
