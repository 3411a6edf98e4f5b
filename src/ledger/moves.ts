/** Builds the moves of entries from allocations. Overage and what is owed have buckets of their own. */
import { min } from '../min.ts';
import { type Allocation, isOfGrant, OWED } from './allocation/allocation.ts';
import type { Book } from './book.ts';
import { type BucketKind, type Move, NO_GRANT } from './entry.ts';
import { hasExpired } from './grant.ts';

type FromBucket = 'available' | 'reserved' | 'consumed';
type ToBucket = FromBucket | 'expired' | 'issued' | 'voided';

/** One move per allocation. */
export function toMoves(
  allocations: readonly Allocation[],
  from: FromBucket,
  to: ToBucket,
): Move[] {
  return allocations.map(({ grantId, credits }) => {
    if (grantId > NO_GRANT) return { from, to, grantId, credits };
    const own = grantId === OWED ? OWED_BUCKETS : OVERAGE_BUCKETS;
    return { from: own[from] ?? from, to: own[to] ?? to, grantId: NO_GRANT, credits };
  });
}

type OwnBuckets = Readonly<Partial<Record<ToBucket, BucketKind>>>;
const OVERAGE_BUCKETS: OwnBuckets = { available: 'overage', reserved: 'overage_reserved' };
/** Nothing that is owed is ever reserved. */
const OWED_BUCKETS: OwnBuckets = { available: 'owed' };

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
  const voidOnReturn = (allocation: Allocation) =>
    isOfGrant(allocation) ? book.getGrant(allocation.grantId).voidOnReturn : 0n;
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

export const isFromExpiredGrant = (book: Book, allocation: Allocation): boolean =>
  isOfGrant(allocation) && hasExpired(book.getGrant(allocation.grantId), book.now);
