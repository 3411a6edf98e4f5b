/** Writes what a unit of work changed: one statement per table and kind of write, all rows at once. */
import { canonicalJson } from '../canonical.ts';
import type { Em } from '../db/orm.ts';
import type { Account } from '../ledger/account.ts';
import type { LedgerEvent } from '../ledger/event.ts';
import { type Grant, isOpen } from '../ledger/grant.ts';
import type { SealedEntry } from '../ledger/hash-chain.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import { type Allocation, heldBy, type Reservation } from '../ledger/reservation.ts';
import { bulkInsert, bulkUpdate, type Column, run } from './bulk.ts';
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

export type Writes = {
  readonly accounts: {
    readonly added: Account[];
    /** By entries. */
    readonly changed: Account[];
    /** In their settings. */
    readonly set: Account[];
  };
  readonly grants: { readonly added: Grant[]; readonly changed: Grant[] };
  readonly reservations: { readonly added: Reservation[]; readonly changed: Reservation[] };
  readonly purchases: Purchase[];
  readonly refundables: RefundableEntry[];
  readonly entries: SealedEntry[];
  readonly events: LedgerEvent[];
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
const insertAccounts = bulkInsert('accounts', [
  ...accountKey,
  ...accountOpened,
  ...accountSettings,
  ...accountState,
]);
const updateAccounts = bulkUpdate('accounts', 1, [...accountKey, ...accountState]);
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
  ['created_at', 'instant', (g) => g.createdAt],
];
const grantState: Column<Grant>[] = [
  ['remaining', 'bigint', (g) => g.remaining],
  ['reserved', 'bigint', (g) => g.reserved],
  ['state', 'text', (g) => g.state],
  ['open', 'boolean', isOpen],
];
const insertGrants = bulkInsert('grants', [...grantKey, ...grantTerms, ...grantState]);
const updateGrants = bulkUpdate('grants', 2, [...grantKey, ...grantState]);

const allocationsJson = (allocations: readonly Allocation[]): string =>
  canonicalJson(allocations.map(({ grantId, credits }) => [grantId, credits]));

const reservationKey: Column<Reservation>[] = [
  ['account_id', 'text', (r) => r.accountId],
  ['reservation_id', 'uuid', (r) => r.reservationId],
];
const reservationTerms: Column<Reservation>[] = [
  ['credits', 'bigint', (r) => r.credits],
  ['created_at', 'instant', (r) => r.createdAt],
  ['over_commit_policy', 'text', (r) => r.overCommitPolicy],
  ['rate_card_version', 'int', (r) => r.rateCardVersion],
  ['reference', 'text', (r) => r.reference],
  ['labels', 'jsonb', (r) => canonicalJson(r.labels)],
];
const reservationState: Column<Reservation>[] = [
  ['state', 'text', (r) => r.state],
  ['held', 'bigint', heldBy],
  ['committed', 'bigint', (r) => r.committed],
  ['returned', 'bigint', (r) => r.returned],
  ['allocations', 'jsonb', (r) => allocationsJson(r.allocations)],
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

const insertPurchases = bulkInsert<Purchase>('purchases', [
  ['account_id', 'text', (p) => p.accountId],
  ['purchase_id', 'uuid', (p) => p.purchaseId],
  ['pack_id', 'text', (p) => p.packId],
  ['credits', 'bigint', (p) => p.credits],
  ['currency', 'text', (p) => p.price.currency],
  ['amount', 'numeric', (p) => p.price.amount],
  ['state', 'text', (p) => p.state],
  ['payment_reference', 'text', (p) => p.paymentReference],
  ['grant_id', 'bigint', (p) => p.grantId],
  ['created_at', 'instant', (p) => p.createdAt],
  ['paid_at', 'instant', (p) => p.paidAt],
]);

const insertEntries = bulkInsert<SealedEntry>('entries', [
  ['account_id', 'text', (e) => e.accountId],
  ['seq', 'bigint', (e) => e.seq],
  ['kind', 'text', (e) => e.kind],
  ['at', 'instant', (e) => e.at],
  ['moves', 'jsonb', (e) => e.movesJson],
  ['credits', 'bigint', (e) => e.credits],
  ['remaining_after', 'bigint', (e) => e.remainingAfter],
  ['reserved_after', 'bigint', (e) => e.reservedAfter],
  ['overage_after', 'bigint', (e) => e.overageAfter],
  ['reservation_id', 'uuid', (e) => e.reservationId],
  ['grant_id', 'bigint', (e) => e.grantId],
  ['refunded_seq', 'bigint', (e) => e.refundedSeq],
  ['usages', 'jsonb', (e) => e.usagesJson],
  ['rate_card_version', 'int', (e) => e.rateCardVersion],
  ['late', 'boolean', (e) => e.late],
  ['caller', 'text', (e) => e.caller],
  ['request_id', 'text', (e) => e.requestId],
  ['reference', 'text', (e) => e.reference],
  ['labels', 'jsonb', (e) => e.labelsJson],
  ['trace_id', 'text', (e) => e.traceId],
  ['span_id', 'text', (e) => e.spanId],
  ['hash', 'bytea', (e) => e.hash],
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

/** Writes everything, in the transaction `em` is in. */
export async function save(em: Em, writes: Writes): Promise<void> {
  await insertAccounts(em, writes.accounts.added);
  await updateAccounts(em, writes.accounts.changed);
  await updateSettings(em, writes.accounts.set);
  await insertGrants(em, writes.grants.added);
  await updateGrants(em, writes.grants.changed);
  await insertReservations(em, writes.reservations.added);
  await updateReservations(em, writes.reservations.changed);
  await insertPurchases(em, writes.purchases);
  await saveRefunded(em, writes.refundables);
  await insertEntries(em, writes.entries);
  await insertEvents(em, writes.events);
  await insertRequests(em, writes.requests);
}

/** The row of a refunded entry is made by its first refund. */
async function saveRefunded(em: Em, refundables: readonly RefundableEntry[]) {
  for (const { accountId, seq, committed, refunded } of refundables)
    await run(
      em,
      `insert into refunded (account_id, seq, committed, refunded) values ($1, $2, $3, $4)
       on conflict (account_id, seq) do update set refunded = excluded.refunded`,
      [accountId, seq, committed, refunded],
    );
}
