/**
 * Top-ups: packs that an account buys by itself, in one purchase at a time. One is due while the usable
 * credits are below a threshold or, if the owner wants that, after a refusal. The account's row holds their state; a
 * worker looks for accounts whose `topUpDueAt` has come.
 *
 * A top-up is in progress exactly as long as its purchase is pending: one transaction ends both.
 */
import { type AutoTopUp, disableMismatched, isStillWanted } from './auto-top-up.ts';
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import { creditsOwedFirst } from './owed.ts';
import { monthAt, type Zones } from './periods/period.ts';
import type { Purchase } from './purchase.ts';
import { generalAvailable, usableCredits } from './usable-credits.ts';

/** The state of an account's top-ups. */
export type TopUps = {
  /** The purchase of the top-up in progress; null: none is. */
  readonly purchaseId: string | null;
  /** When the worker's lease on it expires; null: none is in progress. */
  readonly leaseExpiresAt: number | null;
  /** When the newest was started; null before the first. */
  readonly startedAt: number | null;
  /** First moment of the month that `count` is about. */
  readonly month: number;
  /** Packs of the top-ups started in that month, declined ones excluded. */
  readonly count: number;
  /** Declines in a row. */
  readonly failures: number;
  /** End of the back-off after a decline; null: no back-off. */
  readonly retryAt: number | null;
  /** The refusal that asks for a top-up; null: none does. */
  readonly refusal: Refusal | null;
};

/** A request was refused for lack of credits. */
export type Refusal = {
  readonly at: number;
  readonly shortfall: bigint;
  /** What was available then, without limited credits. */
  readonly available: bigint;
};

export const NO_TOP_UPS: TopUps = {
  purchaseId: null,
  leaseExpiresAt: null,
  startedAt: null,
  month: 0,
  count: 0,
  failures: 0,
  retryAt: null,
  refusal: null,
};

/** A worker that has not ended its top-up within this time is presumed dead. */
export const TOP_UP_LEASE_MS = 5 * 60_000;

/** A refusal that is older than this asks for nothing any more: its caller has gone on. */
export const REFUSAL_VALID_MS = 5 * 60_000;

const BACKOFF_MS = 3_600_000;
const BACKOFF_MAX_MS = 7 * 24 * 3_600_000;

/** Wait after this many declines in a row: an hour, doubled by each further decline, at most a week. */
export const backoffMs = (failures: number): number =>
  Math.min(BACKOFF_MS * 2 ** (failures - 1), BACKOFF_MAX_MS);

/** Packs that count towards the cap of the month of `now`. */
export const countInMonth = (zones: Zones, { month, count }: TopUps, now: number): number =>
  month === monthAt(zones, now).from ? count : 0;

/**
 * Updates when a worker must act on the account's top-ups. Called after settling and after each command,
 * so that the transaction that lowers the balance schedules the top-up.
 */
export function updateTopUpDueAt(book: Book) {
  const { account, now } = book;
  if (account.topUps?.refusal && refusedCredits(book) <= 0n)
    setTopUps(book, { ...account.topUps, refusal: null });
  const before = account.topUpDueAt;
  const earliest = earliestDueAt(book);
  const isStillValid = earliest !== null && before !== null && before >= earliest;
  const dueAt = earliest === null ? null : isStillValid ? before : Math.max(earliest, now);
  if (dueAt === before) return;
  account.topUpDueAt = dueAt;
  book.changes.settings = true;
}

/** The first moment at which a worker has something to do; null: nothing to do. */
function earliestDueAt(book: Book): number | null {
  const { account, now } = book;
  const { autoTopUp, state } = account;
  const topUps = account.topUps ?? NO_TOP_UPS;
  if (topUps.purchaseId !== null) return topUps.leaseExpiresAt;
  if (!autoTopUp || state !== 'OPEN' || account.suspension || missingCredits(book, autoTopUp) <= 0n)
    return null;
  return allowedAt(account.timeZones, topUps, autoTopUp, now);
}

/** The first moment at which cool-down, back-off and cap allow a top-up; 0: they do not limit it. */
function allowedAt(zones: Zones, topUps: TopUps, autoTopUp: AutoTopUp, now: number): number {
  const isCapped = countInMonth(zones, topUps, now) >= autoTopUp.monthlyCap;
  return Math.max(
    topUps.startedAt === null ? 0 : topUps.startedAt + autoTopUp.coolDownMs,
    topUps.retryAt ?? 0,
    isCapped ? monthAt(zones, now).until : 0,
  );
}

/**
 * Credits that a top-up is to buy: up to the threshold, or what a refused request lacked, and what is owed if it
 * is paid first.
 */
export function missingCredits(book: Book, { threshold }: AutoTopUp): bigint {
  const { account, grants, plan } = book;
  const toThreshold = threshold - usableCredits(account, grants, plan);
  const refused = refusedCredits(book);
  const missing = refused > toThreshold ? refused : toThreshold;
  return missing > 0n ? missing + creditsOwedFirst(book) : missing;
}

/** What the refused request still lacks; 0 or less: nothing. */
function refusedCredits({ account, grants, now }: Book): bigint {
  const refusal = account.topUps?.refusal;
  if (!refusal || refusal.at + REFUSAL_VALID_MS < now) return 0n;
  return refusal.shortfall - (generalAvailable(account, grants) - refusal.available);
}

/**
 * Has a refused request that lacked credits start a top-up, if the owner wants that and nothing limits it
 * now. It never starts one later: by then nobody may need the credits.
 */
export function requestTopUp(book: Book, shortfall: bigint) {
  const { account, grants, now } = book;
  const { autoTopUp } = account;
  const topUps = account.topUps ?? NO_TOP_UPS;
  if (!autoTopUp?.onRefusal || account.state !== 'OPEN' || topUps.purchaseId !== null) return;
  if (allowedAt(account.timeZones, topUps, autoTopUp, now) > now) return;
  const available = generalAvailable(account, grants);
  setTopUps(book, { ...topUps, refusal: { at: now, shortfall, available } });
}

/** Replaces the state of the top-ups. `updateTopUpDueAt` computes from it when the next is due. */
export function setTopUps(book: Book, topUps: TopUps) {
  book.account.topUps = topUps;
  book.account.topUpDueAt = null;
  book.changes.settings = true;
}

/** Records how the purchase of a top-up has just ended: it is paid, or will not be. */
export function recordTopUpOutcome(book: Book, purchase: Purchase, origin: Origin) {
  const { topUps } = book.account;
  if (!topUps) return;
  const { purchaseId, packId, state, failureCode } = purchase;
  if (topUps.purchaseId !== purchaseId) {
    if (state === 'PAID') recordLatePayment(book, topUps, purchase);
    else if (state === 'MISMATCHED') recordMismatch(book, topUps, purchase, origin);
    return;
  }
  const ended = { ...topUps, purchaseId: null, leaseExpiresAt: null };
  if (state === 'PAID') return setTopUps(book, { ...ended, failures: 0, retryAt: null });
  const notCounted = { ...ended, count: topUps.count - purchase.quantity };
  if (state === 'MISMATCHED') return recordMismatch(book, notCounted, purchase, origin);
  // The owner has changed the setting meanwhile: that is no decline, and needs no back-off.
  if (!isStillWanted(book.account, purchase)) return setTopUps(book, notCounted);
  recordDecline(book, notCounted, { purchaseId, packId, code: failureCode || 'expired' }, origin);
}

/** A top-up that was declined has been paid after all: it counts, and its payment method works. */
function recordLatePayment(book: Book, topUps: TopUps, purchase: Purchase) {
  const count = topUps.count + countedPacks(book, topUps, purchase);
  setTopUps(book, { ...topUps, count, failures: 0, retryAt: null });
}

/** A top-up has taken another amount than ordered: it counts, and no further one follows by itself. */
function recordMismatch(book: Book, topUps: TopUps, purchase: Purchase, origin: Origin) {
  const count = topUps.count + countedPacks(book, topUps, purchase);
  setTopUps(book, { ...topUps, count, refusal: null });
  disableMismatched(book, origin);
}

/** What a purchase adds to the count, if it was made in the month that the count is about. */
function countedPacks(
  { account }: Book,
  { month }: TopUps,
  { createdAt, quantity }: Purchase,
): number {
  return month === monthAt(account.timeZones, createdAt).from ? quantity : 0;
}

type Decline = {
  /** Empty if there was nothing to charge. */
  readonly purchaseId: string;
  readonly packId: string;
  readonly code: string;
};

/** Starts the back-off after a decline, and emits top_up.failed. */
export function recordDecline(
  book: Book,
  topUps: TopUps,
  { purchaseId, packId, code }: Decline,
  origin: Origin,
) {
  const failures = topUps.failures + 1;
  const retryAt = book.now + backoffMs(failures);
  setTopUps(book, { ...topUps, failures, retryAt, refusal: null });
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
