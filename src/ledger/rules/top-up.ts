/**
 * StartTopUp and EndTopUp. StartTopUp creates the pending purchase of a top-up that is due. The worker
 * charges it afterwards, outside any transaction, with the purchase id as the provider's idempotency
 * key: a repeated charge has no second effect.
 */
import { min } from '../../min.ts';
import { maxQuantity } from '../../pricing/packs.ts';
import type { Pack } from '../../pricing/plan.ts';
import type { AutoTopUp } from '../auto-top-up.ts';
import type { Book } from '../book.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import { findPack } from '../custom-pack.ts';
import type { Origin } from '../entry.ts';
import { monthAt } from '../periods/period.ts';
import type { Purchase } from '../purchase.ts';
import { paymentKey, postPayment } from '../purchase-details.ts';
import { createPurchase, postCheckout } from '../purchase-lifecycle.ts';
import {
  countInMonth,
  missingCredits,
  NO_TOP_UPS,
  recordDecline,
  recordTopUpOutcome,
  setTopUps,
  TOP_UP_LEASE_MS,
  type TopUps,
} from '../top-up.ts';

export type StartTopUp = { readonly kind: 'StartTopUp' };

/** Ends a top-up that will not be paid, although the payment provider keeps the payment open. */
export type EndTopUp = {
  readonly kind: 'EndTopUp';
  readonly purchaseId: string;
  /** Why, as the payment provider's code. */
  readonly code: string;
};

/**
 * Returns the purchase to charge now, or null if nothing is due: another worker was faster, or the
 * balance has recovered. A top-up in progress whose lease has expired is leased to this worker.
 */
export function startTopUp(book: Book, origin: Origin) {
  const { account, now } = book;
  const topUps = account.topUps ?? NO_TOP_UPS;
  const started = (purchaseId: string | null) => ({ kind: 'StartTopUp', purchaseId }) as const;
  if (account.topUpDueAt === null || account.topUpDueAt > now) return started(null);
  const leaseExpiresAt = now + TOP_UP_LEASE_MS;
  if (topUps.purchaseId !== null) {
    setTopUps(book, { ...topUps, leaseExpiresAt });
    return started(topUps.purchaseId);
  }
  const { autoTopUp } = account;
  if (!autoTopUp) return started(null);
  const purchase = createTopUpPurchase(book, topUps, autoTopUp, origin);
  if (typeof purchase === 'string') {
    const { packId } = autoTopUp;
    recordDecline(book, topUps, { purchaseId: '', packId, code: purchase }, origin);
    return started(null);
  }
  setTopUps(book, {
    ...topUps,
    purchaseId: purchase.purchaseId,
    leaseExpiresAt,
    startedAt: now,
    month: monthAt(account.timeZones, now).from,
    count: countInMonth(account.timeZones, topUps, now) + purchase.quantity,
    retryAt: null,
    refusal: null,
  });
  return started(purchase.purchaseId);
}

/** Does nothing if the top-up is not in progress: it has ended before. */
export function endTopUp(book: Book, { purchaseId, code }: EndTopUp, origin: Origin) {
  const purchase = book.findPurchase(purchaseId);
  if (book.account.topUps?.purchaseId !== purchaseId || purchase?.state !== 'PENDING')
    return { kind: 'EndTopUp', ended: false } as const;
  const stated = paymentKey(purchase);
  purchase.state = 'FAILED';
  purchase.failureCode = code;
  purchase.nextCheckAt = null;
  // A snapshot of the provider that was read before this is stale.
  purchase.syncVersion += 1;
  book.changes.purchases.markChanged(purchase);
  postPayment(book, purchase, stated, origin);
  recordTopUpOutcome(book, purchase, origin);
  return { kind: 'EndTopUp', ended: true } as const;
}

/** A pending purchase of the packs, or a code that says why they cannot be bought. */
function createTopUpPurchase(
  book: Book,
  topUps: TopUps,
  autoTopUp: AutoTopUp,
  origin: Origin,
): Purchase | 'pack_not_found' | 'account_full' {
  const { packId, customer, paymentMethod } = autoTopUp;
  const pack = findPack(book, packId);
  if (!pack) return 'pack_not_found';
  const quantity = packsToBuy(book, topUps, autoTopUp, pack);
  if (checkCreditLimit(book, pack.credits * BigInt(quantity))) return 'account_full';
  const payment = { method: 'TOP_UP', customer, paymentMethod } as const;
  const purchase = createPurchase(book, pack, quantity, payment, {}, origin);
  postCheckout(book, purchase, origin);
  return purchase;
}

/** As many packs as are needed, at most what is left of the month's cap, and at least 1. */
function packsToBuy(
  book: Book,
  topUps: TopUps,
  autoTopUp: AutoTopUp,
  { credits, price }: Pack,
): number {
  const missing = missingCredits(book, autoTopUp);
  const needed = (missing + credits - 1n) / credits;
  const left = BigInt(
    autoTopUp.monthlyCap - countInMonth(book.account.timeZones, topUps, book.now),
  );
  const bought = min(min(needed, left), maxQuantity(price));
  return bought > 1n ? Number(bought) : 1;
}
