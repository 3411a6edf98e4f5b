/**
 * Top-ups, decided: StartTopUp orders the pack when one is due, EndTopUp says how its payment went. The
 * charge lies between the two, outside any transaction; its key at the payment provider is the
 * purchase's id, so whoever repeats it charges nothing twice. The grant is made by the purchase, when
 * it is paid.
 */
import { Failure } from '../../failure.ts';
import { monthStart } from '../account.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { beyondLimit } from '../limit.ts';
import type { Purchase } from '../purchase.ts';
import {
  type AutoTopUp,
  backoffMs,
  countOf,
  LOOK_AGAIN_MS,
  NO_TOP_UPS,
  type TopUps,
} from '../top-up.ts';
import { orderPack } from './order-pack.ts';

export type StartTopUp = { readonly kind: 'StartTopUp' };

export type EndTopUp = {
  readonly kind: 'EndTopUp';
  readonly purchaseId: string;
  readonly outcome:
    | { readonly kind: 'paid' }
    /** `code` is the payment provider's. */
    | { readonly kind: 'declined'; readonly code: string };
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
  const lookAgainAt = now + LOOK_AGAIN_MS;
  if (purchaseId !== null) {
    keep(book, { ...topUps, lookAgainAt });
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
    lookAgainAt,
    startedAt: now,
    month: monthStart(now),
    count: countOf(topUps, now) + 1,
    retryAt: null,
  });
  return started(ordered.purchaseId);
}

/** What is not, or no longer, under way is passed over: it has ended once already. */
export function endTopUp(book: Book, { purchaseId, outcome }: EndTopUp, origin: Origin) {
  const { account, now } = book;
  const { topUps } = account;
  if (topUps?.purchaseId !== purchaseId) return { kind: 'EndTopUp', ended: false } as const;
  const free = { ...topUps, purchaseId: null, lookAgainAt: null };
  if (outcome.kind === 'paid') keep(book, { ...free, failures: 0, retryAt: null });
  else {
    const count = countOf(topUps, now);
    // A month that is over is not counted any more.
    const uncounted = count > 0 ? { ...free, count: count - 1 } : free;
    const packId = account.autoTopUp?.packId ?? '';
    fail(book, uncounted, { purchaseId, packId, code: outcome.code }, origin);
  }
  return { kind: 'EndTopUp', ended: true } as const;
}

/** The failure of a setting that could not work; null where it can. */
export function unusableTopUp({ plan }: Book, { packId, threshold }: AutoTopUp): Failure | null {
  const pack = plan.packs.find((candidate) => candidate.packId === packId);
  if (!pack)
    return new Failure('PACK_NOT_FOUND', `plan ${plan.planId} has no pack ${packId}`, {
      pack_id: packId,
      plan_id: plan.planId,
    });
  if (threshold <= pack.credits) return null;
  const field = 'auto_top_up.auto_top_up.threshold';
  const description = `must be at most the ${pack.credits} credits of pack ${packId}: one top-up must suffice`;
  return new Failure('INVALID_FIELD', `${field} ${description}`, { field, allowed: pack.credits }, [
    { field, description },
  ]);
}

/** A pending purchase of the pack, or the code of why there can be none. */
function orderTopUp(book: Book, setting: AutoTopUp, origin: Origin): Purchase | string {
  const pack = book.plan.packs.find(({ packId }) => packId === setting.packId);
  if (!pack) return 'pack_not_found';
  if (beyondLimit(book, pack.credits)) return 'account_full';
  const { customer, paymentMethod } = setting;
  return orderPack(book, pack, { method: 'TOP_UP', customer, paymentMethod }, {}, origin);
}

type Declined = { readonly purchaseId: string; readonly packId: string; readonly code: string };

function fail(book: Book, topUps: TopUps, { purchaseId, packId, code }: Declined, origin: Origin) {
  const failures = topUps.failures + 1;
  const retryAt = book.now + backoffMs(failures);
  keep(book, { ...topUps, failures, retryAt });
  book.announce(
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
