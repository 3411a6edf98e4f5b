/**
 * What a commit takes, and from where: from what its reservation holds, and beyond that, where the
 * policy draws or the reservation has expired, from what is available.
 */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { exceedsReservation, reservationEnded } from '../failures.ts';
import { ALL_OPERATIONS } from '../grant.ts';
import type { PricedAmount } from '../requested-amount.ts';
import {
  type Allocation,
  heldCredits,
  OVERAGE,
  type Reservation,
  splitAllocations,
} from '../reservation.ts';
import { allocate, allocateDemands, allocateUnmet } from './allocate.ts';
import {
  type Demand,
  demandsByOperation,
  flowTo,
  type Source,
  toSource,
  Waterfall,
} from './waterfall.ts';

export type CommitAllocation = {
  /** From what the reservation holds. */
  readonly fromHeld: readonly Allocation[];
  /** What the reservation holds beyond that. */
  readonly stillHeld: readonly Allocation[];
  /** From what is available. */
  readonly drawn: readonly Allocation[];
};

export function allocateCommit(
  book: Book,
  reservation: Reservation,
  asked: PricedAmount,
  final: boolean,
): CommitAllocation | Failure {
  if (book.hasLimitedGrants && asked.lines.length > 0)
    return allocateCommitByUsage(book, reservation, asked, final);
  // By credits alone all that is held can pay: it was reserved for what is committed now.
  const held = heldCredits(reservation);
  const wanted = withinPolicy(reservation, asked.credits, held);
  if (wanted instanceof Failure) return wanted;
  const beyond = wanted > held ? wanted - held : 0n;
  const drawn = allocate(book, beyond);
  if (drawn instanceof Failure) return drawn;
  const { allocations } = reservation;
  if (book.hasLimitedGrants && !final) {
    const { taken } = splitAllocations(limitedFirst(book, allocations), wanted - beyond);
    return { ...splitHeld(allocations, taken), drawn };
  }
  const { taken, left: stillHeld } = splitAllocations(allocations, wanted - beyond);
  return { fromHeld: taken, stillHeld, drawn };
}

/** After the expiry nothing is held any more: all comes from what is available. */
export function allocateLateCommit(
  book: Book,
  reservation: Reservation,
  asked: PricedAmount,
): CommitAllocation | Failure {
  const wanted = withinPolicy(reservation, asked.credits, reservation.returned);
  if (wanted instanceof Failure) return wanted;
  const { heldFor } = reservation;
  const drawn =
    heldFor && asked.lines.length === 0
      ? allocateDemands(book, wanted, [...heldFor, { operation: null, credits: wanted }])
      : allocate(book, wanted, asked.lines);
  // Insufficient here means that the grace came to nothing: the reservation has expired.
  if (drawn instanceof Failure) return reservationEnded(reservation);
  return { fromHeld: [], stillHeld: [], drawn };
}

/** Usages where grants are limited: what is held of one pays only for its operations. */
function allocateCommitByUsage(
  book: Book,
  reservation: Reservation,
  asked: PricedAmount,
  final: boolean,
): CommitAllocation | Failure {
  const { allocations, heldFor } = reservation;
  const demands = demandsByOperation(asked.lines);
  const held = suppliesOf(book, final ? allocations : limitedFirst(book, allocations));
  const waterfall = new Waterfall();
  waterfall.addDemands(demands);
  for (const { supply } of held) waterfall.addSource(supply);
  const payable = asked.credits - waterfall.unmet;
  const wanted = withinPolicy(reservation, asked.credits, payable);
  if (wanted instanceof Failure) return wanted;
  const drawn = wanted > payable ? allocateUnmet(book, waterfall) : [];
  if (drawn instanceof Failure) return drawn;
  const taken =
    final || !heldFor ? held : reallocate(held, demands, remainingDemands(heldFor, demands));
  return { ...splitHeld(allocations, takenOf(taken, demands.length)), drawn };
}

type Held = { readonly grantId: bigint; readonly supply: Source };

const suppliesOf = (book: Book, allocations: readonly Allocation[]): readonly Held[] =>
  allocations.map(({ grantId, credits }) => ({
    grantId,
    supply: toSource(
      grantId === OVERAGE ? ALL_OPERATIONS : book.getGrant(grantId).operations,
      credits,
    ),
  }));

/** What is given to the first so many demands, by grant. */
const takenOf = (held: readonly Held[], demands: number): readonly Allocation[] =>
  held.map(({ grantId, supply }) => {
    let credits = 0n;
    for (let place = 0; place < demands; place++) credits += flowTo(supply, place);
    return { grantId, credits };
  });

/**
 * The same credits for the same operations, taken from what is held so that it can still pay for the
 * rest of what it was reserved for.
 */
function reallocate(held: readonly Held[], demands: readonly Demand[], rest: readonly Demand[]) {
  const paid = demands.map(({ operation }, place) => ({
    operation,
    credits: held.reduce((sum, { supply }) => sum + flowTo(supply, place), 0n),
  }));
  const again = held.map(({ grantId, supply }) => {
    const given = supply.flows.reduce((sum, credits) => sum + (credits ?? 0n), 0n);
    return { grantId, supply: toSource(supply.operations, supply.remaining + given) };
  });
  const waterfall = new Waterfall();
  for (const wanted of [paid, rest]) {
    waterfall.addDemands(wanted);
    for (const { supply } of again) waterfall.addSource(supply);
  }
  return again;
}

/** What of these demands is left after usages of some of their operations were committed. */
export function remainingDemands(
  heldFor: readonly Demand[],
  committed: readonly Demand[],
): readonly Demand[] {
  const gone = new Map(committed.map(({ operation, credits }) => [operation, credits]));
  return heldFor.flatMap(({ operation, credits }) => {
    const used = gone.get(operation) ?? 0n;
    gone.set(operation, used > credits ? used - credits : 0n);
    return used < credits ? [{ operation, credits: credits - used }] : [];
  });
}

/** A commit that others will follow takes what is limited most first: they may be of any operation. */
function limitedFirst(book: Book, allocations: readonly Allocation[]): readonly Allocation[] {
  const operations = ({ grantId }: Allocation) =>
    (grantId === OVERAGE ? 0 : book.getGrant(grantId).operations.length) || Number.MAX_SAFE_INTEGER;
  return [...allocations].sort((a, b) => operations(a) - operations(b));
}

/** Parts allocations into what is taken of each and what is left, each in their order. */
function splitHeld(allocations: readonly Allocation[], taken: readonly Allocation[]) {
  const takenOfGrant = new Map(taken.map(({ grantId, credits }) => [grantId, credits]));
  const held: Allocation[] = [];
  const left: Allocation[] = [];
  for (const { grantId, credits } of allocations) {
    const take = takenOfGrant.get(grantId) ?? 0n;
    if (take > 0n) held.push({ grantId, credits: take });
    if (take < credits) left.push({ grantId, credits: credits - take });
  }
  return { fromHeld: held, stillHeld: left };
}

function withinPolicy(reservation: Reservation, asked: bigint, allowed: bigint): bigint | Failure {
  if (asked <= allowed || reservation.overCommitPolicy === 'DRAW') return asked;
  if (reservation.overCommitPolicy === 'CAP') return allowed;
  return exceedsReservation(reservation, asked, allowed);
}
