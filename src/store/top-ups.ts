/** The accounts whose top-up is due. */
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** Up to `limit` accounts whose top-up is due, the longest due first. */
export async function accountsToTopUp(em: Em, now: number, limit: number): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where top_up_due_at <= ${fromMillis('$1')}
     order by top_up_due_at limit $2`,
    [now, limit],
  );
  return rows.map((row) => row.account_id);
}
