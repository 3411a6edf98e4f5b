/**
 * The overage of months. Late usage adds to that of the month before the present one, which is kept as long as it
 * can: see docs/decisions/0021-late-usage.md.
 */
import { type Account, monthToCloseEnd } from './account.ts';
import type { Book } from './book.ts';
import { isSameMonth, monthAt } from './periods/period.ts';

/** The overage of the month of `usedAt`: of the present one, or of the one before it. */
export function overageOfMonth({ account, now }: Book, usedAt: number): bigint {
  const { timeZones, lastAt, overage, overageBefore } = account;
  if (isSameMonth(timeZones, lastAt, usedAt)) return overage;
  // What is kept is of the month before that of the newest entry.
  return isSameMonth(timeZones, lastAt, now) ? (overageBefore ?? 0n) : 0n;
}

/** Begins to count the overage of a month. */
export function beginMonth(book: Book) {
  setOverageBefore(book, overageToKeep(book));
  book.account.overage = 0n;
}

/** The overage of the month before the present one, as an account of the present month keeps it. */
export function overageBeforeNow(book: Book): bigint | null {
  const { account, now } = book;
  return isSameMonth(account.timeZones, account.lastAt, now)
    ? account.overageBefore
    : overageToKeep(book);
}

/** What the newest entry's month has used, where that is the month before the present one and can be added to. */
function overageToKeep(book: Book): bigint | null {
  const { overage } = book.account;
  return overage > 0n && isMonthBeforeOpen(book) ? overage : null;
}

/** Whether the newest entry is of the month before the present one, and that can still be added to. */
function isMonthBeforeOpen({ account, now }: Book): boolean {
  const { timeZones, lastAt, statementDueAt } = account;
  const end = monthToCloseEnd(account);
  if (end === null || statementDueAt === null) return false;
  const { from } = monthAt(timeZones, now);
  // While an older month is still to be closed, nothing says when this one will be: it is taken to be open.
  const isOpen = end === from ? statementDueAt > now : end < from;
  return isOpen && monthAt(timeZones, lastAt).until === from;
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
