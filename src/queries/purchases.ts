/** Purchases. */
import type { StoredTrace } from '../ledger/entry.ts';
import type { Purchase, PurchaseState } from '../ledger/purchase.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { purchases } from '../store/tables/purchases.ts';

export async function findPurchase(
  em: Em,
  accountId: string,
  purchaseId: string,
): Promise<Purchase | null> {
  const [row] = await query<Row>(
    em,
    `select ${purchases.selectList} from purchases where account_id = $1 and purchase_id = $2`,
    [accountId, purchaseId],
  );
  return row ? purchases.read(row) : null;
}

/** The purchase that was imported with a payment of the provider; null if there is none, or more than one. */
export async function findImportedPurchase(
  em: Em,
  paymentIntentId: string,
): Promise<Pick<Purchase, 'accountId' | 'purchaseId'> | null> {
  const [found, another] = await query<Pick<Purchase, 'accountId' | 'purchaseId'>>(
    em,
    `select account_id as "accountId", purchase_id as "purchaseId" from purchases
     where payment_intent_id = $1 and method = 'REFERENCE' and payment_intent_id is not null limit 2`,
    [paymentIntentId],
  );
  return another ? null : (found ?? null);
}

/** The call that wrote the first entry of a purchase; null: outside any trace. */
export async function findTraceOfPurchase(
  em: Em,
  accountId: string,
  purchaseId: string,
): Promise<StoredTrace | null> {
  const [row] = await query<StoredTrace>(
    em,
    `select replace(trace_id::text, '-', '') as "traceId", encode(span_id, 'hex') as "spanId"
     from entries where purchase_id = $2 and account_id = $1 order by seq limit 1`,
    [accountId, purchaseId],
  );
  return row?.traceId && row.spanId ? row : null;
}

/**
 * Purchases of an account before `beforeId`, newest first; from the newest if it is null; in any state if
 * `states` is empty.
 */
export async function findPurchases(
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

/** All mismatched purchases, of all accounts. They are few: an operator decides about each. */
export async function findMismatchedPurchases(em: Em): Promise<Purchase[]> {
  const rows = await query<Row>(
    em,
    `select ${purchases.selectList} from purchases where state = 'MISMATCHED'
     order by account_id, purchase_id`,
    [],
  );
  return rows.map(purchases.read);
}
