/** The amount of a request: usages to be priced, or credits. */
import type { Failure } from '../failure.ts';
import { type PricedUsage, priceUsages } from '../pricing/price.ts';
import type { Usage } from '../pricing/usage.ts';
import type { Book } from './book.ts';
import { rateCardVersionUnknown } from './failures.ts';

export type RequestedAmount = { readonly usages: readonly Usage[] } | { readonly credits: bigint };

export type PricedAmount = {
  readonly credits: bigint;
  /** One per usage; empty for an amount of credits. */
  readonly lines: readonly PricedUsage[];
};

/** A rate card version of a plan. */
export type RateCardRef = { readonly planId: string; readonly rateCardVersion: number };

/**
 * The rate card that prices a new reservation or charge: the one in force when the work was done, or `version` of the
 * account's plan. A version that is not in force yet can only be estimated on.
 */
export function chooseRateCard(
  book: Book,
  version: number | null,
  usedAt: number | null = null,
): RateCardRef | Failure {
  const { planId, rateCard } = book.plan;
  const published = book.plans.get(planId);
  if (version === null) {
    const inForce = usedAt === null ? undefined : published?.versionAt(usedAt);
    return { planId, rateCardVersion: inForce ?? rateCard.version };
  }
  if (published?.wasInForce(version, book.now)) return { planId, rateCardVersion: version };
  return rateCardVersionUnknown(planId, version, published?.version(version)?.effectiveAt);
}

/** Prices an amount on a rate card. The version is checked for an amount of credits as well. */
export function priceAmount(
  book: Book,
  amount: RequestedAmount,
  { planId, rateCardVersion }: RateCardRef,
): PricedAmount | Failure {
  const rateCard = book.plans.get(planId)?.rateCard(rateCardVersion);
  if (!rateCard) return rateCardVersionUnknown(planId, rateCardVersion);
  if ('credits' in amount) return { credits: amount.credits, lines: [] };
  return priceUsages(rateCard, amount.usages, 'usages.items');
}
