/** Claims of pending purchases: each is checked by one replica. */
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';

/**
 * Claims up to `limit` purchases whose next check is due and that were made before `madeBefore`, the
 * longest due first. A claim is a lease: it moves the next check to `leaseEndsAt`, so that a purchase
 * whose replica stops is due again.
 */
export async function claimPurchasesToCheck(
  em: Em,
  now: number,
  madeBefore: number,
  leaseEndsAt: number,
  limit: number,
): Promise<{ readonly accountId: string; readonly purchaseId: string }[]> {
  const rows = await query<Row>(
    em,
    `update purchases set next_check_at = ${fromMillis('$3')}
     from (
       select account_id, purchase_id from purchases
       where next_check_at <= ${fromMillis('$1')} and created_at <= ${fromMillis('$2')}
       order by next_check_at limit $4 for update skip locked
     ) due
     where purchases.account_id = due.account_id and purchases.purchase_id = due.purchase_id
     returning purchases.account_id, purchases.purchase_id`,
    [now, madeBefore, leaseEndsAt, limit],
  );
  return rows.map((row) => ({ accountId: row['account_id']!, purchaseId: row['purchase_id']! }));
}
