/** Builds the moves of entries from allocations. Overage has buckets of its own. */
import { min } from '../min.ts';
import { type Allocation, OVERAGE } from './allocation/allocation.ts';
import type { Book } from './book.ts';
import type { Move } from './entry.ts';
import { hasExpired } from './grant.ts';

type FromBucket = 'available' | 'reserved' | 'consumed';
type ToBucket = FromBucket | 'expired' | 'issued' | 'voided';

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
 * become breakage, and those that are to be voided as they come back are voided.
 */
export function toReturnMoves(book: Book, allocations: readonly Allocation[]): Move[] {
  const { voided, kept } = splitVoided(book, allocations);
  const expired = (allocation: Allocation) => isFromExpiredGrant(book, allocation);
  return [
    ...toMoves(
      kept.filter((allocation) => !expired(allocation)),
      'reserved',
      'available',
    ),
    ...toMoves(kept.filter(expired), 'reserved', 'expired'),
    ...toMoves(voided, 'reserved', 'voided'),
  ];
}

const NONE: readonly Allocation[] = [];

/**
 * Of credits that come back, those that VoidGrant had voided, and the others. No grant may be in more than one
 * of the allocations.
 */
export function splitVoided(book: Book, allocations: readonly Allocation[]) {
  const voidOnReturn = ({ grantId }: Allocation) =>
    grantId === OVERAGE ? 0n : book.getGrant(grantId).voidOnReturn;
  if (!allocations.some((allocation) => voidOnReturn(allocation) > 0n))
    return { voided: NONE, kept: allocations };
  const voided: Allocation[] = [];
  const kept: Allocation[] = [];
  for (const allocation of allocations) {
    const { grantId, credits } = allocation;
    const here = min(voidOnReturn(allocation), credits);
    if (here > 0n) voided.push({ grantId, credits: here });
    if (here < credits) kept.push({ grantId, credits: credits - here });
  }
  return { voided, kept };
}

export const isFromExpiredGrant = (book: Book, { grantId }: Allocation): boolean =>
  grantId !== OVERAGE && hasExpired(book.getGrant(grantId), book.now);
