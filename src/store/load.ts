/**
 * What a unit of work needs of its accounts: one SQL statement per table, whatever the number of accounts
 * and requests. Each names its accounts and finds rows by an index. Statements that are sent in the same
 * iteration of the event loop go to the database together: see src/pg/query.ts.
 */
import type { Account } from '../ledger/account.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Grant } from '../ledger/grant.ts';
import type { PlanLeft } from '../ledger/plans-left.ts';
import type { Purchase } from '../ledger/purchase.ts';
import { type RefundableEntry, toRefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { binaryArray, type Element, type ElementType } from '../pg/binary-array.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { accounts } from './tables/accounts.ts';
import { kindCodes, RESERVATION_STATE_CODES } from './tables/codes.ts';
import { customPacks } from './tables/custom-packs.ts';
import { entries } from './tables/entries.ts';
import { grants } from './tables/grants.ts';
import { purchases } from './tables/purchases.ts';
import { reservations } from './tables/reservations.ts';

/** A row of an account. */
export type RowKey<Key> = { readonly accountId: string; readonly key: Key };

/** Whether to wait for an account that another transaction has locked, or to leave it out. */
export type WaitPolicy = 'wait' | 'skip';

/**
 * Locks accounts until the transaction ends, in the order of their ids, so that units of work never
 * deadlock. The lock is NO KEY UPDATE: nothing refers to the key.
 */
export async function lockAccounts(
  em: Em,
  accountIds: readonly string[],
  waitPolicy: WaitPolicy,
): Promise<Account[]> {
  if (accountIds.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where account_id = any($1::text[])
     order by account_id collate "C"
     for no key update ${waitPolicy === 'skip' ? 'skip locked' : ''}`,
    [texts(accountIds)],
  );
  return rows.map(accounts.read);
}

/** The ids of those accounts that exist, locked or not. */
export async function loadExistingIds(em: Em, accountIds: readonly string[]): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    'select account_id from accounts where account_id = any($1::text[])',
    [texts(accountIds)],
  );
  return rows.map(({ account_id }) => account_id);
}

/** Accounts, without a lock. */
export async function loadAccounts(em: Em, accountIds: readonly string[]): Promise<Account[]> {
  const rows = await query<Row>(
    em,
    `select ${accounts.selectList} from accounts where account_id = any($1::text[])`,
    [texts(accountIds)],
  );
  return rows.map(accounts.read);
}

/** Grants by their number, whether or not they are open. */
export const loadGrants = (em: Em, keys: readonly RowKey<bigint>[]): Promise<Grant[]> =>
  loadByKey(em, grants, 'grant_id', 'bigint', keys);

export const loadReservations = (em: Em, keys: readonly RowKey<string>[]): Promise<Reservation[]> =>
  loadByKey(em, reservations, 'reservation_id', 'uuid', keys);

/**
 * Reservations of cached accounts, as far as the account still has the cached version: a cached account
 * never meets a reservation that was changed after it.
 */
export async function loadReservationsAtVersion(
  em: Em,
  keys: readonly (RowKey<string> & { readonly version: bigint })[],
): Promise<Reservation[]> {
  if (keys.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${reservations.selectList} from reservations
     join unnest($1::text[], $2::uuid[], $3::bigint[]) as n(account_id, reservation_id, version)
       using (account_id, reservation_id)
     join (select account_id, version from accounts) as a using (account_id, version)`,
    [...keyArrays('uuid', keys), binaryArray('bigint', keys, ({ version }) => version)],
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
     where account_id = $1 and state = ${RESERVATION_STATE_CODES.ACTIVE} and expires_at <= ${fromMillis('$2')}
     order by reservations.expires_at limit $3`,
    [accountId, now, limit],
  );
  return rows.map(reservations.read);
}

/** The soonest expiry after `now` of an account's active reservations. Null if there is none. */
export async function loadNextReservationExpiry(
  em: Em,
  accountId: string,
  now: number,
): Promise<number | null> {
  const [row] = await query<{ expires_at: number }>(
    em,
    `select ${millis('expires_at')} from reservations
     where account_id = $1 and state = ${RESERVATION_STATE_CODES.ACTIVE} and expires_at > ${fromMillis('$2')}
     order by reservations.expires_at limit 1`,
    [accountId, now],
  );
  return row?.expires_at ?? null;
}

/** Commits and charges by their seq, with what was refunded of each so far. */
export async function loadRefundables(
  em: Em,
  keys: readonly RowKey<bigint>[],
): Promise<RefundableEntry[]> {
  if (keys.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${entries.selectListOf('e')}, coalesce(r.refunded, 0) as refunded
     from entries e
     join unnest($1::text[], $2::bigint[]) as n(account_id, seq) using (account_id, seq)
     left join refunded r using (account_id, seq)
     where e.kind in (${kindCodes('COMMIT', 'CHARGE')})`,
    keyArrays('bigint', keys),
  );
  return rows.map((row) => toRefundableEntry(entries.read(row), BigInt(row['refunded']!)));
}

export const loadPurchases = (em: Em, keys: readonly RowKey<string>[]): Promise<Purchase[]> =>
  loadByKey(em, purchases, 'purchase_id', 'uuid', keys);

/** By the keys of their payment references. */
export const loadPurchasesByReference = (
  em: Em,
  keys: readonly RowKey<string>[],
): Promise<Purchase[]> => loadByKey(em, purchases, 'payment_reference_key', 'text', keys);

/** Custom packs by their name, whether or not they are on offer. */
export const loadCustomPacks = (em: Em, keys: readonly RowKey<string>[]): Promise<CustomPack[]> =>
  loadByKey(em, customPacks, 'pack_id', 'text', keys);

type Readable<Domain> = {
  readonly name: string;
  readonly selectList: string;
  readonly read: (row: Row) => Domain;
};

/** The plans that accounts have left since their newest statements, the newest first. */
export async function loadPlansLeft(
  em: Em,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, readonly PlanLeft[]>> {
  type LeftRow = { account_id: string; at: number; previous_plan_id: string };
  const rows = await query<LeftRow>(
    em,
    `select e.account_id, ${millis('e.at', 'at')}, e.previous_plan_id
     from unnest($1::text[]) as k(account_id)
     join entries e on e.account_id = k.account_id and e.kind = ${kindCodes('PLAN_CHANGE')} and e.seq > coalesce(
       (select s.last_seq from statements s where s.account_id = k.account_id order by s.month desc limit 1), 0)
     order by e.seq desc`,
    [texts(accountIds)],
  );
  const left = rows.map(({ account_id: accountId, at, previous_plan_id: planId }) => ({
    ...{ accountId, at, planId },
  }));
  return Map.groupBy(left, ({ accountId }) => accountId);
}

/** When the first entry of each account was recorded; of accounts with archived entries, the newest of those. */
export async function loadUsageStarts(
  em: Em,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await query<{ account_id: string; at: number }>(
    em,
    `select u.account_id, ${millis('max(u.at)', 'at')} from (
       select account_id, at from entries where account_id = any($1::text[]) and seq = 1
       union all
       select account_id, at from archived_accounts where account_id = any($1::text[])
     ) u group by u.account_id`,
    [texts(accountIds)],
  );
  return new Map(rows.flatMap(({ account_id, at }) => (at === null ? [] : [[account_id, at]])));
}

/** The rows of a table whose account and `column` are one of the keys. */
async function loadByKey<Domain, Key extends Element>(
  em: Em,
  table: Readable<Domain>,
  column: string,
  type: ElementType,
  keys: readonly RowKey<Key>[],
): Promise<Domain[]> {
  if (keys.length === 0) return [];
  const rows = await query<Row>(
    em,
    `select ${table.selectList} from ${table.name}
     join unnest($1::text[], $2::${type}[]) as n(account_id, ${column}) using (account_id, ${column})`,
    keyArrays(type, keys),
  );
  return rows.map(table.read);
}

const texts = (values: readonly string[]): Buffer => binaryArray('text', values, (value) => value);

const keyArrays = <Key extends Element>(
  type: ElementType,
  keys: readonly RowKey<Key>[],
): readonly Buffer[] => [
  binaryArray('text', keys, ({ accountId }) => accountId),
  binaryArray(type, keys, ({ key }) => key),
];
