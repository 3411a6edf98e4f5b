/** Reads an account's statement of a month from its entries, priced as if it were closed now. */

import type { Account } from '../ledger/account.ts';
import { formatMonth, monthStart } from '../ledger/month.ts';
import type { Statement } from '../ledger/statement.ts';
import type { Em } from '../pg/orm.ts';
import { billMonth } from '../statements/bill.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { listStatements, loadStatements } from '../store/statements.ts';
import { readMonth } from './month.ts';

/** The statement of the month that begins at `start`; `account` is as it was read before. */
export async function readStatement(
  em: Em,
  catalogue: Catalogue,
  account: Account,
  start: number,
): Promise<Statement> {
  const { accountId } = account;
  const month = formatMonth(start);
  const { afterSeq, lastSeq, ...used } = await readMonth(em, account, start);
  const [firstRefunded] = [...used.refundedEarlier.keys()].sort();
  const closed =
    firstRefunded === undefined ? [] : await loadStatements(em, accountId, firstRefunded, month);
  const { planId, rates } = await pricedBy(em, catalogue, account, start);
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

/** Whose terms price the month; a month that no statement will close costs nothing. */
async function pricedBy(
  em: Em,
  catalogue: Catalogue,
  account: Account,
  start: number,
): Promise<Pick<Statement, 'planId' | 'rates'>> {
  const { accountId, planId, statementPlanId, statementDueAt } = account;
  if (statementDueAt !== monthStart(start, 1)) return { planId, rates: null };
  if (statementPlanId !== null) {
    const published = await catalogue.find(statementPlanId, statementDueAt);
    return { planId: statementPlanId, rates: published?.terms.terms.overage?.rates ?? null };
  }
  // It has left postpaid plans: what still comes of them costs what it did when it was last billed.
  const [last] = await listStatements(em, accountId, formatMonth(start), 1);
  return last ?? { planId, rates: null };
}
