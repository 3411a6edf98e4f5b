/**
 * Reads what a unit of work or a read needs of its accounts: one query per table, whatever the number
 * of accounts and requests. Queries of the request path name their accounts and use an index.
 */

import type { Account } from '../ledger/account.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Purchase } from '../ledger/purchase.ts';
import { type RefundableEntry, toRefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { binaryArray, type Element, type ElementType } from '../pg/binary-array.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { accounts } from './tables/accounts.ts';
import { customPacks } from './tables/custom-packs.ts';
import { entries } from './tables/entries.ts';
import { grants } from './tables/grants.ts';
import { purchases } from './tables/purchases.ts';
import { type AnsweredRequest, requests } from './tables/requests.ts';
import { reservations } from './tables/reservations.ts';

/** Something of an account, by its own key. */
export type Named<Key> = { readonly accountId: string; readonly key: Key };

/** What becomes of accounts that another transaction has locked: they are waited for, or left out. */
export type WhereLocked = 'wait' | 'skip';

/**
 * Locks accounts until the transaction ends, in the order of their ids, so that no two units of
 * work can wait for each other. NO KEY UPDATE: nothing refers to the key.
 */
export async function lockAccounts(
  em: Em,
  accountIds: readonly string[],
  locked: WhereLocked,
): Promise<Account[]> {
  if (accountIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where account_id = any($1::text[])
     order by account_id collate "C" for no key update ${locked === 'skip' ? 'skip locked' : ''}`,
    [texts(accountIds)],
  );
  return rows.map(accounts.read);
}

/** Those of the accounts that there are, locked or not. */
export async function existing(em: Em, accountIds: readonly string[]): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    'select account_id from accounts where account_id = any($1::text[])',
    [texts(accountIds)],
  );
  return rows.map(({ account_id }) => account_id);
}

export async function loadAccounts(em: Em, accountIds: readonly string[]): Promise<Account[]> {
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where account_id = any($1::text[])`,
    [texts(accountIds)],
  );
  return rows.map(accounts.read);
}

/** The grants of accounts that can still change. */
export async function loadOpenGrants(em: Em, accountIds: readonly string[]): Promise<Grant[]> {
  if (accountIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${grants.selectList} from grants where account_id = any($1::text[]) and open`,
    [texts(accountIds)],
  );
  return rows.map(grants.read);
}

/** Grants by number, spent and expired ones too. */
export async function loadGrants(em: Em, named: readonly Named<bigint>[]): Promise<Grant[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${grants.selectList} from grants
     join unnest($1::text[], $2::bigint[]) as n(account_id, grant_id) using (account_id, grant_id)`,
    columnsOf('bigint', named),
  );
  return rows.map(grants.read);
}

export async function loadReservations(
  em: Em,
  named: readonly Named<string>[],
): Promise<Reservation[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     join unnest($1::text[], $2::uuid[]) as n(account_id, reservation_id)
       using (account_id, reservation_id)`,
    columnsOf('uuid', named),
  );
  return rows.map(reservations.read);
}

/**
 * Reservations of cached accounts, as far as the account still has the cached version: a cached account
 * never meets a reservation that was changed after it.
 */
export async function loadReservationsAtVersion(
  em: Em,
  named: readonly (Named<string> & { readonly version: bigint })[],
): Promise<Reservation[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     join unnest($1::text[], $2::uuid[], $3::bigint[]) as n(account_id, reservation_id, version)
       using (account_id, reservation_id)
     join (select account_id, version from accounts) as a using (account_id, version)`,
    [...columnsOf('uuid', named), binaryArray('bigint', named, ({ version }) => version)],
  );
  return rows.map(reservations.read);
}

/** Active reservations of an account past their expiry, soonest first, at most `limit`. */
export async function loadExpiredReservations(
  em: Em,
  accountId: string,
  now: number,
  limit: number,
): Promise<Reservation[]> {
  const rows = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     where account_id = $1 and state = 'ACTIVE' and expires_at <= ${fromMillis('$2')}
     order by reservations.expires_at limit $3`,
    [accountId, now, limit],
  );
  return rows.map(reservations.read);
}

/** When the soonest of an account's reservations that are still running expires. */
export async function nextReservationExpiry(
  em: Em,
  accountId: string,
  now: number,
): Promise<number | null> {
  const [row] = await query<{ expires_at: number }>(
    em,
    `select ${millis('expires_at')} from reservations
     where account_id = $1 and state = 'ACTIVE' and expires_at > ${fromMillis('$2')}
     order by reservations.expires_at limit 1`,
    [accountId, now],
  );
  return row?.expires_at ?? null;
}

/** Those of the requests that were answered before. */
export async function loadRequests(
  em: Em,
  asked: readonly Pick<AnsweredRequest, 'accountId' | 'requestId' | 'method'>[],
): Promise<AnsweredRequest[]> {
  if (asked.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${requests.selectList} from requests
     join unnest($1::text[], $2::text[], $3::text[]) as n(account_id, request_id, method)
       using (account_id, request_id, method)`,
    [
      binaryArray('text', asked, (r) => r.accountId),
      binaryArray('text', asked, (r) => r.requestId),
      binaryArray('text', asked, (r) => r.method),
    ],
  );
  return rows.map(requests.read);
}

/** Commits and charges by seq, with what was refunded of each so far. */
export async function loadRefundables(
  em: Em,
  named: readonly Named<bigint>[],
): Promise<RefundableEntry[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${entries.selectListOf('e')}, coalesce(r.refunded, 0) as refunded
     from entries e
     join unnest($1::text[], $2::bigint[]) as n(account_id, seq) using (account_id, seq)
     left join refunded r using (account_id, seq)
     where e.kind in ('COMMIT', 'CHARGE')`,
    columnsOf('bigint', named),
  );
  return rows.map((row) => toRefundableEntry(entries.read(row), BigInt(row['refunded']!)));
}

/** Purchases by their payment reference. */
export async function loadReferencedPurchases(
  em: Em,
  named: readonly Named<string>[],
): Promise<Purchase[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${purchases.selectList} from purchases
     join unnest($1::text[], $2::text[]) as n(account_id, payment_reference)
       using (account_id, payment_reference)`,
    columnsOf('text', named),
  );
  return rows.map(purchases.read);
}

export async function loadPurchases(em: Em, named: readonly Named<string>[]): Promise<Purchase[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${purchases.selectList} from purchases
     join unnest($1::text[], $2::uuid[]) as n(account_id, purchase_id)
       using (account_id, purchase_id)`,
    columnsOf('uuid', named),
  );
  return rows.map(purchases.read);
}

/** Packs offered to accounts by name, withdrawn ones too. */
export async function loadCustomPacks(
  em: Em,
  named: readonly Named<string>[],
): Promise<CustomPack[]> {
  if (named.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${customPacks.selectList} from custom_packs
     join unnest($1::text[], $2::text[]) as n(account_id, pack_id) using (account_id, pack_id)`,
    columnsOf('text', named),
  );
  return rows.map(customPacks.read);
}

const texts = (values: readonly string[]): Buffer => binaryArray('text', values, (value) => value);

const columnsOf = <Key extends Element>(
  type: ElementType,
  named: readonly Named<Key>[],
): readonly Buffer[] => [
  binaryArray('text', named, ({ accountId }) => accountId),
  binaryArray(type, named, ({ key }) => key),
];
