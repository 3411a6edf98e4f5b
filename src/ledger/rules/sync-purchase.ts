/**
 * SyncPurchase: brings a purchase to the state that a snapshot of the payment provider shows. It does not
 * matter what caused the snapshot: a webhook, however late or repeated, or our own polling. A payment that
 * differs from the order in amount or currency grants nothing: an operator decides (see ResolvePurchase).
 *
 * A snapshot that was requested before the last one was applied is stale and changes nothing: of two
 * that overtake each other, the older never overwrites the newer.
 */
import type { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { creditsToReinstate, syncClawBack } from '../claw-back.ts';
import { amountIfUsedUp, checkCreditLimit } from '../credit-limit.ts';
import type { Origin } from '../entry.ts';
import { purchaseNotFound } from '../failures.ts';
import {
  computeNextCheckAt,
  creditsToClawBack,
  hasPayment,
  type PaymentSnapshot,
  type Purchase,
  paysOrder,
} from '../purchase.ts';
import { paymentKey, postPayment } from '../purchase-details.ts';
import { grantPurchase, markMismatched, tellOfPayment } from '../purchase-lifecycle.ts';
import { recordTopUpOutcome } from '../top-up.ts';

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

  const target = snapshot.payment === 'PAID' ? creditsToClawBack(purchase.credits, snapshot) : 0n;
  const overLimit = becomesPaid(purchase, snapshot)
    ? checkCreditLimit(book, purchase.credits)
    : checkReinstated(book, purchase, target);
  if (overLimit) return overLimit;

  applySnapshot(book, purchase, snapshot, target, origin);
  return outcome('applied');
}

function checkReinstated(book: Book, purchase: Purchase, target: bigint): Failure | null {
  const { grantId, creditsOwed } = purchase;
  const credits = creditsToReinstate(book, purchase, target);
  if (credits === 0n || grantId === null) return null;
  return checkCreditLimit(book, credits, creditsOwed + amountIfUsedUp(book.getGrant(grantId)));
}

const becomesPaid = (purchase: Purchase, { payment, amountPaid }: PaymentSnapshot): boolean =>
  payment === 'PAID' && !hasPayment(purchase) && paysOrder(purchase, amountPaid);

/** `target` is the number of credits to claw back: see `syncClawBack`. */
function applySnapshot(
  book: Book,
  purchase: Purchase,
  snapshot: PaymentSnapshot,
  target: bigint,
  origin: Origin,
) {
  const stateBefore = purchase.state;
  const becomes = becomesPaid(purchase, snapshot);
  const hadPayment = hasPayment(purchase);
  let stated = paymentKey(purchase);
  purchase.syncVersion += 1;
  purchase.session ??= snapshot.session;
  purchase.paymentIntentId = snapshot.paymentIntentId ?? purchase.paymentIntentId;
  if (snapshot.payment === 'PAID') {
    purchase.amountPaid ??= snapshot.amountPaid;
    const { amountRefunded, disputeState } = purchase;
    purchase.amountRefunded = snapshot.amountRefunded;
    purchase.disputeState = snapshot.dispute;
    if (becomes) {
      grantPurchase(book, purchase, origin);
      stated = paymentKey(purchase);
    } else if (!hadPayment) markMismatched(book, purchase, snapshot.amountPaid, origin);
    tellOfPayment(book, purchase, { amountRefunded, disputeState }, origin);
    if (purchase.state === 'PAID') syncClawBack(book, purchase, target, origin);
  } else if (purchase.state === 'PENDING') {
    purchase.state = snapshot.payment;
    purchase.failureCode = snapshot.failureCode;
  }
  postPayment(book, purchase, stated, origin);
  purchase.nextCheckAt =
    purchase.state === 'PENDING' ? computeNextCheckAt(purchase, book.now) : null;
  book.changes.purchases.markChanged(purchase);
  if (purchase.method === 'TOP_UP' && purchase.state !== stateBefore)
    recordTopUpOutcome(book, purchase, origin);
}

/**
 * Whether the snapshot shows another payment than the purchase's own. A purchase has a second session
 * only where the provider forgot our idempotency key. The session that is paid first counts; that the
 * other one expires or is paid as well changes nothing.
 */
function isOtherPayment(purchase: Purchase, snapshot: PaymentSnapshot): boolean {
  if (hasPayment(purchase))
    return snapshot.payment !== 'PAID' || snapshot.paymentIntentId !== purchase.paymentIntentId;
  const { session } = purchase;
  const otherSession =
    session && snapshot.session && session.sessionId !== snapshot.session.sessionId;
  return Boolean(otherSession) && snapshot.payment !== 'PAID';
}
