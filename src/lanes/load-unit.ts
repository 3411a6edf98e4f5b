/**
 * Loads what a unit of work needs: locks its accounts until the transaction ends, and reads them with the
 * rows that its commands name. Cached accounts are neither locked nor read.
 */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { Catalogue } from '../store/catalogue.ts';
import {
  loadCustomPacks,
  loadExistingIds,
  loadExpiredReservations,
  loadGrants,
  loadNextReservationExpiry,
  loadOpenGrants,
  loadPurchases,
  loadPurchasesByReference,
  loadRefundables,
  loadRequests,
  loadReservations,
  loadReservationsAtVersion,
  lockAccounts,
  type RowKey,
  type WaitPolicy,
} from '../store/load.ts';
import { assembleBooks } from './assemble-books.ts';
import { keysOf } from './group-keys.ts';
import { type LoadedUnit, requestKey } from './loaded-unit.ts';
import type { Task } from './task.ts';

/** Reservations of one account that one unit of work expires at most. */
const EXPIRE_MAX = 1_000;

const NONE: ReadonlySet<string> = new Set();

type CachedAccounts = ReadonlyMap<string, CachedAccount>;
type Plans = ReadonlyMap<string, PublishedPlan>;

export async function loadUnit(
  em: Em,
  catalogue: Catalogue,
  tasks: readonly Task[],
  waitPolicy: WaitPolicy,
  now: number,
  cached: CachedAccounts,
): Promise<LoadedUnit> {
  const uncached = tasks.filter(({ accountId }) => !cached.has(accountId));
  const accountIds = [...new Set(uncached.map(({ accountId }) => accountId))];
  const keys = keysOf(tasks);
  // Where nothing else is read the plans are not read either: the unit waits for the database only once.
  const readsNothing = accountIds.length === 0 && keys.reservations.length === 0;
  const cachedPlans = readsNothing ? catalogue.cachedPlans(now) : null;
  // One pipelined batch, in this order: the rows of an account are read after it was locked.
  const [accounts, requests, openGrants, reservations, purchases, refundables, packs, plans] =
    await Promise.all([
      lockAccounts(em, accountIds, waitPolicy),
      loadRequests(em, requestIdsOf(uncached)),
      loadOpenGrants(em, accountIds),
      loadNamedReservations(em, keys.reservations, cached),
      loadNamedPurchases(em, keys.purchases, keys.paymentReferences),
      loadRefundables(em, keys.refundables),
      loadCustomPacks(em, keys.packs),
      cachedPlans?.plans ?? catalogue.loadPlans(em, now),
    ]);
  // More batches, which few units of work need.
  const lockedElsewhere =
    waitPolicy === 'skip' ? await findSkipped(em, accountIds, accounts) : NONE;
  const due = await loadDue(em, accounts, now);
  const rows = {
    accounts,
    grants: await addClosedGrants(em, openGrants, refundables, purchases),
    reservations: distinct([...reservations, ...due.reservations], (r) => r.reservationId),
    purchases,
    customPacks: await addTopUpPacks(em, packs, accounts, keys.topUpAccounts),
    refundables,
    nextExpiry: due.nextExpiry,
  };
  const all = [...accounts, ...Array.from(cached.values(), ({ account }) => account)];
  await readRateCards(em, catalogue, plans, { now, tasks, accounts: all, reservations });
  return {
    now,
    books: assembleBooks(rows, cached, plans, now),
    opened: new Set(),
    plans,
    plansRevision: cachedPlans?.revision ?? null,
    requests: new Map(requests.map((r) => [requestKey(r.accountId, r.requestId, r.method), r])),
    newRequests: [],
    unsettled: due.unsettled,
    lockedElsewhere,
    cached,
    needsReload: new Set(),
  };
}

function requestIdsOf(tasks: readonly Task[]) {
  const ids: { accountId: string; requestId: string; method: string }[] = [];
  for (const task of tasks) {
    if (task.type !== 'request') continue;
    const { accountId, origin, command } = task;
    ids.push({ accountId, requestId: origin.requestId, method: command.kind });
  }
  return ids;
}

/** A cached account is not locked: its reservations are read only if it has not changed. */
async function loadNamedReservations(
  em: Em,
  named: readonly RowKey<string>[],
  cached: CachedAccounts,
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

async function loadNamedPurchases(
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

/** The reservations that have expired on accounts that are due. */
async function loadDue(em: Em, accounts: readonly Account[], now: number): Promise<Due> {
  const due: Due = { reservations: [], nextExpiry: new Map(), unsettled: new Set() };
  for (const { accountId, dueAt, lastAt } of accounts) {
    const at = Math.max(now, lastAt);
    if (dueAt === null || dueAt > at) continue;
    const expired = await loadExpiredReservations(em, accountId, at, EXPIRE_MAX + 1);
    const tooMany = expired.length > EXPIRE_MAX;
    if (tooMany) due.unsettled.add(accountId);
    due.reservations.push(...expired.slice(0, EXPIRE_MAX));
    const next = tooMany ? at : await loadNextReservationExpiry(em, accountId, at);
    if (next !== null) due.nextExpiry.set(accountId, next);
  }
  return due;
}

/** Adds the grants, open or not, that a refund gives back to or that a purchase made. */
async function addClosedGrants(
  em: Em,
  open: readonly Grant[],
  refundables: readonly RefundableEntry[],
  purchases: readonly Purchase[],
): Promise<readonly Grant[]> {
  const named: RowKey<bigint>[] = [];
  for (const { accountId, split } of refundables)
    for (const { grantId } of split) named.push({ accountId, key: grantId });
  for (const { accountId, grantId } of purchases)
    if (grantId !== null) named.push({ accountId, key: grantId });
  if (named.length === 0) return open;
  const found = await loadGrants(
    em,
    distinct(named, ({ key }) => key),
  );
  return distinct([...open, ...found], ({ grantId }) => grantId);
}

/** Adds the packs that starting top-ups buy. The account says which. */
async function addTopUpPacks(
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

/** Reads the rate cards that are needed beside those in force at `now`. */
async function readRateCards(
  em: Em,
  catalogue: Catalogue,
  plans: Plans,
  needs: {
    readonly now: number;
    readonly tasks: readonly Task[];
    readonly accounts: readonly Account[];
    readonly reservations: readonly Reservation[];
  },
): Promise<void> {
  const need = async (plan: PublishedPlan | undefined, version: number) => {
    if (plan?.version(version) && !plan.rateCard(version))
      await catalogue.loadRateCard(plan, version, em);
  };
  for (const { planId, rateCardVersion } of needs.reservations)
    await need(plans.get(planId), rateCardVersion);
  // Of every plan: an earlier command of this unit of work may move the account to another one.
  for (const task of needs.tasks)
    if ('command' in task && 'rateCardVersion' in task.command) {
      const { rateCardVersion } = task.command;
      if (rateCardVersion !== null)
        for (const plan of plans.values()) await need(plan, rateCardVersion);
    }
  // The clock of the replica that wrote an account may be ahead of this one's.
  for (const { lastAt } of needs.accounts)
    if (lastAt > needs.now)
      for (const plan of plans.values()) await catalogue.loadRateCardInForce(plan, lastAt, em);
}

/** Of the accounts whose lock was skipped, those that exist. */
async function findSkipped(
  em: Em,
  accountIds: readonly string[],
  accounts: readonly Account[],
): Promise<ReadonlySet<string>> {
  if (accounts.length === accountIds.length) return NONE;
  const lockedHere = new Set(accounts.map(({ accountId }) => accountId));
  const others = accountIds.filter((accountId) => !lockedHere.has(accountId));
  return new Set(await loadExistingIds(em, others));
}

/** One of each key within an account: the first. */
function distinct<Noun extends { readonly accountId: string }>(
  nouns: readonly Noun[],
  keyOf: (noun: Noun) => string | bigint,
): readonly Noun[] {
  const byKey = new Map<string, Noun>();
  for (const noun of nouns) {
    const key = `${noun.accountId}\n${keyOf(noun)}`;
    if (!byKey.has(key)) byKey.set(key, noun);
  }
  return [...byKey.values()];
}
