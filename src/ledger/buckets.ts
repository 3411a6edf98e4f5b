/** What buckets hold after a number of moves. */
import type { BucketKind, Move } from './entry.ts';

export type BucketBalance = {
  readonly kind: BucketKind;
  /** Of a grant's buckets; 0 for the others. */
  readonly grantId: bigint;
  /** Negative where credits came from it: issued, overage, owed. */
  readonly credits: bigint;
};

/** Those of grants come first, in the order of the grants; of each available, then reserved. */
const ORDER: readonly BucketKind[] = [
  'available',
  'reserved',
  'issued',
  'overage',
  'overage_reserved',
  'owed',
  'consumed',
  'expired',
  'voided',
];

/** The buckets that hold something. Their sum is 0: each move takes as much as it gives. */
export function bucketBalances(moves: readonly Move[]): readonly BucketBalance[] {
  const balances = new Map<string, BucketBalance>();
  const add = (kind: BucketKind, grant: bigint, credits: bigint) => {
    const grantId = isOfGrant(kind) ? grant : 0n;
    const key = `${kind} ${grantId}`;
    balances.set(key, { kind, grantId, credits: (balances.get(key)?.credits ?? 0n) + credits });
  };
  for (const { from, to, grantId, credits } of moves) {
    add(from, grantId, -credits);
    add(to, grantId, credits);
  }
  return [...balances.values()].filter(({ credits }) => credits !== 0n).toSorted(compare);
}

const isOfGrant = (kind: BucketKind): boolean => kind === 'available' || kind === 'reserved';

function compare(a: BucketBalance, b: BucketBalance): number {
  if (isOfGrant(a.kind) !== isOfGrant(b.kind)) return isOfGrant(a.kind) ? -1 : 1;
  if (a.grantId !== b.grantId) return a.grantId < b.grantId ? -1 : 1;
  return ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind);
}
