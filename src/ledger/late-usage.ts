/**
 * Late usage: work that is charged after it was done, and counts when it was done. See
 * docs/decisions/0021-late-usage.md.
 */
import type { Failure } from '../failure.ts';
import { monthToCloseEnd } from './account.ts';
import { type Allocation, OVERAGE } from './allocation/allocation.ts';
import type { Book } from './book.ts';
import { invalidField, lateUsageNotAllowed } from './failures.ts';
import { isSameMonth, monthAt, monthEndingAt } from './periods/period.ts';
import type { Reservation } from './reservation.ts';
import { closingOf, isClosingBehind } from './statement-closing.ts';

/** Why usage of then cannot be charged now; null: it can, or is of now. */
export function checkUsedAt(book: Book, usedAt: number | null): Failure | null {
  if (usedAt === null) return null;
  const { account, plan, now, usageSince } = book;
  if (usedAt > now)
    return invalidField('used_at', 'must not be in the future', {
      allowed: new Date(now).toISOString(),
    });
  const { lateUsageMs } = plan.terms;
  if (lateUsageMs === 0) return lateUsageNotAllowed(plan.planId, usedAt, null);
  // An import says what was used before it, as one sum: usage of then has been counted. What is archived is final.
  const since = usageSince ?? account.openedAt;
  const earliest = Math.max(now - lateUsageMs, since, openSince(book));
  return usedAt < earliest ? lateUsageNotAllowed(plan.planId, usedAt, earliest) : null;
}

/** The beginning of the oldest month that still takes usage of the account's plan. */
function openSince(book: Book): number {
  const { account, plan, now } = book;
  const { statementDueAt, statementPlanId, planId, timeZones } = account;
  const end = monthToCloseEnd(account);
  if (end === null || statementDueAt === null) return account.openedAt;
  if (end > now) return monthEndingAt(timeZones, end).from;
  // The month before the running one has ended, and can wait for its statement.
  const { from } = monthAt(timeZones, now);
  const before = monthEndingAt(timeZones, from);
  const closing = isClosingBehind(account, now)
    ? closingOf(book, before)
    : { dueAt: statementDueAt, planId: statementPlanId };
  const isPrepaid = plan.terms.overage === null;
  const isOfPlan = closing.planId === null ? isPrepaid : closing.planId === planId;
  return closing.dueAt > now && isOfPlan ? before.from : from;
}

/** When a commit counts: as its reservation said, while that can still be charged. Null: when it is made. */
export function committedAt(
  book: Book,
  { usedAt }: Reservation,
  fromAvailable: readonly Allocation[],
): number | null {
  if (usedAt === null || checkUsedAt(book, usedAt) !== null) return null;
  // The limit of an earlier month was looked at for what is held, and not for more.
  const drawsOverage = fromAvailable.some(({ grantId }) => grantId === OVERAGE);
  return drawsOverage && !isSameMonth(book.account.timeZones, book.now, usedAt) ? null : usedAt;
}
