/**
 * The overage of months. Late usage adds to that of the month before the present one, which is kept as long as it
 * can: see docs/decisions/0021-late-usage.md.
 */
import type { Account } from './account.ts';
import type { Book } from './book.ts';
import { isSameMonth, monthAt } from './periods/period.ts';

/** The overage of the month of `usedAt`: of the present one, or of the one before it. */
export function overageOfMonth({ account, now }: Book, usedAt: number): bigint {
  const { timeZones, lastAt, overage, overageBefore } = account;
  if (isSameMonth(timeZones, lastAt, usedAt)) return overage;
  return isSameMonth(timeZones, now, usedAt) ? 0n : (overageBefore ?? 0n);
}

/** Begins to count the overage of a month. */
export function beginMonth(book: Book) {
  const { account, plan, now } = book;
  const { timeZones, lastAt, overage } = account;
  const follows = monthAt(timeZones, now).from === monthAt(timeZones, lastAt).until;
  const isKept = plan.terms.lateUsageMs > 0 && overage > 0n && follows;
  setOverageBefore(book, isKept ? overage : null);
  account.overage = 0n;
}

/** Moves what an entry has added to the present month's overage, which was `before`, to the month of `usedAt`. */
export function countWhenUsed(book: Book, usedAt: number, before: bigint) {
  const { account, now } = book;
  const added = account.overage - before;
  if (added === 0n || isSameMonth(account.timeZones, now, usedAt)) return;
  account.overage = before;
  setOverageBefore(book, (account.overageBefore ?? 0n) + added);
}

export function setOverageBefore({ account, changes }: Book, credits: Account['overageBefore']) {
  if (account.overageBefore === credits) return;
  account.overageBefore = credits;
  changes.settings = true;
}
