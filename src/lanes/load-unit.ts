/**
 * Loads what a unit of work needs: locks its accounts until the transaction ends, and reads them with the
 * rows that its commands name. Cached accounts are neither locked nor read.
 */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import type { BudgetCounters } from '../ledger/budget.ts';
import type { Grant } from '../ledger/grant.ts';
import type { PlanLeft } from '../ledger/plans-left.ts';
import { isClosingBehind } from '../ledger/statement-closing.ts';
import type { Em } from '../pg/orm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { findArchivedRequests } from '../store/find-archived-requests.ts';
import {
  loadCustomPacks,
  loadPlansLeft,
  loadRefundables,
  loadUsageStarts,
  lockAccounts,
  type WaitPolicy,
} from '../store/load.ts';
import { loadOpenGrants, loadReturningGrants } from '../store/load-grants.ts';
import { loadRequests } from '../store/load-requests.ts';
import { loadUnfinished } from '../store/load-unfinished.ts';
import { assembleBooks } from './assemble-books.ts';
import type { GrantLimits } from './grant-limits.ts';
import { type GroupKeys, keysOf, requestIdsOf } from './group-keys.ts';
import { loadCounters } from './load-counters.ts';
import {
  addEndedReservations,
  addTopUpPacks,
  distinct,
  findSkipped,
  lackingGrants,
  loadDue,
  loadNamedGrants,
  loadNamedPurchases,
  loadNamedReservations,
} from './load-rows.ts';
import {
  loadShadows,
  shadowReservationsOf,
  withShadowedGrants,
  withShadowedJobs,
} from './load-shadows.ts';
import { type LoadedUnit, requestKey } from './loaded-unit.ts';
import { readRateCards } from './read-rate-cards.ts';
import type { SingleTask } from './task.ts';

const NO_REQUEST_KEYS: ReadonlySet<string> = new Set();
const NO_COUNTERS: ReadonlyMap<string, BudgetCounters> = new Map();
const NO_ACCOUNTS: ReadonlySet<string> = new Set();
const NO_GRANTS: readonly Grant[] = [];
const NO_TIMES: ReadonlyMap<string, number> = new Map();
const NO_PLANS_LEFT: ReadonlyMap<string, readonly PlanLeft[]> = new Map();

const mayBeShadowed = (accounts: readonly Account[], { shadowAccounts }: GroupKeys): boolean =>
  shadowAccounts.size > 0 || accounts.some(({ shadow }) => shadow !== null);

export async function loadUnit(
  em: Em,
  catalogue: Catalogue,
  tasks: readonly SingleTask[],
  waitPolicy: WaitPolicy,
  now: number,
  cached: ReadonlyMap<string, CachedAccount>,
  grantLimits: GrantLimits,
): Promise<Omit<LoadedUnit, 'isClockReliable'>> {
  const uncached = tasks.filter(({ accountId }) => !cached.has(accountId));
  const accountIds = [...new Set(uncached.map(({ accountId }) => accountId))];
  const queries = accountIds.map((accountId) => ({
    accountId,
    limit: grantLimits.of(accountId),
  }));
  const keys = keysOf(tasks);
  // Where nothing else is read the plans are not read either: the unit waits for the database only once.
  const readsNothing = accountIds.length === 0 && keys.reservations.length === 0;
  const cachedPlans = readsNothing ? catalogue.cachedPlans(now) : null;
  // One pipelined batch, in this order: the rows of an account are read after it was locked.
  const [
    accounts,
    requests,
    openGrants,
    storedReservations,
    namedPurchases,
    refundables,
    packs,
    unfinished,
    plans,
  ] = await Promise.all([
    lockAccounts(em, accountIds, waitPolicy),
    loadRequests(em, requestIdsOf(uncached)),
    loadOpenGrants(em, queries, now),
    loadNamedReservations(em, keys.reservations, cached),
    loadNamedPurchases(em, keys.purchases, keys.paymentReferences),
    loadRefundables(em, keys.refundables),
    loadCustomPacks(em, keys.packs),
    loadUnfinished(em, keys.erasedAccounts, tasks.length + 1),
    cachedPlans?.plans ?? catalogue.loadPlans(em, now),
  ]);
  // More batches, which few units of work need.
  const lockedElsewhere =
    waitPolicy === 'skip' ? await findSkipped(em, accountIds, accounts) : new Set<string>();
  const named = await addEndedReservations(em, storedReservations, keys.reservations, cached);
  const reservations = distinct([...named, ...unfinished.reservations], (r) => r.reservationId);
  const purchases = distinct([...namedPurchases, ...unfinished.purchases], (p) => p.purchaseId);
  const due = await loadDue(em, accounts, now);
  const all = [...accounts, ...Array.from(cached.values(), ({ account }) => account)];
  const shadowed = mayBeShadowed(all, keys)
    ? await loadShadows(
        em,
        { locked: accounts, cached: all.slice(accounts.length) },
        keys,
        tasks,
        now,
      )
    : null;
  const grants = shadowed ? withShadowedGrants(openGrants, shadowed) : openGrants;
  const allReservations = distinct([...reservations, ...due.reservations], (r) => r.reservationId);
  const [returningGrants, usageStarts] =
    keys.usedAt.size > 0
      ? await Promise.all([
          loadReturningGrants(em, keys.usedAt),
          loadUsageStarts(em, [...keys.usedAt.keys()]),
        ])
      : [NO_GRANTS, NO_TIMES];
  const rows = {
    accounts,
    openGrants: grants,
    completeAccounts: shadowed?.completeAccounts ?? NO_ACCOUNTS,
    namedGrants: await loadNamedGrants(
      em,
      grants,
      { grants: keys.grants, reservations, refundables, purchases },
      cached,
      returningGrants,
    ),
    reservations: allReservations,
    purchases,
    customPacks: await addTopUpPacks(em, packs, accounts, keys.topUpAccounts),
    refundables,
    budgetCounters: all.some(({ budgets }) => budgets !== null)
      ? await loadCounters(
          em,
          all,
          tasks,
          withShadowedJobs({ reservations: allReservations, refundables }, shadowed),
          cached,
          now,
        )
      : NO_COUNTERS,
    nextExpiry: due.nextExpiry,
    plansLeft: await loadPlansLeftOf(em, all, keys, now),
    usageStarts,
  };
  await readRateCards(em, catalogue, plans, {
    now,
    tasks,
    accounts: all,
    reservations: shadowed ? [...reservations, ...shadowReservationsOf(shadowed)] : reservations,
  });
  return {
    now,
    books: assembleBooks(rows, cached, grantLimits, plans, now),
    opened: new Set(),
    plans,
    plansRevision: cachedPlans?.revision ?? null,
    shadows: shadowed?.shadows ?? null,
    requests: new Map(
      (shadowed ? [...requests, ...shadowed.requests] : requests).map((r) => [
        requestKey(r.accountId, r.requestId, r.request.method),
        r,
      ]),
    ),
    archivedRequests: all.some(({ archivedSeq }) => archivedSeq !== null)
      ? await loadArchivedRequests(em, all, tasks)
      : NO_REQUEST_KEYS,
    unsettled: due.unsettled,
    waitingForClock: new Set(),
    lockedElsewhere,
    cached,
    needsReload: lackingGrants(cached, reservations),
    needsGrants: new Set(),
  };
}

/** The plans that accounts have left: of those whose month is closed now, and where the closing of statements is behind. */
async function loadPlansLeftOf(
  em: Em,
  accounts: readonly Account[],
  { closings }: GroupKeys,
  now: number,
) {
  const some = accounts.filter(
    (account) =>
      closings.has(account.accountId) || isClosingBehind(account, Math.max(now, account.lastAt)),
  );
  if (some.length === 0) return NO_PLANS_LEFT;
  return await loadPlansLeft(
    em,
    some.map(({ accountId }) => accountId),
  );
}

/**
 * Also of cached accounts: the requests of archived entries are there before the checkpoint, and rows are deleted after
 * it. It increments the version of the account, so that a unit of work that knows an older one finds the rows.
 */
async function loadArchivedRequests(
  em: Em,
  accounts: readonly Account[],
  tasks: readonly SingleTask[],
): Promise<ReadonlySet<string>> {
  const archived = new Set(
    accounts.flatMap(({ accountId, archivedSeq }) => (archivedSeq === null ? [] : [accountId])),
  );
  const asked = requestIdsOf(tasks).filter(({ accountId }) => archived.has(accountId));
  const found = await findArchivedRequests(em, asked);
  return new Set(found.map((r) => requestKey(r.accountId, r.requestId, r.method)));
}
