/** A split: which grant gave what of an amount, and what went to overage. */
import type { Book } from '../book.ts';
import type { Move } from '../entry.ts';
import type { Allocation } from '../reservation.ts';

/** One allocation per grant, in the order the grants first come. */
function merged(allocations: readonly Allocation[]): readonly Allocation[] {
  const byGrant = new Map<bigint, bigint>();
  for (const { grantId, credits } of allocations)
    byGrant.set(grantId, (byGrant.get(grantId) ?? 0n) + credits);
  return [...byGrant].map(([grantId, credits]) => ({ grantId, credits }));
}

/** What moves consumed, by grant, in the order it was taken. */
export const consumedByGrant = (moves: readonly Move[]): readonly Allocation[] =>
  merged(moves.filter(({ to }) => to === 'consumed'));

/**
 * One allocation per grant, in burn order. What burns first can have been taken last: by a commit that
 * drew, or from a grant made since the reservation was.
 */
export function mergeInBurnOrder(
  book: Book,
  allocations: readonly Allocation[],
): readonly Allocation[] {
  const split = merged(allocations);
  if (split.length < 2) return split;
  const place = new Map(book.grants.map(({ grantId }, index) => [grantId, index]));
  const placeOf = ({ grantId }: Allocation) => place.get(grantId) ?? place.size;
  return [...split].sort((a, b) => placeOf(a) - placeOf(b));
}
