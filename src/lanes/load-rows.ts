/** Reads the rows of a group that depend on more than the ids of its accounts. */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import { type Allocation, OVERAGE } from '../ledger/allocation/allocation.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import { NO_GRANT } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import {
  loadCustomPacks,
  loadExistingIds,
  loadExpiredReservations,
  loadGrants,
  loadNextReservationExpiry,
  loadPurchases,
  loadPurchasesByReference,
  loadReservations,
  loadReservationsAtVersion,
  type RowKey,
} from '../store/load.ts';
import { loadEndedReservations } from '../store/load-ended-reservations.ts';

/** Reservations of one account that one unit of work expires at most. */
const EXPIRE_MAX = 1_000;

/** A cached account is not locked: its reservations are read only if it has not changed. */
export async function loadNamedReservations(
  em: Em,
  named: readonly RowKey<string>[],
  cached: ReadonlyMap<string, CachedAccount>,
): Promise<readonly Reservation[]> {
  const locked: RowKey<string>[] = [];
  const atVersion: (RowKey<string> & { readonly version: bigint })[] = [];
  for (const one of named) {
    const version = cached.get(one.accountId)?.account.version;
    if (version === undefined) locked.push(one);
    else atVersion.push({ ...one, version });
  }
  const found = await Promise.all([
    loadReservations(em, locked),
    loadReservationsAtVersion(em, atVersion),
  ]);
  return found.flat();
}

/** Adds the named reservations of locked accounts that have ended: few commands name one. */
export async function addEndedReservations(
  em: Em,
  found: readonly Reservation[],
  named: readonly RowKey<string>[],
  cached: ReadonlyMap<string, CachedAccount>,
): Promise<readonly Reservation[]> {
  const stored = new Set(found.map(({ reservationId }) => reservationId));
  const missing = named.filter(({ accountId, key }) => !cached.has(accountId) && !stored.has(key));
  return missing.length === 0 ? found : [...found, ...(await loadEndedReservations(em, missing))];
}

export async function loadNamedPurchases(
  em: Em,
  named: readonly RowKey<string>[],
  references: readonly RowKey<string>[],
): Promise<readonly Purchase[]> {
  const found = await Promise.all([
    loadPurchases(em, named),
    loadPurchasesByReference(em, references),
  ]);
  return distinct(found.flat(), ({ purchaseId }) => purchaseId);
}

type Due = {
  readonly reservations: Reservation[];
  readonly nextExpiry: Map<string, number>;
  readonly unsettled: Set<string>;
};

/** The reservations that have expired on accounts that are due. The queries of all accounts go together. */
export async function loadDue(em: Em, accounts: readonly Account[], now: number): Promise<Due> {
  const dueAccounts = accounts.flatMap(({ accountId, dueAt, lastAt }) => {
    const at = Math.max(now, lastAt);
    return dueAt !== null && dueAt <= at ? [{ accountId, at }] : [];
  });
  const loaded = await Promise.all(
    dueAccounts.map(async ({ accountId, at }) => {
      const [expired, next] = await Promise.all([
        loadExpiredReservations(em, accountId, at, EXPIRE_MAX + 1),
        loadNextReservationExpiry(em, accountId, at),
      ]);
      const tooMany = expired.length > EXPIRE_MAX;
      return { accountId, expired, tooMany, next: tooMany ? at : next };
    }),
  );
  const due: Due = { reservations: [], nextExpiry: new Map(), unsettled: new Set() };
  for (const { accountId, expired, tooMany, next } of loaded) {
    if (tooMany) due.unsettled.add(accountId);
    due.reservations.push(...expired.slice(0, EXPIRE_MAX));
    if (next !== null) due.nextExpiry.set(accountId, next);
  }
  return due;
}

/** Rows that name grants. */
type NamingGrants = {
  /** Grants that commands name. */
  readonly grants: readonly RowKey<bigint>[];
  readonly reservations: readonly Reservation[];
  readonly refundables: readonly RefundableEntry[];
  readonly purchases: readonly Purchase[];
};

/**
 * The grants that commands name, reservations hold or held, refunds give back to, or purchases made, and that were not loaded
 * yet. Those of cached accounts are left out.
 */
export async function loadNamedGrants(
  em: Em,
  loaded: readonly Grant[],
  { grants, reservations, refundables, purchases }: NamingGrants,
  cached: ReadonlyMap<string, CachedAccount>,
  /** Those that late usage may need. */
  returning: readonly Grant[],
): Promise<readonly Grant[]> {
  const named = new Map<string, RowKey<bigint>>();
  const add = (accountId: string, grantId: bigint) => {
    if (grantId > NO_GRANT && !cached.has(accountId))
      named.set(`${accountId}\n${grantId}`, { accountId, key: grantId });
  };
  for (const { accountId, key } of grants) add(accountId, key);
  for (const { accountId, allocations, expiredAllocations } of reservations) {
    for (const { grantId } of allocations) add(accountId, grantId);
    for (const { grantId } of expiredAllocations) add(accountId, grantId);
  }
  for (const { accountId, split } of refundables)
    for (const { grantId } of split) add(accountId, grantId);
  for (const { accountId, grantId } of purchases) if (grantId !== null) add(accountId, grantId);
  for (const grants of [loaded, returning])
    for (const { accountId, grantId } of grants) named.delete(`${accountId}\n${grantId}`);
  const found = await loadGrants(em, [...named.values()]);
  if (returning.length === 0) return found;
  const open = new Set(loaded.map(({ accountId, grantId }) => `${accountId}\n${grantId}`));
  const isNew = ({ accountId, grantId }: Grant) => !open.has(`${accountId}\n${grantId}`);
  return [...found, ...returning.filter(isNew)];
}

/** The cached accounts that a reservation names a grant of which is not cached. */
export function lackingGrants(
  cached: ReadonlyMap<string, CachedAccount>,
  reservations: readonly Reservation[],
): Set<string> {
  const lacking = new Set<string>();
  for (const { accountId, allocations, expiredAllocations } of reservations) {
    const account = cached.get(accountId);
    if (!account) continue;
    const isMissing = ({ grantId }: Allocation) =>
      grantId !== OVERAGE && !account.grants.some((grant) => grant.grantId === grantId);
    if (allocations.some(isMissing) || expiredAllocations.some(isMissing)) lacking.add(accountId);
  }
  return lacking;
}

/** Adds the packs that starting top-ups buy. The account says which. */
export async function addTopUpPacks(
  em: Em,
  packs: readonly CustomPack[],
  accounts: readonly Account[],
  topUpAccounts: ReadonlySet<string>,
): Promise<readonly CustomPack[]> {
  const bought: RowKey<string>[] = [];
  for (const { accountId, autoTopUp } of accounts)
    if (autoTopUp && topUpAccounts.has(accountId))
      bought.push({ accountId, key: autoTopUp.packId });
  if (bought.length === 0) return packs;
  return distinct([...packs, ...(await loadCustomPacks(em, bought))], ({ packId }) => packId);
}

/** Of the accounts whose lock was skipped, those that exist. */
export async function findSkipped(
  em: Em,
  accountIds: readonly string[],
  accounts: readonly Account[],
): Promise<ReadonlySet<string>> {
  if (accounts.length === accountIds.length) return new Set();
  const lockedHere = new Set(accounts.map(({ accountId }) => accountId));
  const others = accountIds.filter((accountId) => !lockedHere.has(accountId));
  return new Set(await loadExistingIds(em, others));
}

/** One of each key within an account: the first. */
export function distinct<Item extends { readonly accountId: string }>(
  items: readonly Item[],
  keyOf: (item: Item) => string | bigint,
): readonly Item[] {
  const byKey = new Map<string, Item>();
  for (const item of items) {
    const key = `${item.accountId}\n${keyOf(item)}`;
    if (!byKey.has(key)) byKey.set(key, item);
  }
  return [...byKey.values()];
}
