/** Prices a recorded commit or charge on another rate card. Pure. */
import { Failure, type Reason } from '../failure.ts';
import type { RateCard } from './plan.ts';
import { type PricedUsage, priceUsage } from './price.ts';

/** A recorded commit or charge. */
export type Charged = {
  /** Credits charged, less those refunded. */
  readonly credits: bigint;
  /** Its own usages or, without any, those its reservation was made for. Empty if neither has usages. */
  readonly usages: readonly PricedUsage[];
};

/** A usage that the other rate card cannot price. */
export type RefusedUsage = {
  readonly operation: string;
  readonly reason: Reason;
  /** What it cost on record. */
  readonly credits: bigint;
};

export type Repriced = {
  /** What it would cost on the other rate card. */
  readonly credits: bigint;
  /** The part without usages, which costs the same on any rate card. */
  readonly unnamed: bigint;
  readonly refused: readonly RefusedUsage[];
};

/**
 * Prices a recorded charge on another rate card. If it did not cost the sum of its usages (because it was
 * refunded in part, capped, or committed by credits), the new price is scaled in the same proportion.
 * Usages that the rate card cannot price count as not done. Those of which `isPriced` says no keep their price.
 */
export function reprice(
  rateCard: RateCard,
  { credits, usages }: Charged,
  isPriced: (operation: string) => boolean = () => true,
): Repriced {
  const usagesCost = usages.reduce((sum, usage) => sum + usage.credits, 0n);
  if (usages.length === 0 || (usagesCost === 0n && credits > 0n))
    return { credits, unnamed: credits, refused: [] };
  let priced = 0n;
  const refused: RefusedUsage[] = [];
  for (const { usage, credits: cost } of usages) {
    if (!isPriced(usage.operation)) {
      priced += cost;
      continue;
    }
    const line = priceUsage(rateCard, usage, 'usage');
    if (!(line instanceof Failure)) priced += line.credits;
    else
      refused.push({
        operation: usage.operation,
        reason: line.reason,
        credits: scale(cost, credits, usagesCost),
      });
  }
  return { credits: scale(priced, credits, usagesCost), unnamed: 0n, refused };
}

/** amount × part / whole, rounded to the nearest credit, halves up. */
function scale(amount: bigint, part: bigint, whole: bigint): bigint {
  if (part === whole) return amount;
  return (2n * amount * part + whole) / (2n * whole);
}
