/** Builds the moves of entries from allocations. Overage has buckets of its own. */
import { type Allocation, OVERAGE } from './allocation/allocation.ts';
import type { Book } from './book.ts';
import type { Move } from './entry.ts';
import { hasExpired } from './grant.ts';

type FromBucket = 'available' | 'reserved' | 'consumed';
type ToBucket = FromBucket | 'expired' | 'issued';

/** One move per allocation. */
export function toMoves(
  allocations: readonly Allocation[],
  from: FromBucket,
  to: ToBucket,
): Move[] {
  return allocations.map(({ grantId, credits }) =>
    grantId === OVERAGE
      ? { from: overageBucket(from), to: overageBucket(to), grantId, credits }
      : { from, to, grantId, credits },
  );
}

function overageBucket(bucket: ToBucket) {
  if (bucket === 'available') return 'overage' as const;
  if (bucket === 'reserved') return 'overage_reserved' as const;
  return bucket;
}

/**
 * Moves that return reserved credits to the grants they came from. Credits of a grant that has expired
 * become breakage.
 */
export function toReturnMoves(book: Book, allocations: readonly Allocation[]): Move[] {
  const expired = (allocation: Allocation) => isFromExpiredGrant(book, allocation);
  return [
    ...toMoves(
      allocations.filter((allocation) => !expired(allocation)),
      'reserved',
      'available',
    ),
    ...toMoves(allocations.filter(expired), 'reserved', 'expired'),
  ];
}

export const isFromExpiredGrant = (book: Book, { grantId }: Allocation): boolean =>
  grantId !== OVERAGE && hasExpired(book.getGrant(grantId), book.now);
