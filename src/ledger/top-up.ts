/**
 * Auto top-up: an account that is low buys a pack by itself. Off unless it is set. One at a time: what
 * is due, under way, declined and counted is kept here; a worker looks for accounts that are due.
 */
import { type Account, availableCredits } from './account.ts';
import type { Book } from './book.ts';
import { monthStart } from './month.ts';
import type { Purchase } from './purchase.ts';

/** What the account's owner switched on. */
export type AutoTopUp = {
  /** The pack that is bought, as the account's plan names it. */
  readonly packId: string;
  /** Bought while fewer credits than this are available. */
  readonly threshold: bigint;
  /** From the start of one top-up to that of the next at least. */
  readonly coolDownMs: number;
  /**
   * So many top-ups in a calendar month, UTC, at most; declined ones do not count. A number and not an
   * amount of money: a pack has one price, and a number needs no currency.
   */
  readonly monthlyCap: number;
  /** The customer and the saved payment method, as the payment provider names them. */
  readonly customer: string;
  readonly paymentMethod: string;
};

/** What has become of top-ups so far. */
export type TopUps = {
  /** The purchase that is under way; null: none is. */
  readonly purchaseId: string | null;
  /** When whoever works on it is taken for lost; null where nothing is under way. */
  readonly leaseExpiresAt: number | null;
  /** When the newest was started; null before the first. */
  readonly startedAt: number | null;
  /** First moment of the month that `count` is of. */
  readonly month: number;
  /** Top-ups started in that month, less the declined ones. */
  readonly count: number;
  /** Declined in a row. */
  readonly failures: number;
  /** No attempt before this, after a decline; else null. */
  readonly retryAt: number | null;
};

export const NO_TOP_UPS: TopUps = {
  purchaseId: null,
  leaseExpiresAt: null,
  startedAt: null,
  month: 0,
  count: 0,
  failures: 0,
  retryAt: null,
};

/** A worker that has not said how a top-up went by then is taken for lost. */
export const TOP_UP_LEASE_MS = 5 * 60_000;

const BACKOFF_MS = 3_600_000;
const BACKOFF_MAX_MS = 7 * 24 * 3_600_000;

/** After the nth decline in a row: an hour, doubled each time, a week at most. */
export const backoffMs = (failures: number): number =>
  Math.min(BACKOFF_MS * 2 ** (failures - 1), BACKOFF_MAX_MS);

/** Top-ups that count in the month of `now`. */
export const countInMonth = ({ month, count }: TopUps, now: number): number =>
  month === monthStart(now) ? count : 0;

/**
 * Whether what a top-up ordered is what the account's owner has switched on still: this pack, to be
 * paid with this payment method. Otherwise nothing is charged for it any more.
 */
export const isStillWanted = (
  { state, autoTopUp }: Pick<Account, 'state' | 'autoTopUp'>,
  { packId, savedMethod }: Pick<Purchase, 'packId' | 'savedMethod'>,
): boolean =>
  state === 'OPEN' &&
  autoTopUp !== null &&
  autoTopUp.packId === packId &&
  autoTopUp.customer === savedMethod?.customer &&
  autoTopUp.paymentMethod === savedMethod.paymentMethod;

/**
 * Notes when the account's next top-up is due, in the transaction that made it so. It is looked at
 * after settling and after each decision, as the low-balance threshold is.
 */
export function updateTopUpDueAt(book: Book) {
  const { account, now } = book;
  const before = account.topUpDueAt;
  const earliest = earliestOf(account, now);
  const stands = earliest !== null && before !== null && before >= earliest;
  const due = earliest === null ? null : stands ? before : Math.max(earliest, now);
  if (due === before) return;
  account.topUpDueAt = due;
  book.changes.settings = true;
}

/** The first moment at which there is something to do; null while there is nothing. */
function earliestOf(account: Account, now: number): number | null {
  const { autoTopUp, state } = account;
  const topUps = account.topUps ?? NO_TOP_UPS;
  if (topUps.purchaseId !== null) return topUps.leaseExpiresAt;
  if (!autoTopUp || state !== 'OPEN' || availableCredits(account) >= autoTopUp.threshold)
    return null;
  const capped = countInMonth(topUps, now) >= autoTopUp.monthlyCap;
  return Math.max(
    topUps.startedAt === null ? 0 : topUps.startedAt + autoTopUp.coolDownMs,
    topUps.retryAt ?? 0,
    capped ? monthStart(now, 1) : 0,
  );
}
