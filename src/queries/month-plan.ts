/** Which plan prices a month that began while the one before it was still open. */
import type { Account } from '../ledger/account.ts';
import type { Period } from '../ledger/periods/period.ts';
import { plansIn } from '../ledger/plans-left.ts';
import type { Em } from '../pg/orm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { loadPlansLeft } from '../store/load.ts';

/** The last postpaid plan that the account had in a month; null: it had none. */
export async function postpaidPlanOf(
  em: Em,
  catalogue: Catalogue,
  { accountId, planId, closedAt, lastAt }: Account,
  month: Period,
): Promise<string | null> {
  if (closedAt !== null && closedAt < month.from) return null;
  const isPostpaid = async (id: string) =>
    (await catalogue.findPlan(id, lastAt))?.terms.terms.overage != null;
  const left = (await loadPlansLeft(em, [accountId])).get(accountId) ?? [];
  for (const id of plansIn(planId, left, month)) if (await isPostpaid(id)) return id;
  return null;
}
