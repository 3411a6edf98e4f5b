/** What the credits of charges and commits were used for. */
import type { PricedUsage } from '../../../src/gen/billing/v1/pricing.ts';
import type { ReservationState, Use } from './state.ts';

/** Usages of the entry itself, in full. If the commit was capped, their credits are used up in order. */
export function ownUses(lines: readonly PricedUsage[], charged: bigint): readonly Use[] {
  let left = charged;
  const uses = lines.map(({ usage, credits }) => {
    const here = credits < left ? credits : left;
    left -= here;
    return { operation: usage?.operation ?? '', count: usage?.count ?? 1n, credits: here };
  });
  return left > 0n ? [...uses, { operation: '', count: 0n, credits: left }] : uses;
}

/**
 * A commit without usages pays the next credits of what its reservation was made for: those from `from` to
 * `to`, counted over the usages in their order. A usage counts as often as its credits have begun to be paid.
 */
export function reservedUses(
  { lines, committed: from, wasCommitted }: ReservationState,
  charged: bigint,
): readonly Use[] {
  const to = from + charged;
  const uses: Use[] = [];
  let start = 0n;
  for (const { usage, credits } of lines) {
    const operation = usage?.operation ?? '';
    const count = usage?.count ?? 1n;
    const end = start + credits;
    const begun = (at: bigint) => {
      const paid = at < start ? 0n : at > end ? credits : at - start;
      return (paid * count + credits - 1n) / credits;
    };
    if (credits === 0n) {
      // It costs nothing: it belongs to the first commit that gets as far.
      const isReached = start <= to && (start > from || !wasCommitted);
      if (isReached) uses.push({ operation, count, credits: 0n });
    } else if (from < end && to > start) {
      const here = (to < end ? to : end) - (from > start ? from : start);
      uses.push({ operation, count: begun(to) - begun(from), credits: here });
    }
    start = end;
  }
  const beyond = to - (from > start ? from : start);
  return beyond > 0n ? [...uses, { operation: '', count: 0n, credits: beyond }] : uses;
}
