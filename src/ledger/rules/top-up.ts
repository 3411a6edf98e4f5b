/**
 * Top-ups, decided: StartTopUp orders the pack when one is due. The charge comes after it, outside any
 * transaction; its key at the payment provider is the purchase's id, so whoever repeats it charges
 * nothing twice. A top-up is under way exactly as long as its purchase is pending: what ends the one
 * ends the other, in the same transaction, whoever saw it first.
 */
import type { Failure } from '../../failure.ts';
import type { Book } from '../book.ts';
import { checkCreditLimit } from '../credit-limit.ts';
import { findPack } from '../custom-pack.ts';
import type { Origin } from '../entry.ts';
import { invalidField, packNotFound } from '../failures.ts';
import { monthStart } from '../month.ts';
import type { Purchase } from '../purchase.ts';
import { createPurchase } from '../purchase-lifecycle.ts';
import {
  type AutoTopUp,
  backoffMs,
  countInMonth,
  isStillWanted,
  NO_TOP_UPS,
  TOP_UP_LEASE_MS,
  type TopUps,
} from '../top-up.ts';

export type StartTopUp = { readonly kind: 'StartTopUp' };

/** Its payment will come to nothing, though the payment provider keeps it open. */
export type EndTopUp = {
  readonly kind: 'EndTopUp';
  readonly purchaseId: string;
  /** Why, in the payment provider's words. */
  readonly code: string;
};

/**
 * Answers the purchase to charge now; null where nothing is due, which is no failure: another worker
 * was quicker, or the balance has recovered. One that is under way is handed out again once whoever
 * works on it is taken for lost.
 */
export function startTopUp(book: Book, origin: Origin) {
  const { account, now } = book;
  const topUps = account.topUps ?? NO_TOP_UPS;
  const started = (purchaseId: string | null) => ({ kind: 'StartTopUp', purchaseId }) as const;
  if (account.topUpDueAt === null || account.topUpDueAt > now) return started(null);
  const { purchaseId } = topUps;
  const leaseExpiresAt = now + TOP_UP_LEASE_MS;
  if (purchaseId !== null) {
    keep(book, { ...topUps, leaseExpiresAt });
    return started(purchaseId);
  }
  const { autoTopUp } = account;
  if (!autoTopUp) return started(null);
  const ordered = orderTopUp(book, autoTopUp, origin);
  if (typeof ordered === 'string') {
    fail(book, topUps, { purchaseId: '', packId: autoTopUp.packId, code: ordered }, origin);
    return started(null);
  }
  keep(book, {
    ...topUps,
    purchaseId: ordered.purchaseId,
    leaseExpiresAt,
    startedAt: now,
    month: monthStart(now),
    count: countInMonth(topUps, now) + 1,
    retryAt: null,
  });
  return started(ordered.purchaseId);
}

/** What is not, or no longer, under way is passed over: it has ended once already. */
export function endTopUp(book: Book, { purchaseId, code }: EndTopUp, origin: Origin) {
  const purchase = book.findPurchase(purchaseId);
  if (book.account.topUps?.purchaseId !== purchaseId || purchase?.state !== 'PENDING')
    return { kind: 'EndTopUp', ended: false } as const;
  purchase.state = 'FAILED';
  purchase.failureCode = code;
  purchase.nextCheckAt = null;
  // A look that is under way began before this.
  purchase.syncVersion += 1;
  book.changes.purchases.markChanged(purchase);
  recordTopUpOutcome(book, purchase, origin);
  return { kind: 'EndTopUp', ended: true } as const;
}

/** Takes over what has just become of a top-up's purchase: it is paid, or will not be. */
export function recordTopUpOutcome(book: Book, purchase: Purchase, origin: Origin) {
  const { topUps } = book.account;
  if (!topUps) return;
  const { purchaseId, packId, state, failureCode } = purchase;
  if (topUps.purchaseId !== purchaseId) {
    if (state === 'PAID') paidAfterAll(book, topUps, purchase);
    return;
  }
  const free = { ...topUps, purchaseId: null, leaseExpiresAt: null };
  if (state === 'PAID') return keep(book, { ...free, failures: 0, retryAt: null });
  const uncounted = { ...free, count: topUps.count - 1 };
  // Nobody is told of a failure that the owner brought about, and the next one need not wait for it.
  if (!isStillWanted(book.account, purchase)) return keep(book, uncounted);
  fail(book, uncounted, { purchaseId, packId, code: failureCode || 'expired' }, origin);
}

/** Money of a declined top-up has arrived: it counts, and the payment method works. */
function paidAfterAll(book: Book, topUps: TopUps, { createdAt }: Purchase) {
  const counts = topUps.month === monthStart(createdAt);
  const count = counts ? topUps.count + 1 : topUps.count;
  keep(book, { ...topUps, count, failures: 0, retryAt: null });
}

/** Takes the owner's setting over; a payment method that was not declined yet need not wait. */
export function setAutoTopUp({ account }: Book, setting: AutoTopUp | null) {
  const { autoTopUp: before, topUps } = account;
  const same =
    before?.customer === setting?.customer && before?.paymentMethod === setting?.paymentMethod;
  if (setting && !same && topUps) account.topUps = { ...topUps, failures: 0, retryAt: null };
  account.autoTopUp = setting;
  account.topUpDueAt = null; // Worked out anew, by the new terms.
}

/** The failure of a setting that could not work; null where it can. */
export function checkAutoTopUp(book: Book, { packId, threshold }: AutoTopUp): Failure | null {
  const pack = findPack(book, packId);
  if (!pack) return packNotFound(book, packId);
  if (threshold <= pack.credits) return null;
  return invalidField(
    'auto_top_up.auto_top_up.threshold',
    `must be at most the ${pack.credits} credits of pack ${packId}: one top-up must suffice`,
    { allowed: pack.credits },
  );
}

/** A pending purchase of the pack, or the code of why there can be none. */
function orderTopUp(book: Book, setting: AutoTopUp, origin: Origin): Purchase | string {
  const pack = findPack(book, setting.packId);
  if (!pack) return 'pack_not_found';
  if (checkCreditLimit(book, pack.credits)) return 'account_full';
  const { customer, paymentMethod } = setting;
  return createPurchase(book, pack, { method: 'TOP_UP', customer, paymentMethod }, {}, origin);
}

type Declined = { readonly purchaseId: string; readonly packId: string; readonly code: string };

function fail(book: Book, topUps: TopUps, { purchaseId, packId, code }: Declined, origin: Origin) {
  const failures = topUps.failures + 1;
  const retryAt = book.now + backoffMs(failures);
  keep(book, { ...topUps, failures, retryAt });
  book.emitEvent(
    'top_up.failed',
    {
      purchase_id: purchaseId,
      pack_id: packId,
      code,
      next_attempt_at: new Date(retryAt).toISOString(),
    },
    origin,
  );
}

/** What was due is worked out anew from what has become of it. */
function keep(book: Book, topUps: TopUps) {
  book.account.topUps = topUps;
  book.account.topUpDueAt = null;
  book.changes.settings = true;
}
