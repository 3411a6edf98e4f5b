/**
 * ResolvePurchase: an operator decides about a purchase whose payment differs from the order. Accepting
 * grants the credits as ordered, less what refunds and disputes of the payment claim. Rejecting ends the
 * purchase without a grant. A decision is final, and no later snapshot of the payment changes it.
 */
import type { Book } from '../book.ts';
import { syncClawBack } from '../claw-back.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import type { Origin } from '../entry.ts';
import { purchaseNotFound, purchaseNotMismatched } from '../failures.ts';
import type { Grant } from '../grant.ts';
import { creditsToClawBack, type Purchase, type Resolution } from '../purchase.ts';
import { paymentKey, postPayment } from '../purchase-details.ts';
import { entryReference, grantPurchase } from '../purchase-lifecycle.ts';

export type ResolvePurchase = {
  readonly kind: 'ResolvePurchase';
  readonly purchaseId: string;
  readonly decision: Resolution['decision'];
  /** Why, for people. */
  readonly reason: string;
};

export function resolvePurchase(book: Book, command: ResolvePurchase, origin: Origin) {
  const { purchaseId, decision, reason } = command;
  const purchase = book.findPurchase(purchaseId);
  if (!purchase) return purchaseNotFound(book.account.accountId, purchaseId);
  const outcome = (grant: Grant | null, entrySeq: bigint) =>
    ({ kind: 'ResolvePurchase', purchase, grant, entrySeq }) as const;
  if (purchase.resolution?.decision === decision)
    return outcome(purchase.grantId === null ? null : book.getGrant(purchase.grantId), 0n);
  if (purchase.state !== 'MISMATCHED') return purchaseNotMismatched(purchase);
  const overLimit = decision === 'ACCEPTED' ? checkCreditLimit(book, purchase.credits) : null;
  if (overLimit) return overLimit;

  purchase.resolution = { decision, caller: origin.caller, reason, at: book.now };
  // A snapshot that was read before this is stale.
  purchase.syncVersion += 1;
  book.changes.purchases.markChanged(purchase);
  const granted = decision === 'ACCEPTED' ? accept(book, purchase, origin) : null;
  const entrySeq = granted?.entrySeq ?? reject(book, purchase, reason, origin);
  emitPurchaseResolved(book, purchase, purchase.resolution, origin);
  return outcome(granted?.grant ?? null, entrySeq);
}

function accept(book: Book, purchase: Purchase, origin: Origin) {
  const granted = grantPurchase(book, purchase, origin);
  const stated = paymentKey(purchase);
  const { credits, disputeState: dispute } = purchase;
  syncClawBack(book, purchase, creditsToClawBack(credits, { ...purchase, dispute }), origin);
  postPayment(book, purchase, stated, origin);
  return granted;
}

function reject(book: Book, purchase: Purchase, reason: string, origin: Origin): bigint {
  purchase.state = 'REJECTED';
  const { purchaseId, labels } = purchase;
  const { seq } = book.post(
    {
      kind: 'REJECT_PURCHASE',
      purchaseId,
      reference: entryReference(purchase),
      labels,
      personal: { reason },
    },
    origin,
  );
  return seq;
}

function emitPurchaseResolved(
  book: Book,
  { purchaseId, packId }: Purchase,
  { decision, caller, reason }: Resolution,
  origin: Origin,
) {
  book.emitEvent(
    'purchase.resolved',
    { purchase_id: purchaseId, pack_id: packId, decision, caller, reason },
    origin,
  );
}
