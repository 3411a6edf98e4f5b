/** Writes what a unit of work changed: one SQL statement per table and kind of write, with all its rows. */
import type { Account } from '../ledger/account.ts';
import type { BudgetCounter } from '../ledger/budget.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { SealedEvent } from '../ledger/event-hash.ts';
import type { Grant } from '../ledger/grant.ts';
import type { SealedEntry } from '../ledger/hash-chain.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { ShadowDecision, ShadowReservation } from '../ledger/shadow/shadow.ts';
import type { ShadowUse } from '../ledger/shadow/shadow-use.ts';
import type { Statement } from '../ledger/statement.ts';
import { bulkDelete, bulkInsert, bulkUpdate, bulkUpsert, versionedUpdate } from '../pg/bulk.ts';
import { constraintOf } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import type { SqlStatement } from '../pg/pipelined-batch.ts';
import { commit } from '../pg/query.ts';
import { accounts } from './tables/accounts.ts';
import { budgetCounters } from './tables/budgets.ts';
import { customPacks } from './tables/custom-packs.ts';
import { entries } from './tables/entries.ts';
import { events } from './tables/events.ts';
import { grants } from './tables/grants.ts';
import { purchases } from './tables/purchases.ts';
import { refunded } from './tables/refunded.ts';
import { reservations, type StoredReservation } from './tables/reservations.ts';
import { shadowDecisions, shadowReservations, shadowUse } from './tables/shadows.ts';
import { statements } from './tables/statements.ts';

/** An account at its new version, and whether it was locked and read, or computed from caches. */
export type ChangedAccount = {
  readonly account: Account;
  /**
   * The account was cached, with this hash of its newest entry, and its row is not locked yet; null: it was
   * read. The version alone does not prove a cached account to be current: where a standby or a backup has
   * taken the place of the database, the row may have got as many other writes.
   */
  readonly cachedHash: Uint8Array | null;
  /** The sum of the revisions of the cached plans; null: the plans were read. */
  readonly plansRevision: bigint | null;
};

/** A cached account or a cached plan is not what the database has. Nothing was written. */
export class StaleCacheError extends Error {}

export type Writes = {
  readonly accounts: {
    readonly added: Account[];
    /** With any change. Also of settings: only this update checks and increments the version. */
    readonly changed: ChangedAccount[];
    readonly settingsChanged: Account[];
  };
  readonly grants: {
    readonly added: Grant[];
    readonly changed: Grant[];
    /** Of the changed ones. */
    readonly termsChanged: Grant[];
  };
  readonly reservations: {
    readonly added: StoredReservation[];
    readonly changed: StoredReservation[];
    readonly ended: Reservation[];
  };
  readonly purchases: { readonly added: Purchase[]; readonly changed: Purchase[] };
  readonly customPacks: CustomPack[];
  readonly refundables: RefundableEntry[];
  readonly budgetCounters: BudgetCounter[];
  readonly entries: SealedEntry[];
  readonly events: SealedEvent[];
  readonly statements: Statement[];
  /** Null: no account of the unit of work was ever in shadow mode. */
  shadows: ShadowWrites | null;
};

export type ShadowWrites = {
  readonly use: ShadowUse[];
  readonly decisions: ShadowDecision[];
  readonly reservations: ShadowReservation[];
};

const insertAccounts = bulkInsert(accounts);
const updateAccounts = versionedUpdate(accounts, ({ account }: ChangedAccount) => account, [
  {
    name: 'plans_revision',
    type: 'bigint',
    elementOf: ({ plansRevision }) => plansRevision,
    equal: '(select sum(revision) from plans)',
  },
  {
    name: 'cached_hash',
    type: 'bytea',
    elementOf: ({ cachedHash }) => cachedHash,
    equal: 'accounts.last_hash',
  },
]);
const updateSettings = bulkUpdate(accounts, 'settings');
const insertGrants = bulkInsert(grants);
const updateGrants = bulkUpdate(grants);
const updateGrantTerms = bulkUpdate(grants, 'settings');
const insertReservations = bulkInsert(reservations);
const updateReservations = bulkUpdate(reservations);
const deleteReservations = bulkDelete<Reservation>(reservations);
const insertPurchases = bulkInsert(purchases);
const updatePurchases = bulkUpdate(purchases);
const saveCustomPacks = bulkUpsert(customPacks);
const saveRefunded = bulkUpsert(refunded);
const saveBudgetCounters = bulkUpsert(budgetCounters);
const insertEntries = bulkInsert(entries);
const insertEvents = bulkInsert(events);
const insertStatements = bulkInsert(statements);
const saveShadowUse = bulkUpsert(shadowUse);
const insertShadowDecisions = bulkInsert(shadowDecisions);
const saveShadowReservations = bulkUpsert(shadowReservations);

/**
 * Writes everything and commits the transaction that `em` is in. Throws a StaleCacheError if a cached
 * account or a cached plan is not what the database has.
 */
export async function save(em: Em, writes: Writes): Promise<void> {
  try {
    await commit(em, [
      ...(writes.accounts.changed.some(({ cachedHash }) => cachedHash) ? [SHORT_LOCK_TIMEOUT] : []),
      ...insertAccounts(writes.accounts.added),
      ...updateAccounts(writes.accounts.changed),
      ...updateSettings(writes.accounts.settingsChanged),
      ...insertGrants(writes.grants.added),
      ...updateGrants(writes.grants.changed),
      ...updateGrantTerms(writes.grants.termsChanged),
      ...insertReservations(writes.reservations.added),
      ...updateReservations(writes.reservations.changed),
      ...deleteReservations(writes.reservations.ended),
      ...insertPurchases(writes.purchases.added),
      ...updatePurchases(writes.purchases.changed),
      ...saveCustomPacks(writes.customPacks),
      ...saveRefunded(writes.refundables),
      ...saveBudgetCounters(writes.budgetCounters),
      ...insertEntries(writes.entries),
      ...insertEvents(writes.events),
      ...insertStatements(writes.statements),
      ...(writes.shadows ? shadowWrites(writes.shadows) : []),
    ]);
  } catch (error) {
    if (constraintOf(error) !== 'accounts_version_check') throw error;
    throw new StaleCacheError('a cached account or plan has changed', { cause: error });
  }
}

const shadowWrites = ({ use, decisions, reservations }: ShadowWrites): readonly SqlStatement[] => [
  ...saveShadowUse(use),
  ...insertShadowDecisions(decisions),
  ...saveShadowReservations(reservations),
];

/**
 * The row of a cached account is locked by its update, and another replica may hold the lock. The
 * cached account is stale once that replica commits, so there is little to wait for.
 */
const SHORT_LOCK_TIMEOUT: SqlStatement = {
  text: `set local lock_timeout = '50ms'`,
  parameters: [],
};
