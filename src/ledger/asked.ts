/** What a request asks for: usages to be priced, or an amount of credits. */
import { Failure } from '../failure.ts';
import { type PricedUsage, priceUsages } from '../pricing/price.ts';
import type { Usage } from '../pricing/usage.ts';
import type { Book } from './book.ts';

export type Asked = { readonly usages: readonly Usage[] } | { readonly credits: bigint };

export type Priced = {
  readonly credits: bigint;
  readonly lines: readonly PricedUsage[];
};

/** Prices what is asked on a rate card version of the account's plan. */
export function priceAsked(book: Book, asked: Asked, version: number): Priced | Failure {
  const rateCard = book.rateCards.get(version);
  if (!rateCard) return rateCardVersionUnknown(book.plan.planId, version);
  if ('credits' in asked) return { credits: asked.credits, lines: [] };
  return priceUsages(rateCard, asked.usages, 'usages');
}

export const rateCardVersionUnknown = (planId: string, version: number): Failure =>
  new Failure('RATE_CARD_VERSION_UNKNOWN', `plan ${planId} has no rate card version ${version}`, {
    plan_id: planId,
    version,
  });
