/** Loads the books of the accounts a group of works names, locked until the transaction ends. */

import type { CachedAccount } from '../account-cache/cached-account.ts';
import type { Account } from '../ledger/account.ts';
import { Book } from '../ledger/book.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Command } from '../ledger/decide.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { newId } from '../new-id.ts';
import type { Em } from '../pg/orm.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { Catalogue } from '../store/catalogue.ts';
import {
  existing,
  loadCustomPacks,
  loadExpiredReservations,
  loadGrants,
  loadOpenGrants,
  loadPurchases,
  loadReferencedPurchases,
  loadRefundables,
  loadRequests,
  loadReservations,
  loadReservationsAtVersion,
  lockAccounts,
  type Named,
  nextReservationExpiry,
  type StoredRequest,
  type WhereLocked,
} from '../store/load.ts';
import type { Task } from './task.ts';

/** So many reservations of one account expire in one unit of work at most. */
const EXPIRE_MAX = 1_000;

export type LoadedUnit = {
  readonly now: number;
  readonly books: Map<string, Book>;
  /** Every plan that an account, a reservation or a request names. */
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  /** The sum of their revisions, where they were not read; null: they were. */
  readonly plansKnown: bigint | null;
  /** Books of accounts that this unit of work opens. */
  readonly added: Set<Book>;
  /** Request ids used before, by `requestKey`. */
  readonly requests: Map<string, StoredRequest>;
  /** Accounts with more to settle than one unit of work does; nothing is decided on them yet. */
  readonly unsettled: ReadonlySet<string>;
  /** Accounts that another replica has locked: they have no book here. */
  readonly lockedElsewhere: ReadonlySet<string>;
  /** Accounts whose books were kept: nothing was read of them but reservations that are named. */
  readonly kept: ReadonlyMap<string, CachedAccount>;
  /** Of these, the ones that turned out to need reading; nothing more is decided on them here. */
  readonly unread: Set<string>;
};

/** A task that a rule decides. */
type CommandTask = Extract<Task, { readonly command: Command }>;
const isCommand = (task: Task): task is CommandTask => 'command' in task;

export const requestKey = (accountId: string, requestId: string, method: string): string =>
  `${accountId}\n${requestId}\n${method}`;

export async function loadUnit(
  em: Em,
  catalogue: Catalogue,
  tasks: readonly Task[],
  locked: WhereLocked,
  now: number,
  kept: ReadonlyMap<string, CachedAccount>,
): Promise<LoadedUnit> {
  const commands = tasks.filter(isCommand);
  const unkept = tasks.filter(({ accountId }) => !kept.has(accountId));
  const accountIds = [...new Set(unkept.map(({ accountId }) => accountId))];
  const reserved = reservationsNamed(commands);
  // Where nothing else is to be read, the plans need not be either: that would be the one question asked.
  const known = unkept.length + reserved.length === 0 ? catalogue.known(now) : null;
  // In this order: what is read of an account is read after it was locked.
  const [accounts, before, reservations, refundables, purchases, customPacks, open, plans] =
    await Promise.all([
      lockAccounts(em, accountIds, locked),
      loadRequests(em, requestIdsOf(unkept)),
      loadReservationsNamed(em, reserved, kept),
      loadRefundables(
        em,
        named(commands, 'Refund', ({ seq }) => seq),
      ),
      loadPurchasesOf(em, commands),
      loadCustomPacks(em, packsNamed(commands)),
      loadOpenGrants(em, accountIds),
      known?.plans ?? catalogue.asOf(em, now),
    ]);
  const lockedElsewhere =
    locked === 'skip' ? await findLockedElsewhere(em, accountIds, accounts) : [];
  const due = await loadDue(em, accounts, now);
  const packs = await addTopUpPacks(em, customPacks, accounts, commands);
  const grants = await addRefundedGrants(em, open, refundables, purchases);
  const all = [...[...kept.values()].map((book) => book.account()), ...accounts];
  await readRateCards(em, catalogue, plans, now, all, commands, reservations);

  const grantsOf = byAccount(grants);
  const reservationsOf = byAccount(dedupeReservations([...reservations, ...due.reservations]));
  const refundablesOf = byAccount(refundables);
  const purchasesOf = byAccount(purchases);
  const customPacksOf = byAccount(packs);
  const books = new Map<string, Book>();
  for (const account of all) {
    const { accountId } = account;
    const loaded = {
      account,
      plans,
      grants: kept.get(accountId)?.grants() ?? grantsOf.get(accountId) ?? [],
      reservations: reservationsOf.get(accountId) ?? [],
      purchases: purchasesOf.get(accountId) ?? [],
      customPacks: customPacksOf.get(accountId) ?? [],
      refundables: refundablesOf.get(accountId) ?? [],
      nextReservationExpiry: due.nextExpiry.get(accountId) ?? null,
    };
    books.set(accountId, new Book(loaded, now, newId(now)));
  }
  return {
    now,
    books,
    plans,
    plansKnown: known?.revisions ?? null,
    added: new Set(),
    requests: new Map(
      before.map((row) => [requestKey(row.accountId, row.requestId, row.method), row]),
    ),
    unsettled: due.unsettled,
    lockedElsewhere: new Set(lockedElsewhere),
    kept,
    unread: new Set(),
  };
}

/** Of the accounts that were not locked here, those that there are. Mostly every one was locked. */
async function findLockedElsewhere(
  em: Em,
  accountIds: readonly string[],
  accounts: readonly Account[],
): Promise<string[]> {
  if (accounts.length === accountIds.length) return [];
  const lockedHere = new Set(accounts.map(({ accountId }) => accountId));
  return await existing(
    em,
    accountIds.filter((accountId) => !lockedHere.has(accountId)),
  );
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

function reservationsNamed(commands: readonly CommandTask[]): Named<string>[] {
  const all: Named<string>[] = [];
  for (const { accountId, command } of commands)
    if ('reservationId' in command) all.push({ accountId, key: command.reservationId });
  return distinct(all);
}

/** A cached account is not locked: its reservations count only if it has not changed. */
async function loadReservationsNamed(
  em: Em,
  named: readonly Named<string>[],
  kept: ReadonlyMap<string, CachedAccount>,
): Promise<Reservation[]> {
  const atVersion = named.flatMap((one) => {
    const version = kept.get(one.accountId)?.account().version;
    return version === undefined ? [] : [{ ...one, version }];
  });
  const found = await Promise.all([
    loadReservations(
      em,
      named.filter(({ accountId }) => !kept.has(accountId)),
    ),
    loadReservationsAtVersion(em, atVersion),
  ]);
  return found.flat();
}

/** The keys that commands of one kind name. */
function named<Kind extends Command['kind'], Key>(
  commands: readonly CommandTask[],
  kind: Kind,
  keyOf: (command: Extract<Command, { kind: Kind }>) => Key,
): Named<Key>[] {
  const all: Named<Key>[] = [];
  for (const { accountId, command } of commands)
    if (command.kind === kind)
      all.push({ accountId, key: keyOf(command as Extract<Command, { kind: Kind }>) });
  return distinct(all);
}

/** Purchases that commands sync, and ones whose payment reference they give again. */
async function loadPurchasesOf(em: Em, commands: readonly CommandTask[]): Promise<Purchase[]> {
  const synced = [
    ...named(commands, 'SyncPurchase', ({ purchaseId }) => purchaseId),
    ...named(commands, 'EndTopUp', ({ purchaseId }) => purchaseId),
  ];
  const references: Named<string>[] = [];
  for (const { accountId, command } of commands)
    if (command.kind === 'Purchase' && command.payment.method === 'REFERENCE')
      references.push({ accountId, key: command.payment.reference });
  // UsagesOrCredits for in this turn, both: what is asked for later goes to the database by itself.
  const purchases = await Promise.all([
    loadPurchases(em, distinct(synced)),
    loadReferencedPurchases(em, distinct(references)),
  ]);
  return [...new Map(purchases.flat().map((p) => [`${p.accountId}\n${p.purchaseId}`, p])).values()];
}

const packsNamed = (commands: readonly CommandTask[]): Named<string>[] =>
  distinct([
    ...named(commands, 'Purchase', ({ packId }) => packId),
    ...named(commands, 'OfferPack', ({ pack }) => pack.packId),
    ...named(commands, 'WithdrawPack', ({ packId }) => packId),
    ...named(commands, 'UpdateAccount', ({ autoTopUp }) => autoTopUp?.packId ?? ''),
  ]);

/** Packs that were named, and those that top-ups which start buy: the account says which. */
async function addTopUpPacks(
  em: Em,
  packs: readonly CustomPack[],
  accounts: readonly Account[],
  commands: readonly CommandTask[],
): Promise<CustomPack[]> {
  const starting = new Set(named(commands, 'StartTopUp', () => '').map((one) => one.accountId));
  const bought: Named<string>[] = [];
  for (const { accountId, autoTopUp } of accounts)
    if (autoTopUp && starting.has(accountId)) bought.push({ accountId, key: autoTopUp.packId });
  const all = [...(await loadCustomPacks(em, bought)), ...packs];
  return [...new Map(all.map((pack) => [`${pack.accountId}\n${pack.packId}`, pack])).values()];
}

function distinct<Key>(all: readonly Named<Key>[]): Named<Key>[] {
  return [...new Map(all.map((one) => [`${one.accountId}\n${one.key}`, one])).values()];
}

type DueOf = {
  readonly reservations: Reservation[];
  readonly nextExpiry: Map<string, number>;
  readonly unsettled: Set<string>;
};

/** What expired on accounts that are due. Few are, at most once per reservation's life. */
async function loadDue(em: Em, accounts: readonly Account[], now: number): Promise<DueOf> {
  const due: DueOf = { reservations: [], nextExpiry: new Map(), unsettled: new Set() };
  for (const { accountId, dueAt, lastAt } of accounts) {
    const at = Math.max(now, lastAt);
    if (dueAt === null || dueAt > at) continue;
    const expired = await loadExpiredReservations(em, accountId, at, EXPIRE_MAX + 1);
    const tooMany = expired.length > EXPIRE_MAX;
    if (tooMany) due.unsettled.add(accountId);
    due.reservations.push(...expired.slice(0, EXPIRE_MAX));
    const next = tooMany ? at : await nextReservationExpiry(em, accountId, at);
    if (next !== null) due.nextExpiry.set(accountId, next);
  }
  return due;
}

/** Open grants, and those a refund gives back to or a purchase made. */
async function addRefundedGrants(
  em: Em,
  open: readonly Grant[],
  refundables: readonly RefundableEntry[],
  purchases: readonly Purchase[],
): Promise<Grant[]> {
  const refunded = refundables.flatMap(({ accountId, split }) =>
    split.map(({ grantId }) => ({ accountId, key: grantId })),
  );
  const bought = purchases.flatMap(({ accountId, grantId }) =>
    grantId === null ? [] : [{ accountId, key: grantId }],
  );
  if (refunded.length + bought.length === 0) return [...open];
  const closed = await loadGrants(em, distinct([...refunded, ...bought]));
  const byKey = new Map([...closed, ...open].map((g) => [`${g.accountId}\n${g.grantId}`, g]));
  return [...byKey.values()];
}

/** Reads the rate cards that are named, beside those in force. */
async function readRateCards(
  em: Em,
  catalogue: Catalogue,
  plans: ReadonlyMap<string, PublishedPlan>,
  now: number,
  accounts: readonly Account[],
  commands: readonly CommandTask[],
  reservations: readonly Reservation[],
): Promise<void> {
  const need = async (plan: PublishedPlan | undefined, version: number) => {
    if (plan?.version(version) && !plan.rateCard(version))
      await catalogue.rateCard(plan, version, em);
  };
  for (const { planId, rateCardVersion } of reservations)
    await need(plans.get(planId), rateCardVersion);
  // Whatever plan its account lives under by then: one before it can open or move the account.
  for (const { command } of commands)
    if ('rateCardVersion' in command && command.rateCardVersion !== null)
      for (const plan of plans.values()) await need(plan, command.rateCardVersion);
  // An account can be ahead of this replica's clock, where another with a faster one has written.
  for (const { lastAt } of accounts)
    if (lastAt > now) for (const plan of plans.values()) await catalogue.ready(plan, lastAt, em);
}

/** A reservation can be named by a request and due at once; its first copy is the one that counts. */
function dedupeReservations(reservations: readonly Reservation[]): Reservation[] {
  const byKey = new Map<string, Reservation>();
  for (const reservation of reservations) {
    const key = `${reservation.accountId}\n${reservation.reservationId}`;
    if (!byKey.has(key)) byKey.set(key, reservation);
  }
  return [...byKey.values()];
}

function byAccount<Noun extends { readonly accountId: string }>(
  nouns: readonly Noun[],
): Map<string, Noun[]> {
  const map = new Map<string, Noun[]>();
  for (const noun of nouns) {
    const list = map.get(noun.accountId);
    if (list) list.push(noun);
    else map.set(noun.accountId, [noun]);
  }
  return map;
}
