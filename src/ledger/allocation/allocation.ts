/** Allocations: which grant gives how much of an amount. Responses call a list of them a split. */
import { min } from '../../min.ts';
import type { Book } from '../book.ts';
import type { Move } from '../entry.ts';

/** Stands for overage where a grant id is expected. */
export const OVERAGE = 0n;

/** Stands for what nothing pays: the account owes it. */
export const OWED = -1n;

/** Credits of one grant, or of overage or owed (`grantId` is OVERAGE or OWED). */
export type Allocation = { readonly grantId: bigint; readonly credits: bigint };

/** Whether a grant pays it. */
export const isOfGrant = ({ grantId }: Allocation): boolean => grantId > 0n;

export const totalCredits = (allocations: readonly Allocation[]): bigint =>
  allocations.reduce((sum, allocation) => sum + allocation.credits, 0n);

/** Splits allocations, in their order, into the first `credits` and the rest. */
export function splitAllocations(allocations: readonly Allocation[], credits: bigint) {
  const first: Allocation[] = [];
  const rest: Allocation[] = [];
  let missing = credits;
  for (const { grantId, credits: allocated } of allocations) {
    const used = min(allocated, missing);
    if (used > 0n) first.push({ grantId, credits: used });
    if (used < allocated) rest.push({ grantId, credits: allocated - used });
    missing -= used;
  }
  return { first, rest };
}

/** What moves consumed: one allocation per grant, in the order of the moves. */
export const consumedByGrant = (moves: readonly Move[]): readonly Allocation[] =>
  mergeByGrant(
    moves.flatMap((move) =>
      move.to === 'consumed'
        ? { grantId: move.from === 'owed' ? OWED : move.grantId, credits: move.credits }
        : [],
    ),
  );

/**
 * One allocation per grant, in burn order. The order can differ from that of the given allocations: a
 * commit may draw on grants that are newer than its reservation and burn earlier.
 */
export function mergeInBurnOrder(
  book: Book,
  allocations: readonly Allocation[],
): readonly Allocation[] {
  const merged = mergeByGrant(allocations);
  if (merged.length < 2) return merged;
  const ranks = new Map(book.grants.map(({ grantId }, index) => [grantId, index]));
  const rankOf = ({ grantId }: Allocation) =>
    ranks.get(grantId) ?? ranks.size + (grantId === OWED ? 1 : 0);
  return [...merged].sort((a, b) => rankOf(a) - rankOf(b));
}

/** One allocation per grant, in the order in which the grants first appear. */
function mergeByGrant(allocations: readonly Allocation[]): readonly Allocation[] {
  const byGrant = new Map<bigint, bigint>();
  for (const { grantId, credits } of allocations)
    byGrant.set(grantId, (byGrant.get(grantId) ?? 0n) + credits);
  return [...byGrant].map(([grantId, credits]) => ({ grantId, credits }));
}
