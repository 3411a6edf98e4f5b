/** Estimate: what usages would cost, and whether the account could pay for them now. */
import { Failure } from '../../failure.ts';
import type { EstimateRequest, EstimateResponse } from '../../gen/billing/v1/billing_service.ts';
import { previewAllocation } from '../../ledger/allocation/allocate.ts';
import type { Book } from '../../ledger/book.ts';
import { offersFor } from '../../ledger/custom-pack.ts';
import { rateCardVersionUnknown } from '../../ledger/failures.ts';
import { creditsOwedFirst } from '../../ledger/owed.ts';
import { priceAmount } from '../../ledger/requested-amount.ts';
import type { Pack } from '../../pricing/plan.ts';
import type { Usage } from '../../pricing/usage.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { loadBook } from '../call/load-account.ts';
import { offerMessage } from '../messages/pack.ts';
import { pricedUsageMessageWithComponents } from '../messages/priced-usage.ts';
import type { ServiceContext } from '../service-context.ts';

export async function estimate(
  context: ServiceContext,
  request: EstimateRequest,
  { access }: UnaryCall,
): Promise<EstimateResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  if (!request.usages) check.addViolation('usages', 'is required');
  const usages = check.usages(request.usages ?? { items: [] });
  const version = check.rateCardVersion(request.rateCardVersion);
  check.throwIfInvalid();
  const denied = context.authorization.denyUsages(access, 'Estimate', accountId, usages);
  if (denied) throw denied;
  const book = await loadBook(context, accountId);
  if (version !== null) await loadRateCard(context, book, version);
  const rateCardVersion = version ?? book.plan.rateCard.version;
  const response = estimateOn(book, usages, rateCardVersion, []);
  // An estimate that the account can pay offers no packs, so its custom packs need not be read.
  if (response.sufficient) return response;
  const customPacks = await context.customPacks.find(accountId);
  return estimateOn(book, usages, rateCardVersion, customPacks);
}

/** Loads a rate card version that need not be in force, so that the book can price on it. */
async function loadRateCard({ catalogue }: ServiceContext, { plan, plans }: Book, version: number) {
  const published = plans.get(plan.planId);
  const rateCard = published && (await catalogue.loadRateCard(published, version));
  if (!rateCard) throw rateCardVersionUnknown(plan.planId, version);
}

/** Throws a Failure if the usages cannot be priced. */
function estimateOn(
  book: Book,
  usages: readonly Usage[],
  rateCardVersion: number,
  customPacks: readonly Pack[],
): EstimateResponse {
  const { planId } = book.plan;
  const priced = priceAmount(book, { usages }, { planId, rateCardVersion });
  if (priced instanceof Failure) throw priced;
  const { available, shortfall } = previewAllocation(book, priced.credits, priced.lines);
  const offers =
    shortfall > 0n ? offersFor(book.plan, customPacks, shortfall + creditsOwedFirst(book)) : [];
  return {
    lines: priced.lines.map(pricedUsageMessageWithComponents),
    credits: priced.credits,
    rateCardVersion: BigInt(rateCardVersion),
    available,
    sufficient: shortfall === 0n && book.account.state === 'OPEN',
    shortfall,
    packs: offers.map(offerMessage),
  };
}
