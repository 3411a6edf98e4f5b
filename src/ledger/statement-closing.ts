/** When an account's months are due to be closed by a statement, and how one is closed. */
import { type Account, monthToCloseEnd } from './account.ts';
import type { Book } from './book.ts';
import { type Move, NO_GRANT, type Trace } from './entry.ts';
import { setOverageBefore } from './month-overage.ts';
import { isSameMonth, monthAt, type Period, periodFrom } from './periods/period.ts';
import { plansIn, plansLeftOf } from './plans-left.ts';
import type { Statement } from './statement.ts';

/** Whether usage beyond grants is billed by statement. A closed account is not postpaid. */
const isPostpaid = ({ account, plan }: Book): boolean =>
  account.state === 'OPEN' && plan.terms.overage !== null;

/** Sets when a postpaid account's next statement is due, and which plan prices it. */
export function updateStatementDueAt(book: Book) {
  if (!isPostpaid(book)) return;
  const { account, plan, now } = book;
  // Overage from before there were statements: its month is still to be closed.
  if (account.statementDueAt === null)
    scheduleStatement(book, account.overage > 0n ? account.lastAt : now);
  const { lateUsageMs } = plan.terms;
  if (account.statementPlanId === account.planId && lateUsageMs === 0) return;
  // A month that has ended is priced, and closed, by the plan it ended under, however late that is.
  const end = monthToCloseEnd(account);
  if (end === null || end <= now) return;
  if (account.statementPlanId === account.planId && account.statementDueAt === end + lateUsageMs)
    return;
  account.statementPlanId = account.planId;
  account.statementDueAt = end + lateUsageMs;
  book.changes.settings = true;
}

/** The month that runs is closed so long after its end as the plan that the account has come to takes late usage. */
export function updateWindow(book: Book) {
  const { account, plan, now } = book;
  const end = monthToCloseEnd(account);
  if (end !== null && end > now) account.statementDueAt = end + plan.terms.lateUsageMs;
}

/**
 * Schedules a statement if moves use or refund overage, even on an account that is not postpaid now. Late overage schedules
 * none: it is used while the statement of its month is scheduled.
 */
export function scheduleStatementForOverage(book: Book, moves: readonly Move[]) {
  if (book.account.statementDueAt !== null) return;
  const concernsOverage = ({ grantId, from, to }: Move) =>
    grantId === NO_GRANT &&
    ((from === 'consumed' && to === 'overage') || (to === 'consumed' && from !== 'owed'));
  if (moves.some(concernsOverage)) scheduleStatement(book, book.now);
}

/** Whether a month of the account is to be closed by now. */
export const isStatementDue = ({ statementDueAt }: Account, now: number): boolean =>
  statementDueAt !== null && statementDueAt <= now;

/** Whether the closing of statements is behind: another month has ended since the one that is due to be closed. */
export function isClosingBehind(account: Account, now: number): boolean {
  const end = isStatementDue(account, now) ? monthToCloseEnd(account) : null;
  return end !== null && end < monthAt(account.timeZones, now).from;
}

/** Schedules the statement of the month that contains `at`. */
function scheduleStatement(book: Book, at: number) {
  const { account, plan } = book;
  account.statementDueAt = monthAt(account.timeZones, at).until + plan.terms.lateUsageMs;
  book.changes.settings = true;
}

/** A statement that was computed from entries, to be closed if no entry was added since. */
export type StatementToClose = {
  readonly statement: Statement;
  /** When it was due. */
  readonly dueAt: number;
  /** The account as it was when its entries were read. */
  readonly read: Pick<Account, 'seq' | 'lastAt'>;
};

/**
 * Closes a month exactly once and with every entry of it. Does nothing if another replica has closed it,
 * or if a replica whose clock is behind may have posted an entry into the month since it was read. Then
 * the entries must be read again.
 */
export function closeStatement(
  book: Book,
  { statement, dueAt, read }: StatementToClose,
  trace: Trace,
) {
  const { account } = book;
  const end = monthToCloseEnd(account);
  if (account.statementDueAt !== dueAt || end === null || book.now < dueAt) return;
  // Late usage is refused from the time when the statement is due, as entries of the month are from its end.
  const seq = account.seq - BigInt(book.changes.entries.length);
  if (read.lastAt < dueAt && read.seq !== seq) return;

  const postpaid = isPostpaid(book);
  const { overage, adjustments } = statement;
  // Once an account has left postpaid plans, only months with overage or adjustments need a statement.
  const isNeeded = account.statementPlanId !== null || overage > 0n || adjustments.length > 0;
  const moreMonthsFollow = postpaid || isNeeded || account.lastAt >= end;
  if (isNeeded) {
    book.changes.statements.push({ ...statement, closedAt: book.now });
    emitStatementClosed(book, statement, trace);
    forbidEntriesBefore(book, end);
  }
  if (account.overageBefore !== null && isSameMonth(account.timeZones, end, account.lastAt))
    setOverageBefore(book, null);
  const next = closingOf(book, periodFrom(account.timeZones, 'month', end));
  account.statementDueAt = moreMonthsFollow ? next.dueAt : null;
  account.statementPlanId = next.planId;
  book.changes.settings = true;
}

/**
 * When a month is due to be closed, and the plan that prices it: the last postpaid one that the account had in it; null: it
 * had none. The plan at the end of the month says how late usage may be.
 */
export function closingOf(
  book: Book,
  month: Period,
): { readonly dueAt: number; readonly planId: string | null } {
  const { account, plan } = book;
  const planIds = plansIn(account.planId, plansLeftOf(book), month);
  const { lateUsageMs } = book.findPlan(planIds[0])?.terms ?? plan.terms;
  const wasOpen = account.closedAt === null || account.closedAt >= month.from;
  const isPostpaid = (id: string) => book.findPlan(id)?.terms.overage != null;
  return {
    dueAt: month.until + lateUsageMs,
    planId: (wasOpen && planIds.find(isPostpaid)) || null,
  };
}

/** From now on no replica can post an entry with a time before `at`, whatever its clock says. */
function forbidEntriesBefore(book: Book, at: number) {
  const { account } = book;
  if (account.lastAt >= at) return;
  account.lastAt = at;
  account.overage = 0n;
  setOverageBefore(book, null);
  book.changes.account = true;
}

function emitStatementClosed(
  book: Book,
  { month, overage, total, otherTotals }: Statement,
  trace: Trace,
) {
  const others = otherTotals.map(({ amount, currency }) => `${amount} ${currency}`).join(', ');
  book.emitEvent(
    'statement.closed',
    {
      month,
      overage: overage.toString(),
      ...(total && { currency: total.currency, total: total.amount }),
      ...(others && { other_totals: others }),
    },
    trace,
  );
}
