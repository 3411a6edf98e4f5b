/** What buckets hold after moves. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bucketBalances } from '../../src/ledger/buckets.ts';
import type { BucketKind, Move } from '../../src/ledger/entry.ts';

const move = (from: BucketKind, to: BucketKind, grantId: bigint, credits: bigint): Move => ({
  from,
  to,
  grantId,
  credits,
});

const KINDS: readonly BucketKind[] = [
  'issued',
  'available',
  'reserved',
  'overage',
  'overage_reserved',
  'consumed',
  'expired',
  'voided',
];

const anyMove: fc.Arbitrary<Move> = fc.record({
  from: fc.constantFrom(...KINDS),
  to: fc.constantFrom(...KINDS),
  grantId: fc.bigInt({ min: 0n, max: 3n }),
  credits: fc.bigInt({ min: 1n, max: 10n ** 18n }),
});

test('no moves: nothing', () => {
  expect(bucketBalances([])).toEqual([]);
});

test('of grants first, in their order, then the others; those that hold nothing are left out', () => {
  const moves = [
    move('issued', 'available', 10n, 100n),
    move('issued', 'available', 2n, 50n),
    move('available', 'reserved', 10n, 30n),
    move('available', 'consumed', 2n, 50n),
    move('overage', 'consumed', 0n, 5n),
  ];
  expect(bucketBalances(moves)).toEqual([
    { kind: 'available', grantId: 10n, credits: 70n },
    { kind: 'reserved', grantId: 10n, credits: 30n },
    { kind: 'issued', grantId: 0n, credits: -150n },
    { kind: 'overage', grantId: 0n, credits: -5n },
    { kind: 'consumed', grantId: 0n, credits: 55n },
  ]);
});

test('they are in balance, and in the same state whatever the order of the moves', () => {
  fc.assert(
    fc.property(fc.array(anyMove), (moves) => {
      const balances = bucketBalances(moves);
      expect(balances.reduce((sum, { credits }) => sum + credits, 0n)).toBe(0n);
      expect(bucketBalances(moves.toReversed())).toEqual(balances);
    }),
  );
});
