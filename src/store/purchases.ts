/** Pages of purchases, those that wait for another look, and the packs an account is offered. */

import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Purchase, PurchaseState } from '../ledger/purchase.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { customPacks } from './tables/custom-packs.ts';
import { purchases } from './tables/purchases.ts';

/** Purchases of an account before `beforeId`, newest first; from the newest where it is null. */
export async function listPurchases(
  em: Em,
  accountId: string,
  states: readonly PurchaseState[],
  beforeId: string | null,
  limit: number,
): Promise<Purchase[]> {
  const rows = await query<Row>(
    em,
    `select ${purchases.selectList} from purchases
     where account_id = $1 and ($2::uuid is null or purchase_id < $2)
       and (cardinality($3::text[]) = 0 or state = any($3::text[]))
     order by purchase_id desc limit $4`,
    [accountId, beforeId, states, limit],
  );
  return rows.map(purchases.read);
}

/**
 * Takes pending purchases that are worth another look, the longest due first, and puts them off until
 * `againAt`: what another replica took is not taken twice, and what nobody finishes comes up again.
 */
export async function claimPurchasesToCheck(
  em: Em,
  now: number,
  madeBefore: number,
  againAt: number,
  limit: number,
): Promise<{ readonly accountId: string; readonly purchaseId: string }[]> {
  const rows = await query<Row>(
    em,
    `update purchases set next_check_at = ${fromMillis('$3')}
     from (
       select account_id, purchase_id from purchases
       where next_check_at <= ${fromMillis('$1')}
         and created_at <= ${fromMillis('$2')}
       order by next_check_at limit $4 for update skip locked
     ) due
     where purchases.account_id = due.account_id and purchases.purchase_id = due.purchase_id
     returning purchases.account_id, purchases.purchase_id`,
    [now, madeBefore, againAt, limit],
  );
  return rows.map((row) => ({ accountId: row['account_id']!, purchaseId: row['purchase_id']! }));
}

/** The packs that are offered to an account alone, by name. */
export async function listCustomPacks(em: Em, accountId: string): Promise<CustomPack[]> {
  const rows = await query<Row>(
    em,
    `select ${customPacks.selectList} from custom_packs
     where account_id = $1 and withdrawn_at is null order by pack_id`,
    [accountId],
  );
  return rows.map(customPacks.read);
}
