/** What was charged once, priced on another rate card. Pure. */
import { Failure, type Reason } from '../failure.ts';
import type { RateCard } from '../pricing/plan.ts';
import { type PricedUsage, priceUsage } from '../pricing/price.ts';

/** A commit or charge, as far as its price goes. */
export type Charged = {
  /** What it cost; what was refunded of it is taken off. */
  readonly credits: bigint;
  /**
   * What was done: its own usages, or those its reservation was made for. Empty where both name credits
   * alone.
   */
  readonly usages: readonly PricedUsage[];
};

/** A usage that the other rate card has no price for. */
export type RefusedUsage = {
  readonly operation: string;
  readonly reason: Reason;
  /** What it cost. */
  readonly credits: bigint;
};

export type Repriced = {
  /** What it would cost. */
  readonly credits: bigint;
  /** Of that, what was asked as credits: nobody knows what for, so it costs what it did. */
  readonly unnamed: bigint;
  readonly refused: readonly RefusedUsage[];
};

/**
 * Prices something charged on another rate card. Where it did not cost what its usages do (a part of it
 * was refunded, a commit was capped, or named its credits by itself), it is taken in that proportion.
 * Usages that the card refuses count as not done.
 */
export function reprice(rateCard: RateCard, { credits, usages }: Charged): Repriced {
  const listed = usages.reduce((sum, usage) => sum + usage.credits, 0n);
  if (usages.length === 0 || (listed === 0n && credits > 0n))
    return { credits, unnamed: credits, refused: [] };
  let priced = 0n;
  const refused: RefusedUsage[] = [];
  for (const { usage, credits: cost } of usages) {
    const line = priceUsage(rateCard, usage, 'usage');
    if (!(line instanceof Failure)) priced += line.credits;
    else
      refused.push({
        operation: usage.operation,
        reason: line.reason,
        credits: share(cost, credits, listed),
      });
  }
  return { credits: share(priced, credits, listed), unnamed: 0n, refused };
}

/** `amount` in the proportion of `part` to `whole`, to the nearest credit, halves up. */
function share(amount: bigint, part: bigint, whole: bigint): bigint {
  if (part === whole) return amount;
  return (2n * amount * part + whole) / (2n * whole);
}
