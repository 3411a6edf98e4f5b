/** Writes what a unit of work changed: one statement per table and kind of write, all rows at once. */

import { canonicalJson, integerJson } from '../canonical.ts';
import type { Account } from '../ledger/account.ts';
import type { Allocation } from '../ledger/allocation/allocation.ts';
import type { Demand } from '../ledger/allocation/waterfall.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { LedgerEvent } from '../ledger/event.ts';
import { type Grant, isLimited, isOpen } from '../ledger/grant.ts';
import type { SealedEntry } from '../ledger/hash-chain.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import { heldCredits, type Reservation } from '../ledger/reservation.ts';
import type { Statement } from '../ledger/statement.ts';
import { bulkInsert, bulkUpdate, type Column, versionedUpdate } from '../pg/bulk.ts';
import { constraintOf } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import type { SqlStatement } from '../pg/pipelined-batch.ts';
import { commit } from '../pg/query.ts';
import type { Validity } from '../pricing/plan.ts';
import { formatValidity } from '../pricing/plan-file/validity.ts';
import { insertStatements } from './statements.ts';
import { autoTopUpJson, topUpsJson } from './top-ups.ts';

/** A request that was answered, with what it said and what it was answered. */
export type AnsweredRequest = {
  readonly accountId: string;
  readonly requestId: string;
  readonly method: string;
  readonly fingerprint: Uint8Array;
  readonly response: Uint8Array;
  readonly at: number;
};

/** An account at its new version, and whether it was locked and read, or computed from caches. */
export type ChangedAccount = {
  readonly account: Account;
  /** The account was cached: its row is not locked yet. */
  readonly cached: boolean;
  /** The sum of the revisions of the cached plans; null: the plans were read. */
  readonly plansRevision: bigint | null;
};

/** A cached account or cached plans were not what the database has. Nothing was written. */
export class StaleCacheError extends Error {}

export type Writes = {
  readonly accounts: {
    readonly added: Account[];
    /** In anything: an account whose settings alone changed is here, too, for only this update is guarded. */
    readonly changed: ChangedAccount[];
    /** In their settings. */
    readonly set: Account[];
  };
  readonly grants: { readonly added: Grant[]; readonly changed: Grant[] };
  readonly reservations: { readonly added: Reservation[]; readonly changed: Reservation[] };
  readonly purchases: { readonly added: Purchase[]; readonly changed: Purchase[] };
  readonly customPacks: CustomPack[];
  readonly refundables: RefundableEntry[];
  readonly entries: SealedEntry[];
  readonly events: LedgerEvent[];
  readonly statements: Statement[];
  readonly requests: AnsweredRequest[];
};

const accountKey: Column<Account>[] = [['account_id', 'text', (a) => a.accountId]];
const accountOpened: Column<Account>[] = [['opened_at', 'instant', (a) => a.openedAt]];
/** Seldom changed; kept out of the update that every unit of work makes. */
const accountSettings: Column<Account>[] = [
  ['plan_id', 'text', (a) => a.planId],
  ['state', 'text', (a) => a.state],
  ['display_name', 'text', (a) => a.displayName],
  ['labels', 'jsonb', (a) => canonicalJson(a.labels)],
  ['low_balance_threshold', 'bigint', (a) => a.lowBalanceThreshold],
  ['pause_floor', 'bigint', (a) => a.pauseFloor],
  ['auto_top_up', 'jsonb', (a) => autoTopUpJson(a.autoTopUp)],
  ['top_ups', 'jsonb', (a) => topUpsJson(a.topUps)],
  ['top_up_due_at', 'instant', (a) => a.topUpDueAt],
  ['closed_at', 'instant', (a) => a.closedAt],
  ['statement_due_at', 'instant', (a) => a.statementDueAt],
  ['statement_plan_id', 'text', (a) => a.statementPlanId],
];
const accountState: Column<Account>[] = [
  ['seq', 'bigint', (a) => a.seq],
  ['grant_count', 'bigint', (a) => a.grantCount],
  ['event_count', 'bigint', (a) => a.eventCount],
  ['remaining', 'bigint', (a) => a.remaining],
  ['reserved', 'bigint', (a) => a.reserved],
  ['overage', 'bigint', (a) => a.overage],
  ['overage_reserved', 'bigint', (a) => a.overageReserved],
  ['overage_limit', 'bigint', (a) => a.overageLimit],
  ['low_balance', 'boolean', (a) => a.lowBalance],
  ['allowance_due_at', 'instant', (a) => a.allowanceDueAt],
  ['due_at', 'instant', (a) => a.dueAt],
  ['last_at', 'instant', (a) => a.lastAt],
  ['last_hash', 'bytea', (a) => a.lastHash],
];
const accountVersion: Column<Account>[] = [['version', 'bigint', (a) => a.version]];
const insertAccounts = bulkInsert('accounts', [
  ...accountKey,
  ...accountOpened,
  ...accountSettings,
  ...accountState,
  ...accountVersion,
]);
const updateAccounts = versionedUpdate<ChangedAccount>(
  'accounts',
  1,
  [...accountKey, ...accountState, ...accountVersion].map(([name, type, value]) => [
    name,
    type,
    ({ account }) => value(account),
  ]),
  [[['plans_revision', 'bigint', (c) => c.plansRevision], '(select sum(revision) from plans)']],
);
const updateSettings = bulkUpdate('accounts', 1, [...accountKey, ...accountSettings]);

const grantKey: Column<Grant>[] = [
  ['account_id', 'text', (g) => g.accountId],
  ['grant_id', 'bigint', (g) => g.grantId],
];
const grantTerms: Column<Grant>[] = [
  ['amount', 'bigint', (g) => g.amount],
  ['category', 'text', (g) => g.category],
  ['priority', 'int', (g) => g.priority],
  ['effective_at', 'instant', (g) => g.effectiveAt],
  ['expires_at', 'instant', (g) => g.expiresAt],
  ['source', 'text', (g) => g.source],
  ['source_reference', 'text', (g) => g.sourceReference],
  ['operations', 'jsonb', (g) => (isLimited(g) ? canonicalJson(g.operations) : null)],
  ['created_at', 'instant', (g) => g.createdAt],
];
const grantState: Column<Grant>[] = [
  ['remaining', 'bigint', (g) => g.remaining],
  ['reserved', 'bigint', (g) => g.reserved],
  ['state', 'text', (g) => g.state],
  ['open', 'boolean', isOpen],
  ['notice_at', 'instant', (g) => g.noticeAt],
];
const insertGrants = bulkInsert('grants', [...grantKey, ...grantTerms, ...grantState]);
const updateGrants = bulkUpdate('grants', 2, [...grantKey, ...grantState]);

const allocationsJson = (allocations: readonly Allocation[]): string =>
  `[${allocations.map(({ grantId, credits }) => `[${integerJson(grantId)},${integerJson(credits)}]`)}]`;

const demandsJson = (demands: readonly Demand[]): string =>
  canonicalJson(demands.map(({ operation, credits }) => [operation, credits]));

const reservationKey: Column<Reservation>[] = [
  ['account_id', 'text', (r) => r.accountId],
  ['reservation_id', 'uuid', (r) => r.reservationId],
];
const reservationTerms: Column<Reservation>[] = [
  ['created_at', 'instant', (r) => r.createdAt],
  ['over_commit_policy', 'text', (r) => r.overCommitPolicy],
  ['plan_id', 'text', (r) => r.planId],
  ['rate_card_version', 'int', (r) => r.rateCardVersion],
  ['reference', 'text', (r) => r.reference],
  ['labels', 'jsonb', (r) => canonicalJson(r.labels)],
];
const reservationState: Column<Reservation>[] = [
  ['state', 'text', (r) => r.state],
  ['credits', 'bigint', (r) => r.credits],
  ['held', 'bigint', heldCredits],
  ['committed', 'bigint', (r) => r.committed],
  ['returned', 'bigint', (r) => r.returned],
  ['allocations', 'jsonb', (r) => allocationsJson(r.allocations)],
  ['held_for', 'jsonb', (r) => r.heldFor && demandsJson(r.heldFor)],
  ['expires_at', 'instant', (r) => r.expiresAt],
  ['ended_at', 'instant', (r) => r.endedAt],
  ['late', 'boolean', (r) => r.late],
];
const insertReservations = bulkInsert('reservations', [
  ...reservationKey,
  ...reservationTerms,
  ...reservationState,
]);
const updateReservations = bulkUpdate('reservations', 2, [...reservationKey, ...reservationState]);

const validityText = (validity: Validity): string | null =>
  validity === null ? null : formatValidity(validity);

const purchaseKey: Column<Purchase>[] = [
  ['account_id', 'text', (p) => p.accountId],
  ['purchase_id', 'uuid', (p) => p.purchaseId],
];
const purchaseTerms: Column<Purchase>[] = [
  ['pack_id', 'text', (p) => p.packId],
  ['title', 'text', (p) => p.title],
  ['credits', 'bigint', (p) => p.credits],
  ['currency', 'text', (p) => p.price.currency],
  ['amount', 'numeric', (p) => p.price.amount],
  ['validity', 'text', (p) => validityText(p.validity)],
  ['method', 'text', (p) => p.method],
  ['payment_reference', 'text', (p) => p.paymentReference],
  ['caller', 'text', (p) => p.caller],
  ['request_id', 'text', (p) => p.requestId],
  ['labels', 'jsonb', (p) => canonicalJson(p.labels)],
  ['success_url', 'text', (p) => p.checkout?.successUrl ?? null],
  ['cancel_url', 'text', (p) => p.checkout?.cancelUrl ?? null],
  ['customer_email', 'text', (p) => p.checkout?.customerEmail ?? null],
  ['customer', 'text', (p) => p.savedMethod?.customer ?? null],
  ['payment_method', 'text', (p) => p.savedMethod?.paymentMethod ?? null],
  ['created_at', 'instant', (p) => p.createdAt],
];
const purchaseState: Column<Purchase>[] = [
  ['state', 'text', (p) => p.state],
  ['session_id', 'text', (p) => p.session?.sessionId ?? null],
  ['checkout_url', 'text', (p) => p.session?.url ?? null],
  ['session_expires_at', 'instant', (p) => p.session?.expiresAt ?? null],
  ['payment_intent_id', 'text', (p) => p.paymentIntentId],
  ['failure_code', 'text', (p) => p.failureCode],
  ['grant_id', 'bigint', (p) => p.grantId],
  ['paid_at', 'instant', (p) => p.paidAt],
  ['amount_refunded', 'numeric', (p) => p.amountRefunded],
  ['dispute_state', 'text', (p) => p.disputeState],
  ['credits_clawed_back', 'bigint', (p) => p.creditsClawedBack],
  ['credits_unrecovered', 'bigint', (p) => p.creditsUnrecovered],
  ['looks', 'int', (p) => p.syncVersion],
  ['next_check_at', 'instant', (p) => p.nextCheckAt],
];
const insertPurchases = bulkInsert('purchases', [
  ...purchaseKey,
  ...purchaseTerms,
  ...purchaseState,
]);
const updatePurchases = bulkUpdate('purchases', 2, [...purchaseKey, ...purchaseState]);

const insertEntries = bulkInsert<SealedEntry>('entries', [
  ['account_id', 'text', ({ entry }) => entry.accountId],
  ['seq', 'bigint', ({ entry }) => entry.seq],
  ['kind', 'text', ({ entry }) => entry.kind],
  ['at', 'instant', ({ entry }) => entry.at],
  ['moves', 'jsonb', (e) => e.movesJson],
  ['credits', 'bigint', ({ entry }) => entry.credits],
  ['remaining_after', 'bigint', ({ entry }) => entry.remainingAfter],
  ['reserved_after', 'bigint', ({ entry }) => entry.reservedAfter],
  ['overage_after', 'bigint', ({ entry }) => entry.overageAfter],
  ['reservation_id', 'uuid', ({ entry }) => entry.reservationId],
  ['grant_id', 'bigint', ({ entry }) => entry.grantId],
  ['refunded_seq', 'bigint', ({ entry }) => entry.refundedSeq],
  ['usages', 'jsonb', (e) => e.usagesJson],
  ['rate_card_version', 'int', ({ entry }) => entry.rateCardVersion],
  ['late', 'boolean', ({ entry }) => entry.late],
  ['caller', 'text', ({ entry }) => entry.caller],
  ['request_id', 'text', ({ entry }) => entry.requestId],
  ['reference', 'text', ({ entry }) => entry.reference],
  ['labels', 'jsonb', (e) => e.labelsJson],
  ['trace_id', 'text', ({ entry }) => entry.traceId],
  ['span_id', 'text', ({ entry }) => entry.spanId],
  ['hash', 'bytea', (e) => e.hash],
  ['plan_id', 'text', ({ entry }) => entry.planId],
  ['previous_plan_id', 'text', ({ entry }) => entry.previousPlanId],
]);

const insertEvents = bulkInsert<LedgerEvent>('events', [
  ['account_id', 'text', (e) => e.accountId],
  ['event_id', 'uuid', (e) => e.eventId],
  ['seq', 'bigint', (e) => e.seq],
  ['type', 'text', (e) => e.type],
  ['at', 'instant', (e) => e.at],
  ['data', 'jsonb', (e) => canonicalJson(e.data)],
  ['trace_id', 'text', (e) => e.traceId],
  ['span_id', 'text', (e) => e.spanId],
]);

const insertRequests = bulkInsert<AnsweredRequest>('requests', [
  ['account_id', 'text', (r) => r.accountId],
  ['request_id', 'text', (r) => r.requestId],
  ['method', 'text', (r) => r.method],
  ['fingerprint', 'bytea', (r) => r.fingerprint],
  ['response', 'bytea', (r) => r.response],
  ['at', 'instant', (r) => r.at],
]);

/**
 * Writes everything and commits the transaction that `em` is in. Throws a StaleCacheError where a cached
 * account or the cached plans have changed.
 */
export async function save(em: Em, writes: Writes): Promise<void> {
  try {
    await commit(em, [
      ...(writes.accounts.changed.some(({ cached }) => cached) ? [SHORT_LOCK_TIMEOUT] : []),
      ...insertAccounts(writes.accounts.added),
      ...updateAccounts(writes.accounts.changed),
      ...updateSettings(writes.accounts.set),
      ...insertGrants(writes.grants.added),
      ...updateGrants(writes.grants.changed),
      ...insertReservations(writes.reservations.added),
      ...updateReservations(writes.reservations.changed),
      ...insertPurchases(writes.purchases.added),
      ...updatePurchases(writes.purchases.changed),
      ...writes.customPacks.map(saveCustomPack),
      ...writes.refundables.map(saveRefunded),
      ...insertEntries(writes.entries),
      ...insertEvents(writes.events),
      ...insertStatements(writes.statements),
      ...insertRequests(writes.requests),
    ]);
  } catch (error) {
    if (constraintOf(error) !== 'accounts_version_check') throw error;
    throw new StaleCacheError('a cached account or plan has changed', { cause: error });
  }
}

/**
 * The row of a cached account is locked by its update, and another replica may hold the lock. The
 * cached account is stale once that replica commits, so there is little to wait for.
 */
const SHORT_LOCK_TIMEOUT: SqlStatement = {
  text: `set local lock_timeout = '50ms'`,
  parameters: [],
};

/** The row of a refunded entry is made by its first refund. */
const saveRefunded = ({ accountId, seq, committed, refunded }: RefundableEntry): SqlStatement => ({
  text: `
    insert into refunded (account_id, seq, committed, refunded) values ($1, $2, $3, $4)
    on conflict (account_id, seq) do update set refunded = excluded.refunded`,
  parameters: [accountId, seq, committed, refunded],
});

/** A pack that was withdrawn can be offered again on other terms. */
const saveCustomPack = (pack: CustomPack): SqlStatement => ({
  text: `
    insert into custom_packs (account_id, pack_id, title, credits, currency, amount, validity,
      offered_at, offered_by, withdrawn_at)
    values ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::float8 / 1000), $9,
      to_timestamp($10::float8 / 1000))
    on conflict (account_id, pack_id) do update set title = excluded.title,
      credits = excluded.credits, currency = excluded.currency, amount = excluded.amount,
      validity = excluded.validity, offered_at = excluded.offered_at,
      offered_by = excluded.offered_by, withdrawn_at = excluded.withdrawn_at`,
  parameters: [
    pack.accountId,
    pack.packId,
    pack.title,
    pack.credits,
    pack.price.currency,
    pack.price.amount,
    validityText(pack.validity),
    pack.offeredAt,
    pack.offeredBy,
    pack.withdrawnAt,
  ],
});
