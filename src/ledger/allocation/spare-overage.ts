/**
 * Overage is the last resort at commit too. A reservation may hold overage because no credits were there when
 * it was made; credits that became available while the job ran pay before the statement does.
 */
import { min } from '../../min.ts';
import type { Book } from '../book.ts';
import type { PricedAmount } from '../requested-amount.ts';
import { spendableCredits } from './allocate.ts';
import { type Allocation, isOfGrant, OVERAGE, totalCredits } from './allocation.ts';
import type { CommitAllocation } from './commit-allocation.ts';
import { toDemands, toSource, Waterfall } from './waterfall.ts';

/** Where the credits of a commit come from in the end. */
export type SparedAllocation = CommitAllocation & {
  /** Held overage that is given back, because `fromAvailable` pays in its place. */
  readonly overageSpared: readonly Allocation[];
};

const NOTHING_SPARED: readonly Allocation[] = [];

/**
 * Replaces held overage in the commit by credits of grants: as much as they can pay, in burn order. A grant
 * that is limited to operations pays only for usages of those.
 */
export function spareOverage(
  book: Book,
  { lines }: PricedAmount,
  allocation: CommitAllocation,
): SparedAllocation {
  const { fromHeld, fromAvailable } = allocation;
  const overage = fromHeld.find(({ grantId }) => grantId === OVERAGE)?.credits ?? 0n;
  if (overage === 0n) return { ...allocation, overageSpared: NOTHING_SPARED };
  const waterfall = new Waterfall();
  if (lines.length === 0) waterfall.addDemands(toDemands(overage, lines));
  else {
    const paid = [...fromHeld, ...fromAvailable];
    waterfall.addDemands(toDemands(0n, lines), totalCredits(paid));
    for (const allocation of paid)
      if (isOfGrant(allocation)) {
        const { operations } = book.getGrant(allocation.grantId);
        waterfall.assign(toSource(operations, allocation.credits));
      }
  }
  const instead = assignInstead(book, waterfall, fromAvailable, overage);
  const spared = totalCredits(instead);
  if (spared === 0n) return { ...allocation, overageSpared: NOTHING_SPARED };
  return {
    ...allocation,
    fromHeld: fromHeld.flatMap((held) =>
      held.grantId === OVERAGE ? lessOverage(held, spared) : held,
    ),
    fromAvailable: [...fromAvailable, ...instead],
    overageSpared: [{ grantId: OVERAGE, credits: spared }],
  };
}

/** What grants can pay of `overage`, beyond what the commit takes of them already. */
function assignInstead(
  book: Book,
  waterfall: Waterfall,
  fromAvailable: readonly Allocation[],
  overage: bigint,
): readonly Allocation[] {
  const instead: Allocation[] = [];
  const taken = new Map(fromAvailable.map(({ grantId, credits }) => [grantId, credits]));
  let missing = overage;
  for (const grant of book.spendingOrder()) {
    const { grantId, operations } = grant;
    const available = spendableCredits(grant, book.now) - (taken.get(grantId) ?? 0n);
    const credits = waterfall.assign(toSource(operations, min(available, missing)));
    if (credits > 0n) instead.push({ grantId, credits });
    missing -= credits;
    if (missing === 0n) break;
  }
  return instead;
}

const lessOverage = ({ credits }: Allocation, spared: bigint): readonly Allocation[] =>
  credits > spared ? [{ grantId: OVERAGE, credits: credits - spared }] : [];
