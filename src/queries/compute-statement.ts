/** The statement of an account's month, computed from its entries and priced as if it were closed now. */
import type { Archive } from '../archive/archive.ts';
import { type Account, monthToCloseEnd } from '../ledger/account.ts';
import { monthEndingAt, nameOfMonth, type Period } from '../ledger/periods/period.ts';
import type { Statement } from '../ledger/statement.ts';
import type { Em } from '../pg/orm.ts';
import { billMonth } from '../statements/bill.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { postpaidPlanOf } from './month-plan.ts';
import { countMonth } from './month-usage.ts';
import { findStatements, findStatementsOfMonths } from './statements.ts';

/** Of a month of the account. Entries newer than `account` are not counted. */
export async function computeStatement(
  em: Em,
  archive: Archive,
  catalogue: Catalogue,
  account: Account,
  period: Period,
): Promise<Statement> {
  const { accountId } = account;
  const month = nameOfMonth(period);
  const { afterSeq, lastSeq, ...used } = await countMonth(em, archive, account, period);
  const [firstRefunded] = [...used.refundedEarlier.keys()].sort();
  const closed =
    firstRefunded === undefined
      ? []
      : await findStatementsOfMonths(em, accountId, firstRefunded, month);
  // While late usage keeps the month before open, its refunds are adjusted as if it were closed now.
  const end = monthToCloseEnd(account);
  const before = end === period.from ? monthEndingAt(account.timeZones, end) : null;
  if (before && used.refundedEarlier.has(nameOfMonth(before)))
    closed.push(await computeStatement(em, archive, catalogue, account, before));
  const { planId, rates } = await pricesOf(em, catalogue, account, period);
  const { usage, creditsUsed, overage, owed, owedPaid } = used;
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
    owed,
    owedPaid,
    ...billMonth(used, rates, closed),
  };
}

/** The plan that prices the month, and its rates; no rates for a month that no statement will close. */
async function pricesOf(
  em: Em,
  catalogue: Catalogue,
  account: Account,
  period: Period,
): Promise<Pick<Statement, 'planId' | 'rates'>> {
  const { accountId, planId, statementPlanId, statementDueAt } = account;
  const end = monthToCloseEnd(account);
  // While late usage keeps a month open, nothing is written yet of the plan that prices the next one.
  if (end === period.from) {
    const pricedBy = await postpaidPlanOf(em, catalogue, account, period);
    const published = pricedBy && (await catalogue.findPlan(pricedBy, account.lastAt));
    const rates = published ? (published.terms.terms.overage?.rates ?? null) : null;
    return { planId: pricedBy ?? planId, rates };
  }
  if (statementDueAt === null || end !== period.until) return { planId, rates: null };
  if (statementPlanId !== null) {
    const published = await catalogue.findPlan(statementPlanId, statementDueAt);
    return { planId: statementPlanId, rates: published?.terms.terms.overage?.rates ?? null };
  }
  // The account has left postpaid plans. Adjustments of its months have the prices of its last statement.
  const [last] = await findStatements(em, accountId, nameOfMonth(period), 1);
  return last ?? { planId, rates: null };
}
