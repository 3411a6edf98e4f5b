/** Compares an entry with the model's. */
import type { Entry, Move } from '../../src/gen/billing/v1/ledger.ts';
import { differences, textOf } from './compare.ts';
import { BUCKETS, type ModelEntry } from './model/state.ts';

/** In what an entry differs from the model's; empty if in nothing. */
export function entryProblem(entry: Entry, expected: ModelEntry): string {
  const { hash: _hash, traceId: _trace, spanId: _span, ...shown } = entry;
  const moves = expected.moves.map(({ from, to, grantId, credits }) => ({
    from: bucketOf(from, grantId),
    to: bucketOf(to, grantId),
    credits,
  }));
  return differences(
    { ...shown, moves: sumsOf(entry.moves) },
    { ...expected, moves: sumsOf(moves), details: expected.details ?? entry.details },
  );
}

/** What was moved between each two buckets, in no order: an entry may say it in several moves. */
function sumsOf(moves: readonly Pick<Move, 'from' | 'to' | 'credits'>[]): object {
  const sums = new Map<string, bigint>();
  for (const { from, to, credits } of moves) {
    const way = `${textOf(from)} to ${textOf(to)}`;
    sums.set(way, (sums.get(way) ?? 0n) + credits);
  }
  return sums;
}

export const bucketOf = (name: keyof typeof BUCKETS, grantId: bigint) => ({
  kind: BUCKETS[name],
  grantId: name === 'available' || name === 'reserved' ? grantId : 0n,
});
