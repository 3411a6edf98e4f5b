/**
 * ObservePurchase: takes over what the payment provider says of a purchase. Whatever made us look (a
 * webhook, the first, a repeated or a late one, or our own poll), the purchase ends where the provider
 * is: the command says how things are, not what happened.
 *
 * A sighting that was made before the last one was taken over is stale and changes nothing: two that
 * overtake each other cannot bring back what was true before.
 */
import { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { beyondLimit } from '../limit.ts';
import { creditsAskedBack, nextCheck, type PaymentSnapshot, type Purchase } from '../purchase.ts';
import { recover, toReinstate } from './claw-back.ts';
import { payPurchase } from './order-pack.ts';
import { endTopUpOf } from './top-up.ts';

export type ObservePurchase = {
  readonly kind: 'ObservePurchase';
  readonly purchaseId: string;
  /** The purchase's `syncVersion`, read before the provider was asked. */
  readonly syncVersion: number;
  readonly seen: PaymentSnapshot;
};

export function observePurchase(book: Book, command: ObservePurchase, origin: Origin) {
  const { purchaseId, seen } = command;
  const purchase = book.purchases.find((candidate) => candidate.purchaseId === purchaseId);
  if (!purchase) return purchaseNotFound(book.account.accountId, purchaseId);
  const observed = (became: 'taken over' | 'stale' | 'of another payment') =>
    ({ kind: 'ObservePurchase', purchase, became }) as const;
  if (purchase.syncVersion !== command.syncVersion) return observed('stale');
  if (isOfAnother(purchase, seen)) return observed('of another payment');

  const pays = seen.payment === 'PAID' && purchase.state !== 'PAID';
  const askedBack = seen.payment === 'PAID' ? creditsAskedBack(purchase.credits, seen) : 0n;
  const incoming = pays ? purchase.credits : toReinstate(book, purchase, askedBack);
  const tooMany = incoming > 0n ? beyondLimit(book, incoming) : null;
  if (tooMany) return tooMany;

  const before = purchase.state;
  purchase.syncVersion += 1;
  purchase.session ??= seen.session;
  purchase.paymentIntentId = seen.paymentIntentId ?? purchase.paymentIntentId;
  if (pays) payPurchase(book, purchase, origin);
  else if (purchase.state === 'PENDING') {
    purchase.state = seen.payment;
    purchase.failureCode = seen.failureCode;
  }
  if (seen.payment === 'PAID') {
    purchase.amountRefunded = seen.amountRefunded;
    purchase.disputeState = seen.dispute;
    recover(book, purchase, askedBack, origin);
  }
  purchase.nextCheckAt = purchase.state === 'PENDING' ? nextCheck(purchase, book.now) : null;
  book.changes.purchases.change(purchase);
  if (purchase.method === 'TOP_UP' && purchase.state !== before) endTopUpOf(book, purchase, origin);
  return observed('taken over');
}

/**
 * Whether the sighting is of another payment than the one the purchase goes by: of a second session,
 * which can only have been made where the provider forgot our idempotency key. If that one is paid
 * first it counts; that it expired does not, and neither does a second payment.
 */
function isOfAnother(purchase: Purchase, seen: PaymentSnapshot): boolean {
  if (purchase.state === 'PAID')
    return seen.payment !== 'PAID' || seen.paymentIntentId !== purchase.paymentIntentId;
  const { session } = purchase;
  const otherSession = session && seen.session && session.sessionId !== seen.session.sessionId;
  return Boolean(otherSession) && seen.payment !== 'PAID';
}

export const purchaseNotFound = (accountId: string, purchaseId: string): Failure =>
  new Failure('PURCHASE_NOT_FOUND', `account ${accountId} has no purchase ${purchaseId}`, {
    purchase_id: purchaseId,
    account_id: accountId,
  });
