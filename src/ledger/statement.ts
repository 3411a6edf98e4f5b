/**
 * A statement: what an account used in one calendar month (UTC) and what it owes for it. Which month is
 * next to be closed stands on the account's row, apart from all else that is due.
 */

import type { OverageLine, OverageRates } from '../pricing/overage.ts';
import type { Money } from '../pricing/plan.ts';
import type { Account } from './account.ts';
import { OVERAGE } from './allocation/allocation.ts';
import type { Book } from './book.ts';
import type { Move } from './entry.ts';
import type { GrantCategory } from './grant.ts';
import { monthStart } from './month.ts';

/** What a month's use of one operation came to. */
export type OperationUsage = {
  /** Empty: credits that no operation was named for. */
  readonly operation: string;
  /** How many times it was done, refunded ones included; 0 where no operation was named. */
  readonly count: bigint;
  /** Less what was refunded within the month. */
  readonly credits: bigint;
  readonly refunded: bigint;
};

/** What refunds of overage take off a month that a closed statement has billed. */
export type Adjustment = {
  readonly month: string;
  /** Refunded in the month of the statement that says so; above 0. */
  readonly credits: bigint;
  /** 0 or negative; null where that month's overage was not billed. */
  readonly amount: Money | null;
};

/** What the entries of a month say, before anything of it has a price. */
export type MonthUsage = {
  /** Ordered by operation; what no operation was named for comes last. */
  readonly usage: readonly OperationUsage[];
  readonly creditsUsed: ReadonlyMap<GrantCategory, bigint>;
  readonly overage: bigint;
  /** Refunded overage of earlier months, by month. */
  readonly refundedEarlier: ReadonlyMap<string, bigint>;
};

export type Statement = Omit<MonthUsage, 'refundedEarlier'> & {
  readonly accountId: string;
  /** E.g. "2026-11". */
  readonly month: string;
  /** Whose terms price it. */
  readonly planId: string;
  /** Null: computed for whoever asked. */
  readonly closedAt: number | null;
  /** It counts the entries with afterSeq < seq <= lastSeq. */
  readonly afterSeq: bigint;
  readonly lastSeq: bigint;
  /** Null: overage is counted and not billed. */
  readonly rates: OverageRates | null;
  readonly lines: readonly OverageLine[];
  /** Ordered by month. */
  readonly adjustments: readonly Adjustment[];
  /** Null where there are no rates. */
  readonly total: Money | null;
  /** Of adjustments in other currencies, ordered by them. */
  readonly otherTotals: readonly Money[];
};

/** The plan that prices the account's month, if it pays afterwards: a closed account does no more. */
const isPostpaid = ({ account, plan }: Book): boolean =>
  account.state === 'OPEN' && plan.terms.overage !== null;

/** Keeps on the account's row when its next statement is due, and under which plan. */
export function updateStatementDueAt(book: Book) {
  if (!isPostpaid(book)) return;
  const { account, now } = book;
  // Overage from before there were statements: its month is still to be closed.
  if (account.statementDueAt === null) setDue(book, account.overage > 0n ? account.lastAt : now);
  // A month that has ended keeps the plan it ended under, however late it is closed.
  if (account.statementPlanId === account.planId || isStatementDue(account, now)) return;
  account.statementPlanId = account.planId;
  book.changes.settings = true;
}

/** Overage that was used or given back outside a postpaid plan needs a statement all the same. */
export function scheduleStatementForOverage(book: Book, moves: readonly Move[]) {
  if (book.account.statementDueAt !== null) return;
  const isOfOverage = ({ grantId, from, to }: Move) =>
    grantId === OVERAGE && (from === 'consumed' || to === 'consumed');
  if (moves.some(isOfOverage)) setDue(book, book.now);
}

/** Whether a month of the account has ended and is not closed. */
export const isStatementDue = ({ statementDueAt }: Account, now: number): boolean =>
  statementDueAt !== null && statementDueAt <= now;

function setDue(book: Book, inMonthOf: number) {
  book.account.statementDueAt = monthStart(inMonthOf, 1);
  book.changes.settings = true;
}

/** A statement that was read from entries, to be closed if nothing has changed since. */
export type StatementToClose = {
  readonly statement: Statement;
  /** End of its month. */
  readonly dueAt: number;
  /** The account as it was when its entries were read. */
  readonly read: Pick<Account, 'seq' | 'lastAt'>;
};

/**
 * Closes a month: exactly once, and with every entry it will ever have. Does nothing where another
 * replica was quicker, or where an entry may have been posted into the month since it was read, by a
 * replica whose clock was behind; then it has to be read again.
 */
export function closeStatement(
  book: Book,
  { statement, dueAt, read }: StatementToClose,
  trace: { readonly traceId: string; readonly spanId: string },
) {
  const { account } = book;
  if (account.statementDueAt !== dueAt || book.now < dueAt) return;
  const seq = account.seq - BigInt(book.changes.entries.length);
  if (read.lastAt < dueAt && read.seq !== seq) return;

  const postpaid = isPostpaid(book);
  const { overage, adjustments } = statement;
  // Once an account has left postpaid plans, only months with overage in them need a statement.
  const needed = account.statementPlanId !== null || overage > 0n || adjustments.length > 0;
  const more = postpaid || needed || account.lastAt >= dueAt;
  if (needed) {
    book.changes.statements.push({ ...statement, closedAt: book.now });
    announce(book, statement, trace);
    closeTime(book, dueAt);
  }
  account.statementDueAt = more ? monthStart(dueAt, 1) : null;
  account.statementPlanId = postpaid ? account.planId : null;
  book.changes.settings = true;
}

/** From now on nothing can be posted before `until`, by whatever clock. */
function closeTime(book: Book, until: number) {
  const { account } = book;
  if (account.lastAt >= until) return;
  account.lastAt = until;
  account.overage = 0n;
  book.changes.account = true;
}

function announce(
  book: Book,
  { month, overage, total, otherTotals }: Statement,
  trace: Parameters<typeof closeStatement>[2],
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
