/** Which plan prices a month that began while the one before it was still open. */
import type { Account } from '../ledger/account.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { kindCodes } from '../store/tables/codes.ts';

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
  const changes = await query<{ previous_plan_id: string }>(
    em,
    `select previous_plan_id from entries
     where account_id = $1 and seq > $2 and kind = ${kindCodes('PLAN_CHANGE')} order by seq desc`,
    [accountId, beforeSeq],
  );
  for (const { previous_plan_id: id } of changes) if (await isPostpaid(id)) return id;
  return null;
}
