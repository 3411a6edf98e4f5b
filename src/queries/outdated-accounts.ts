/**
 * Accounts on which a change of their plan writes an event when they are settled. Their auto top-up buys a
 * pack that the plan no longer has, or the plan's prices have stranded a limited grant or made it usable
 * again. Scheduled grants are checked when they become effective.
 */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Plan } from '../pricing/plan.ts';

/** Up to `limit` ids after `afterId`, in their order. */
export async function findOutdatedAccounts(
  em: Em,
  { planId, packs, rateCard }: Plan,
  afterId: string,
  limit: number,
): Promise<string[]> {
  const packIds = packs.map(({ packId }) => packId);
  const priced = [...rateCard.operations.values()].filter(({ billable }) => billable);
  const operations = priced.map(({ operation }) => operation);
  const rows = await query<{ account_id: string }>(
    em,
    `(select account_id from accounts
      where plan_id = $1 and account_id > $2 and auto_top_up is not null
        and not (auto_top_up ->> 'custom_pack')::boolean
        and not auto_top_up ->> 'pack_id' = any ($3::text[])
      order by account_id limit $5)
     union
     (select grants.account_id from grants join accounts using (account_id)
      where plan_id = $1 and grants.account_id > $2
        and open and operations is not null and grants.state <> 'SCHEDULED'
        and stranded = (operations ?| $4::text[])
      order by grants.account_id limit $5)
     order by account_id limit $5`,
    [planId, afterId, packIds, operations, limit],
  );
  return rows.map(({ account_id }) => account_id);
}
