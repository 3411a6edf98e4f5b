/**
 * SyncPurchase: brings a purchase to the state that a snapshot of the payment provider shows. The cause
 * of the snapshot does not matter: a webhook, early, late or repeated, or a poll of ours.
 *
 * A snapshot that was requested before the last one was applied is stale and changes nothing: of two
 * that overtake each other, the older never overwrites the newer.
 */
import type { Book } from '../book.ts';
import { creditsToReinstate, syncClawBack } from '../claw-back.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import type { Origin } from '../entry.ts';
import { purchaseNotFound } from '../failures.ts';
import {
  computeNextCheckAt,
  creditsToClawBack,
  type PaymentSnapshot,
  type Purchase,
} from '../purchase.ts';
import { grantPurchase } from '../purchase-lifecycle.ts';
import { recordTopUpOutcome } from './top-up.ts';

export type SyncPurchase = {
  readonly kind: 'SyncPurchase';
  readonly purchaseId: string;
  /** The purchase's `syncVersion`, read before the provider was asked. */
  readonly syncVersion: number;
  readonly snapshot: PaymentSnapshot;
};

export function syncPurchase(book: Book, command: SyncPurchase, origin: Origin) {
  const { purchaseId, snapshot } = command;
  const purchase = book.findPurchase(purchaseId);
  if (!purchase) return purchaseNotFound(book.account.accountId, purchaseId);
  const outcome = (result: 'applied' | 'stale' | 'other payment') =>
    ({ kind: 'SyncPurchase', purchase, result }) as const;
  if (purchase.syncVersion !== command.syncVersion) return outcome('stale');
  if (isOtherPayment(purchase, snapshot)) return outcome('other payment');

  const pays = snapshot.payment === 'PAID' && purchase.state !== 'PAID';
  const askedBack =
    snapshot.payment === 'PAID' ? creditsToClawBack(purchase.credits, snapshot) : 0n;
  const incoming = pays ? purchase.credits : creditsToReinstate(book, purchase, askedBack);
  const tooMany = incoming > 0n ? checkCreditLimit(book, incoming) : null;
  if (tooMany) return tooMany;

  const before = purchase.state;
  purchase.syncVersion += 1;
  purchase.session ??= snapshot.session;
  purchase.paymentIntentId = snapshot.paymentIntentId ?? purchase.paymentIntentId;
  if (pays) grantPurchase(book, purchase, origin);
  else if (purchase.state === 'PENDING') {
    purchase.state = snapshot.payment;
    purchase.failureCode = snapshot.failureCode;
  }
  if (snapshot.payment === 'PAID') {
    purchase.amountRefunded = snapshot.amountRefunded;
    purchase.disputeState = snapshot.dispute;
    syncClawBack(book, purchase, askedBack, origin);
  }
  purchase.nextCheckAt =
    purchase.state === 'PENDING' ? computeNextCheckAt(purchase, book.now) : null;
  book.changes.purchases.markChanged(purchase);
  if (purchase.method === 'TOP_UP' && purchase.state !== before)
    recordTopUpOutcome(book, purchase, origin);
  return outcome('applied');
}

/**
 * Whether the snapshot shows another payment than the purchase's own. A purchase has a second session
 * only where the provider forgot our idempotency key. The session that is paid first counts; that the
 * other one expires or is paid as well changes nothing.
 */
function isOtherPayment(purchase: Purchase, snapshot: PaymentSnapshot): boolean {
  if (purchase.state === 'PAID')
    return snapshot.payment !== 'PAID' || snapshot.paymentIntentId !== purchase.paymentIntentId;
  const { session } = purchase;
  const otherSession =
    session && snapshot.session && session.sessionId !== snapshot.session.sessionId;
  return Boolean(otherSession) && snapshot.payment !== 'PAID';
}
