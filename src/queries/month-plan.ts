/** Which plan prices a month that began while the one before it was still open. */
import type { Account } from '../ledger/account.ts';
import type { Em } from '../pg/orm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { loadPlansLeft } from '../store/load.ts';

/**
 * The last postpaid plan that the account has had since `from`, the beginning of a month; null: it had none.
 * `beforeSeq`: of the last entry before that.
 */
export async function postpaidPlanSince(
  em: Em,
  catalogue: Catalogue,
  { accountId, planId, closedAt, lastAt }: Account,
  from: number,
  beforeSeq: bigint,
): Promise<string | null> {
  if (closedAt !== null && closedAt < from) return null;
  const isPostpaid = async (id: string) =>
    (await catalogue.findPlan(id, lastAt))?.terms.terms.overage != null;
  if (await isPostpaid(planId)) return planId;
  const left = await loadPlansLeft(em, [{ accountId, key: beforeSeq }]);
  for (const { planId: id } of left.get(accountId) ?? []) if (await isPostpaid(id)) return id;
  return null;
}
