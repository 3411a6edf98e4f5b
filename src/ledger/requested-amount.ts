/** What a request asks for: usages to be priced, or an amount of credits. */
import type { Failure } from '../failure.ts';
import { type PricedUsage, priceUsages } from '../pricing/price.ts';
import type { Usage } from '../pricing/usage.ts';
import type { Book } from './book.ts';
import { rateCardVersionUnknown } from './failures.ts';

export type RequestedAmount = { readonly usages: readonly Usage[] } | { readonly credits: bigint };

export type PricedAmount = {
  readonly credits: bigint;
  readonly lines: readonly PricedUsage[];
};

/** One version of one plan's prices. */
export type RateCardRef = { readonly planId: string; readonly rateCardVersion: number };

/**
 * The rate card that something new is priced on: the one in force, or the version of the account's plan
 * that the caller was shown before. A version that is not in force yet prices nothing but estimates.
 */
export function chooseRateCard(book: Book, version: number | null): RateCardRef | Failure {
  const { planId, rateCard } = book.plan;
  if (version === null) return { planId, rateCardVersion: rateCard.version };
  const published = book.plans.get(planId);
  if (published?.wasInForce(version, book.now)) return { planId, rateCardVersion: version };
  return rateCardVersionUnknown(planId, version, published?.version(version)?.effectiveAt);
}

/** Prices what is asked on a rate card. */
export function priceAmount(
  book: Book,
  asked: RequestedAmount,
  { planId, rateCardVersion }: RateCardRef,
): PricedAmount | Failure {
  const rateCard = book.plans.get(planId)?.rateCard(rateCardVersion);
  if (!rateCard) return rateCardVersionUnknown(planId, rateCardVersion);
  if ('credits' in asked) return { credits: asked.credits, lines: [] };
  return priceUsages(rateCard, asked.usages, 'usages');
}
