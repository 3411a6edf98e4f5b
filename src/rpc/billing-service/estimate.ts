/** Estimate: what usages would cost, and whether the account could pay for them now. */
import { Failure } from '../../failure.ts';
import type { EstimateResponse } from '../../gen/billing/v1/billing_service.ts';
import type { Book } from '../../ledger/book.ts';
import { outlook } from '../../ledger/draw.ts';
import { priceUsagesOrCredits } from '../../ledger/usages-or-credits.ts';
import { coveringPacks } from '../../pricing/packs.ts';
import type { Pack } from '../../pricing/plan.ts';
import type { Usage } from '../../pricing/usage.ts';
import { lineMessage } from '../messages/ledger.ts';
import { packMessage } from '../messages/plan.ts';

export function estimate(
  book: Book,
  usages: readonly Usage[],
  rateCardVersion: number,
  /** Packs offered to the account alone. */
  customPacks: readonly Pack[],
): EstimateResponse | Failure {
  const { planId } = book.plan;
  const priced = priceUsagesOrCredits(book, { usages }, { planId, rateCardVersion });
  if (priced instanceof Failure) return priced;
  const { available, shortfall } = outlook(book, priced.credits, priced.lines);
  const offers =
    shortfall > 0n ? coveringPacks([...book.plan.packs, ...customPacks], shortfall) : [];
  return {
    lines: priced.lines.map((line) => lineMessage(line, true)),
    credits: priced.credits,
    rateCardVersion: BigInt(rateCardVersion),
    available,
    sufficient: shortfall === 0n && book.account.state === 'OPEN',
    shortfall,
    packs: offers.map(({ pack, quantity, price }) => ({
      pack: packMessage(pack),
      quantity,
      price,
    })),
  };
}
