/** The statement of an account's month, computed from its entries and priced as if it were closed now. */
import type { Archive } from '../archive/archive.ts';
import type { Account } from '../ledger/account.ts';
import { formatMonth, monthStart } from '../ledger/month.ts';
import type { Statement } from '../ledger/statement.ts';
import type { Em } from '../pg/orm.ts';
import { billMonth } from '../statements/bill.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { countMonth } from './month-usage.ts';
import { findStatements, findStatementsOfMonths } from './statements.ts';

/** The month that begins at `start`. Entries newer than `account` are not counted. */
export async function computeStatement(
  em: Em,
  archive: Archive,
  catalogue: Catalogue,
  account: Account,
  start: number,
): Promise<Statement> {
  const { accountId } = account;
  const month = formatMonth(start);
  const { afterSeq, lastSeq, ...used } = await countMonth(em, archive, account, start);
  const [firstRefunded] = [...used.refundedEarlier.keys()].sort();
  const closed =
    firstRefunded === undefined
      ? []
      : await findStatementsOfMonths(em, accountId, firstRefunded, month);
  const { planId, rates } = await pricesOf(em, catalogue, account, start);
  const { usage, creditsUsed, overage } = used;
  return {
    accountId,
    month,
    planId,
    closedAt: null,
    afterSeq,
    lastSeq,
    usage,
    creditsUsed,
    overage,
    ...billMonth(used, rates, closed),
  };
}

/** The plan that prices the month, and its rates; no rates for a month that no statement will close. */
async function pricesOf(
  em: Em,
  catalogue: Catalogue,
  account: Account,
  start: number,
): Promise<Pick<Statement, 'planId' | 'rates'>> {
  const { accountId, planId, statementPlanId, statementDueAt } = account;
  if (statementDueAt !== monthStart(start, 1)) return { planId, rates: null };
  if (statementPlanId !== null) {
    const published = await catalogue.findPlan(statementPlanId, statementDueAt);
    return { planId: statementPlanId, rates: published?.terms.terms.overage?.rates ?? null };
  }
  // The account has left postpaid plans. Adjustments of its months have the prices of its last statement.
  const [last] = await findStatements(em, accountId, formatMonth(start), 1);
  return last ?? { planId, rates: null };
}
