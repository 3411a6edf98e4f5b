/** What a request asks for: usages to be priced, or an amount of credits. */
import { Failure } from '../failure.ts';
import { type PricedUsage, priceUsages } from '../pricing/price.ts';
import type { Usage } from '../pricing/usage.ts';
import type { Book } from './book.ts';

export type UsagesOrCredits = { readonly usages: readonly Usage[] } | { readonly credits: bigint };

export type Priced = {
  readonly credits: bigint;
  readonly lines: readonly PricedUsage[];
};

/** One version of one plan's prices. */
export type NamedRateCard = { readonly planId: string; readonly rateCardVersion: number };

/**
 * The rate card that something new is priced on: the one in force, or the version of the account's plan
 * that the caller was shown before. A version that is not in force yet prices nothing but estimates.
 */
export function rateCardAsked(book: Book, version: number | null): NamedRateCard | Failure {
  const { planId, rateCard } = book.plan;
  if (version === null) return { planId, rateCardVersion: rateCard.version };
  const published = book.plans.get(planId);
  if (published?.wasInForce(version, book.now)) return { planId, rateCardVersion: version };
  return rateCardVersionUnknown(planId, version, published?.version(version)?.effectiveAt);
}

/** Prices what is asked on a rate card. */
export function priceUsagesOrCredits(
  book: Book,
  asked: UsagesOrCredits,
  { planId, rateCardVersion }: NamedRateCard,
): Priced | Failure {
  const rateCard = book.plans.get(planId)?.rateCard(rateCardVersion);
  if (!rateCard) return rateCardVersionUnknown(planId, rateCardVersion);
  if ('credits' in asked) return { credits: asked.credits, lines: [] };
  return priceUsages(rateCard, asked.usages, 'usages');
}

/** `effectiveAt` is given where there is such a version, and it is not in force. */
export function rateCardVersionUnknown(
  planId: string,
  version: number,
  effectiveAt?: number,
): Failure {
  const metadata = { plan_id: planId, version };
  if (effectiveAt === undefined)
    return new Failure(
      'RATE_CARD_VERSION_UNKNOWN',
      `plan ${planId} has no rate card version ${version}`,
      metadata,
    );
  const at = new Date(effectiveAt).toISOString();
  return new Failure(
    'RATE_CARD_VERSION_UNKNOWN',
    `rate card version ${version} of plan ${planId} is not in force: it is dated ${at}`,
    { ...metadata, effective_at: at },
  );
}
