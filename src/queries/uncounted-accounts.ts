/** Accounts with entries that no sum of a follower counts yet. */
import type { UncountedPage } from '../entry-follower.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** A table that says up to which entry of each account something is counted. */
export type PositionTable = 'usage_positions' | 'roll_forward_positions';

/** Those among the next `limit` accounts after `after`. Both tables are read by their keys, whatever their size. */
export async function findUncounted(
  em: Em,
  positions: PositionTable,
  after: string,
  limit: number,
): Promise<UncountedPage> {
  const [row] = await query<{ uncounted: string[] | null; last: string | null; looked_at: number }>(
    em,
    `select array_agg(a.account_id order by a.account_id) filter (where a.seq > coalesce(p.seq, 0)) as uncounted,
       max(a.account_id) as last, count(*)::int as looked_at
     from (
       select account_id, seq from accounts where account_id > $1 order by account_id limit $2
     ) a
     left join ${positions} p on p.account_id = a.account_id`,
    [after, limit],
  );
  const isLast = (row?.looked_at ?? 0) < limit;
  return { accountIds: row?.uncounted ?? [], next: isLast ? null : (row?.last ?? null) };
}
