/**
 * Purchase: a pack bought. One that was paid elsewhere grants its credits at once; one that goes
 * through the provider's checkout waits until the provider says that it was paid.
 */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { packNamed } from '../custom-pack.ts';
import type { Labels, Origin } from '../entry.ts';
import { beyondLimit } from '../limit.ts';
import type { CheckoutTerms } from '../purchase.ts';
import { accountClosed } from './account.ts';
import { orderPack, payPurchase } from './order-pack.ts';

export type BuyPack = {
  readonly kind: 'Purchase';
  readonly packId: string;
  readonly payment:
    | { readonly method: 'REFERENCE'; readonly reference: string }
    | ({ readonly method: 'CHECKOUT' } & CheckoutTerms);
  readonly labels: Labels;
};

export function buyPack(book: Book, command: BuyPack, origin: Origin) {
  if (book.account.state === 'CLOSED') return accountClosed(book);
  const pack = packNamed(book, command.packId);
  if (!pack) return packNotFound(book, command.packId);
  const { payment, labels } = command;
  if (
    payment.method === 'REFERENCE' &&
    book.purchases.some(({ paymentReference }) => paymentReference === payment.reference)
  )
    return new Failure(
      'PAYMENT_REFERENCE_USED',
      `payment reference ${payment.reference} has already bought a pack for this account`,
      { payment_reference: payment.reference },
    );

  const tooMany = beyondLimit(book, pack.credits);
  if (tooMany) return tooMany;

  const purchase = orderPack(book, pack, payment, labels, origin);
  if (payment.method === 'CHECKOUT')
    return { kind: 'Purchase', purchase, grant: null, entrySeq: 0n } as const;
  return { kind: 'Purchase', purchase, ...payPurchase(book, purchase, origin) } as const;
}

export const packNotFound = ({ plan: { planId } }: Book, packId: string): Failure =>
  new Failure(
    'PACK_NOT_FOUND',
    `plan ${planId} has no pack ${packId}, and the account is offered none of that name`,
    { pack_id: packId, plan_id: planId },
  );
