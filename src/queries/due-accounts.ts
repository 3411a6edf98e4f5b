/** Accounts that background work is due on. */
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** Up to `limit` ids of accounts whose instant in the column has come, the longest due first. */
export async function findDueAccounts(
  em: Em,
  column: 'due_at' | 'statement_due_at' | 'top_up_due_at',
  now: number,
  limit: number,
): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where ${column} <= ${fromMillis('$1')}
     order by ${column} limit $2`,
    [now, limit],
  );
  return rows.map(({ account_id }) => account_id);
}
