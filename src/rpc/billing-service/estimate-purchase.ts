/** EstimatePurchase: what a purchase would cost and grant. */
import { Failure } from '../../failure.ts';
import type {
  EstimatePurchaseRequest,
  EstimatePurchaseResponse,
  PurchaseLine,
} from '../../gen/billing/v1/billing_service.ts';
import type { Book } from '../../ledger/book.ts';
import { PackFailure } from '../../ledger/failures.ts';
import { findSold } from '../../ledger/rules/buy-pack.ts';
import { divideMoney, multiplyMoney } from '../../pricing/money.ts';
import { priceOverage } from '../../pricing/overage.ts';
import { expiryOf } from '../../pricing/packs.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { loadBook } from '../call/load-account.ts';
import { optionalInstant } from '../messages/time.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseCredits, parseQuantity } from './payment.ts';

export async function estimatePurchase(
  context: ServiceContext,
  request: EstimatePurchaseRequest,
): Promise<EstimatePurchaseResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const packId = check.name('pack_id', request.packId);
  const quantity = BigInt(parseQuantity(request, check));
  const asked = parseCredits(request, check);
  check.throwIfInvalid();
  const book = await loadBook(context, accountId);
  const customPacks = await context.customPacks.find(accountId);
  book.customPacks.push(...customPacks);
  const sold = findSold(book, { packId, credits: asked });
  if (sold instanceof PackFailure) throw sold.withCustomPacks(customPacks);
  if (sold instanceof Failure) throw sold;
  const credits = sold.credits * quantity;
  const price = multiplyMoney(sold.price, quantity);
  return {
    credits,
    price,
    pricePerCredit: divideMoney(price, credits),
    lines: linesOf(book, packId, credits),
    expiresAt: optionalInstant(expiryOf(sold.validity, book.now)),
  };
}

function linesOf({ plan }: Book, packId: string, credits: bigint): PurchaseLine[] {
  const amount = plan.customAmounts.find((one) => one.packId === packId);
  if (!amount) return [];
  const { currency } = amount.rates;
  return priceOverage(amount.rates, credits).map(({ amount: price, ...line }) => ({
    ...line,
    amount: { currency, amount: price },
  }));
}
