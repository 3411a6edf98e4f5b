/**
 * What jobs use by operation, for budgets of operations. A reservation remembers what it holds for each. Where a
 * commit or refund does not say which operations it is about, these rules count no less than was used.
 */
import { min } from '../min.ts';
import { totalCredits } from './allocation/allocation.ts';
import type { CommitAllocation } from './allocation/commit-allocation.ts';
import { type Demand, toDemands } from './allocation/waterfall.ts';
import type { JobChange } from './budget-counts.ts';
import type { RefundableEntry } from './refundable.ts';
import type { PricedAmount } from './requested-amount.ts';
import { heldCredits, type Reservation } from './reservation.ts';

/** Credits by operation; null stands for credits without one. */
class Shares {
  readonly #credits = new Map<string | null, bigint>();

  constructor(demands: readonly Demand[] = []) {
    for (const { operation, credits } of demands) this.add(operation, credits);
  }

  of(operation: string | null): bigint {
    return this.#credits.get(operation) ?? 0n;
  }

  add(operation: string | null, credits: bigint) {
    this.#credits.set(operation, this.of(operation) + credits);
  }

  /** Those that are not 0. */
  list(): readonly Demand[] {
    return [...this.#credits].flatMap(([operation, credits]) =>
      credits === 0n ? [] : [{ operation, credits }],
    );
  }
}

/** What is reserved or charged, or added to a reservation. */
export const addedBy = ({ credits, lines }: PricedAmount): JobChange => ({
  credits,
  byOperation: () => toDemands(credits, lines),
});

export const addShares = (one: readonly Demand[], other: readonly Demand[]): readonly Demand[] =>
  new Shares([...one, ...other]).list();

/** What is given back by a reservation that ends. */
const negated = (shares: readonly Demand[]): readonly Demand[] =>
  shares.map(({ operation, credits }) => ({ operation, credits: -credits }));

/** What an active reservation holds by operation. One that has expired holds nothing. */
const heldShares = ({ state, heldByOperation }: Reservation): readonly Demand[] =>
  state === 'ACTIVE' ? (heldByOperation ?? []) : [];

/** What a commit counts, and what the reservation holds after it; null where it does not remember that. */
export type CommitChange = JobChange & { readonly heldAfter: readonly Demand[] | null };

/** A commit as it was allocated, and what of it is beyond the reservation. */
type AllocatedCommit = CommitAllocation & { readonly beyondReserved: bigint };

export function commitChange(
  reservation: Reservation,
  amount: PricedAmount,
  commit: AllocatedCommit,
  final: boolean,
): CommitChange {
  const { fromAvailable, uncommitted } = commit;
  const credits = totalCredits(fromAvailable) - (final ? totalCredits(uncommitted) : 0n);
  if (reservation.heldByOperation === null)
    return { credits, byOperation: () => [], heldAfter: null };
  const held = new Shares(reservation.heldByOperation);
  const spent = spentShares(held, amount, commit);
  const left = new Shares(held.list());
  for (const { operation, credits: ofOne } of spent.list())
    left.add(operation, -min(ofOne, held.of(operation)));
  const isActive = reservation.state === 'ACTIVE';
  const change = new Shares([...negated(heldShares(reservation)), ...spent.list()]);
  if (isActive && !final)
    for (const { operation, credits: ofOne } of left.list()) change.add(operation, ofOne);
  return { credits, byOperation: () => change.list(), heldAfter: final ? null : left.list() };
}

/**
 * What a commit spends of each operation. Without usages, or where the policy has cut it, that is not known: it
 * counts for each operation of the reservation, at most what was held for it. What such a commit draws beyond the
 * reservation counts for none.
 */
function spentShares(
  held: Shares,
  { credits, lines }: PricedAmount,
  { fromHeld, fromAvailable, beyondReserved }: AllocatedCommit,
): Shares {
  const committed = totalCredits(fromHeld) + totalCredits(fromAvailable);
  if (lines.length > 0 && credits === committed) return new Shares(toDemands(credits, lines));
  const spent = new Shares();
  for (const { operation, credits: ofOne } of held.list())
    spent.add(operation, min(committed, ofOne));
  spent.add(null, beyondReserved);
  return spent;
}

/** What a reservation gives back that is released or expires. */
export const returnedByEnd = (reservation: Reservation): JobChange => ({
  credits: -heldCredits(reservation),
  byOperation: () => negated(heldShares(reservation)),
});

/**
 * What a refund gives back. Of an entry with several operations a partial refund does not say which: it gives
 * back to each what cannot be of another. Nothing, where the entry does not say what each has used.
 */
export function refundShares(original: RefundableEntry, credits: bigint): readonly Demand[] {
  const { usages, committed, refunded, reservationId } = original;
  if (usages.length === 0 && reservationId !== null) return [];
  const charged = toDemands(committed, usages);
  if (charged.reduce((sum, { credits: ofOne }) => sum + ofOne, 0n) !== committed) return [];
  return charged.map(({ operation, credits: ofOne }) => {
    const others = committed - ofOne;
    const givenBack = (total: bigint) => (total > others ? total - others : 0n);
    return { operation, credits: givenBack(refunded) - givenBack(refunded + credits) };
  });
}
