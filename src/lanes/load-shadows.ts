/**
 * Reads what shadow mode keeps of the accounts of a unit of work: few accounts are in it, or were. Of a cached account
 * only request ids are looked up, which its update cannot prove to be new.
 */
import type { Account } from '../ledger/account.ts';
import { isInShadowMode } from '../ledger/account.ts';
import { NO_GRANT } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import { Shadow, type ShadowReservation } from '../ledger/shadow/shadow.ts';
import { FIRST_SHADOW_SEQ, noUse, OVER_COMMIT_GRANT } from '../ledger/shadow/shadow-use.ts';
import type { Em } from '../pg/orm.ts';
import { loadGrants, type RowKey } from '../store/load.ts';
import { loadAllOpenGrants } from '../store/load-grants.ts';
import type { StoredRequest } from '../store/load-requests.ts';
import {
  loadShadowRefundables,
  loadShadowRequests,
  loadShadowReservations,
  loadShadowUse,
} from '../store/load-shadows.ts';
import { type GroupKeys, requestIdsOf } from './group-keys.ts';
import type { JobRows } from './load-counters.ts';
import type { SingleTask } from './task.ts';

export type LoadedShadows = {
  readonly shadows: Map<string, Shadow>;
  readonly requests: readonly StoredRequest[];
  /** All open grants of the accounts of which everything was read. */
  readonly openGrants: readonly Grant[];
  readonly completeAccounts: ReadonlySet<string>;
  /** Others that jobs of shadow mode hold, or have used. */
  readonly namedGrants: readonly Grant[];
};

/** Jobs that one unit of work expires at most, for each account. */
const EXPIRED_MAX = 1_000;

/** Null: none of the accounts is or was in shadow mode. `locked` and `cached` are the accounts of the unit of work. */
export async function loadShadows(
  em: Em,
  { locked, cached }: { readonly locked: readonly Account[]; readonly cached: readonly Account[] },
  keys: GroupKeys,
  tasks: readonly SingleTask[],
  now: number,
): Promise<LoadedShadows | null> {
  const isShadowed = ({ accountId, shadow }: Account) =>
    shadow !== null || keys.shadowAccounts.has(accountId);
  const shadowed = locked.filter(isShadowed);
  const cachedToo = cached.filter(isShadowed);
  if (shadowed.length === 0 && cachedToo.length === 0) return null;
  const ids = new Set(shadowed.map(({ accountId }) => accountId));
  const all = new Set([...ids, ...cachedToo.map(({ accountId }) => accountId)]);
  const isOfIds = ({ accountId }: { readonly accountId: string }) => ids.has(accountId);
  const [uses, requests, reservations, refundables] = await Promise.all([
    loadShadowUse(em, [...ids]),
    loadShadowRequests(
      em,
      requestIdsOf(tasks).filter(({ accountId }) => all.has(accountId)),
    ),
    loadShadowReservations(em, keys.reservations.filter(isOfIds), [...ids], now, EXPIRED_MAX),
    loadShadowRefundables(
      em,
      keys.refundables.filter((key) => isOfIds(key) && key.key > FIRST_SHADOW_SEQ),
    ),
  ]);
  const used = new Map(uses.map((use) => [use.accountId, use]));
  const reservationsOf = Map.groupBy(reservations, ({ accountId }) => accountId);
  const refundablesOf = Map.groupBy(refundables, ({ accountId }) => accountId);
  const shadows = new Map<string, Shadow>();
  for (const { accountId } of [...shadowed, ...cachedToo]) {
    const shadow = new Shadow(
      used.get(accountId) ?? noUse(accountId, 0),
      reservationsOf.get(accountId) ?? [],
      refundablesOf.get(accountId) ?? [],
    );
    shadows.set(accountId, shadow);
  }
  return { shadows, requests, ...(await loadGrantsOf(em, shadowed, shadows, keys)) };
}

/**
 * Work of shadow mode may need every open grant of its account, and those that its jobs name. A grant that jobs of
 * shadow mode hold credits of may have expired, with nothing left of it: it is part of the balance that is answered.
 */
async function loadGrantsOf(
  em: Em,
  accounts: readonly Account[],
  shadows: ReadonlyMap<string, Shadow>,
  { shadowAccounts }: GroupKeys,
): Promise<Pick<LoadedShadows, 'openGrants' | 'completeAccounts' | 'namedGrants'>> {
  const named: RowKey<bigint>[] = [];
  const completeAccounts = new Set<string>();
  for (const account of accounts) {
    const { accountId } = account;
    const { use, reservations, refundables } = shadows.get(accountId)!;
    // Its shadow mode may begin in this unit of work, before other requests of it.
    const mayBeInIt = isInShadowMode(account) || shadowAccounts.has(accountId);
    if (!mayBeInIt && reservations.size === 0 && refundables.size === 0) continue;
    completeAccounts.add(accountId);
    const allocations = [
      ...[...reservations.values()].flatMap((one) => [
        ...one.allocations,
        ...one.expiredAllocations,
      ]),
      ...[...refundables.values()].flatMap(({ split }) => split),
    ];
    const held = [...use.grants].filter(([, { reserved }]) => reserved > 0n);
    const grantIds = new Set([
      ...allocations.map(({ grantId }) => grantId),
      ...held.map(([grantId]) => grantId),
    ]);
    for (const key of grantIds)
      if (key > NO_GRANT && key !== OVER_COMMIT_GRANT) named.push({ accountId, key });
  }
  const [openGrants, namedGrants] = await Promise.all([
    loadAllOpenGrants(em, [...completeAccounts]),
    loadGrants(em, named),
  ]);
  const open = new Set(openGrants.map(nameOf));
  return {
    openGrants,
    completeAccounts,
    namedGrants: namedGrants.filter((grant) => !open.has(nameOf(grant))),
  };
}

const nameOf = ({ accountId, grantId }: Grant): string => `${accountId}\n${grantId}`;

export const shadowReservationsOf = ({ shadows }: LoadedShadows): readonly ShadowReservation[] =>
  [...shadows.values()].flatMap(({ reservations }) => [...reservations.values()]);

/** With all grants that work of shadow mode may need. */
export const withShadowedGrants = (
  openGrants: readonly Grant[],
  { openGrants: all, namedGrants, completeAccounts }: LoadedShadows,
): readonly Grant[] => [
  ...openGrants.filter(({ accountId }) => !completeAccounts.has(accountId)),
  ...all,
  ...namedGrants,
];

/** With the jobs of shadow mode: budgets count them as well. */
export function withShadowedJobs(jobs: JobRows, shadowed: LoadedShadows | null): JobRows {
  if (!shadowed) return jobs;
  const shadows = [...shadowed.shadows.values()];
  return {
    reservations: [...jobs.reservations, ...shadowReservationsOf(shadowed)],
    refundables: [...jobs.refundables, ...shadows.flatMap((one) => [...one.refundables.values()])],
  };
}
