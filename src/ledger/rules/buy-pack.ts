/**
 * Purchase: buys a pack, or a number of credits of a custom amount. If it was paid elsewhere, its credits are
 * granted at once. If it is paid at the provider's checkout, it stays pending until the provider says that it is
 * paid (see SyncPurchase).
 */
import { Failure } from '../../failure.ts';
import { packOfAmount } from '../../pricing/custom-amount.ts';
import type { Pack } from '../../pricing/plan.ts';
import type { Book } from '../book.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import { findPack } from '../custom-pack.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed, invalidField, packNotFound, paymentReferenceUsed } from '../failures.ts';
import { paymentReferenceKey } from '../payment-reference.ts';
import type { CheckoutTerms } from '../purchase.ts';
import { createPurchase, grantPurchase, postCheckout } from '../purchase-lifecycle.ts';

export type BuyPack = {
  readonly kind: 'Purchase';
  readonly packId: string;
  /** How many of the pack: 1 or more. */
  readonly quantity: number;
  /** Of a custom amount: how many credits. Null: a pack is bought. */
  readonly credits: bigint | null;
  readonly payment:
    | { readonly method: 'REFERENCE'; readonly reference: string }
    | ({ readonly method: 'CHECKOUT' } & CheckoutTerms);
  readonly labels: Labels;
};

/** The reference of the purchase that was paid with the same payment; null if there is none. */
function findPaidWith({ purchases }: Book, reference: string): string | null {
  const key = paymentReferenceKey(reference);
  for (const { paymentReference } of purchases)
    if (paymentReference !== null && paymentReferenceKey(paymentReference) === key)
      return paymentReference;
  return null;
}

/** What the plan sells under the id: a pack, or credits in a number that the buyer chooses. */
export function findSold(
  book: Book,
  { packId, credits }: Pick<BuyPack, 'packId' | 'credits'>,
): Pack | Failure {
  const amount = book.plan.customAmounts.find((one) => one.packId === packId);
  if (!amount) {
    const pack = findPack(book, packId);
    if (!pack)
      return packNotFound(
        book,
        packId,
        book.plan.customAmounts.map((one) => one.packId),
      );
    return credits === null
      ? pack
      : invalidField('credits', `must not be set: pack ${packId} has ${pack.credits}`);
  }
  const { min, max } = amount;
  const range = `${min} to ${max}`;
  if (credits === null)
    return invalidField('credits', `is required: ${packId} is sold by the credit, ${range}`, {
      allowed: range,
    });
  if (credits < min || credits > max)
    return invalidField('credits', `must be ${range}`, { allowed: range });
  return packOfAmount(amount, credits);
}

export function buyPack(book: Book, command: BuyPack, origin: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const pack = findSold(book, command);
  if (pack instanceof Failure) return pack;
  const { quantity, payment, labels } = command;
  const before = payment.method === 'REFERENCE' && findPaidWith(book, payment.reference);
  if (before) return paymentReferenceUsed(payment.reference, before);

  const overLimit = checkCreditLimit(book, pack.credits * BigInt(quantity));
  if (overLimit) return overLimit;

  const purchase = createPurchase(book, pack, quantity, payment, labels, origin);
  if (payment.method === 'CHECKOUT')
    return {
      kind: 'Purchase',
      purchase,
      grant: null,
      entrySeq: postCheckout(book, purchase, origin),
    } as const;
  return { kind: 'Purchase', purchase, ...grantPurchase(book, purchase, origin) } as const;
}
