/**
 * Every table, as MikroORM entities. The migrations create them; a test holds the two against each
 * other. The CHECKs repeat the ledger's invariants: the database itself refuses what the rules must
 * never ask for.
 *
 * account_id is in every primary and unique key of the account tables, no column is filled by a
 * sequence or trigger, and there are no foreign keys: every write is made under the lock of its
 * account's row. So the tables can be distributed by account_id as they are.
 */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

const bigint = () => p.bigint('bigint');
const instant = () => p.datetime(3);
const json = <T>() => p.json().$type<T>().columnType('jsonb');
const labels = () => json<Record<string, string>>();

export const PlanRow = defineEntity({
  name: 'PlanRow',
  tableName: 'plans',
  properties: {
    planId: p.text().primary(),
    title: p.text(),
    /** Terms and packs, as src/pricing writes them. */
    terms: json<unknown>(),
    updatedAt: instant(),
    /** Grows with every publication that changed something: whoever has read it knows the plan. */
    revision: p.integer(),
    /** Rate card versions that were replaced before they came into force. */
    withdrawn: json<number[]>(),
  },
});

export const RateCardRow = defineEntity({
  name: 'RateCardRow',
  tableName: 'rate_cards',
  properties: {
    planId: p.text().primary(),
    version: p.integer().primary(),
    content: json<unknown>(),
    createdAt: instant(),
    effectiveAt: instant(),
  },
  checks: [{ name: 'rate_cards_version_check', expression: 'version > 0' }],
});

export const AccountRow = defineEntity({
  name: 'AccountRow',
  tableName: 'accounts',
  properties: {
    accountId: p.text().primary(),
    planId: p.text(),
    state: p.text(),
    displayName: p.text(),
    labels: labels(),
    /** Own limits, in place of the plan's. */
    lowBalanceThreshold: bigint().nullable(),
    pauseFloor: bigint().nullable(),
    /** Auto top-up: what is switched on, and what has become of it; see src/store/top-ups.ts. */
    autoTopUp: json<unknown>().nullable(),
    topUps: json<unknown>().nullable(),
    topUpDueAt: instant().nullable(),
    openedAt: instant(),
    closedAt: instant().nullable(),
    seq: bigint(),
    grantCount: bigint(),
    eventCount: bigint(),
    remaining: bigint(),
    reserved: bigint(),
    overage: bigint(),
    overageReserved: bigint(),
    overageLimit: bigint(),
    lowBalance: p.boolean(),
    allowanceDueAt: instant().nullable(),
    /** End of the next month to be closed by a statement. */
    statementDueAt: instant().nullable(),
    statementPlanId: p.text().nullable(),
    dueAt: instant().nullable(),
    lastAt: instant(),
    lastHash: p.blob().columnType('bytea'),
    /** Row version: every update increments it. */
    version: bigint(),
  },
  checks: [
    { name: 'accounts_state_check', expression: "state in ('OPEN', 'CLOSED')" },
    { name: 'accounts_seq_check', expression: 'seq >= 0' },
    { name: 'accounts_grant_count_check', expression: 'grant_count >= 0' },
    { name: 'accounts_event_count_check', expression: 'event_count >= 0' },
    {
      name: 'accounts_low_balance_threshold_check',
      expression: 'low_balance_threshold >= 0',
    },
    { name: 'accounts_pause_floor_check', expression: 'pause_floor >= 0' },
    { name: 'accounts_available_check', expression: 'reserved >= 0 and reserved <= remaining' },
    {
      name: 'accounts_overage_check',
      expression:
        'overage >= 0 and overage_reserved >= 0 and overage + overage_reserved <= overage_limit',
    },
    // Also how the update of a stale account fails: see versionedUpdate in bulk.ts.
    { name: 'accounts_version_check', expression: 'version > 0' },
  ],
  indexes: [
    { name: 'accounts_due', properties: ['dueAt'], where: 'due_at is not null' },
    {
      name: 'accounts_statement_due',
      properties: ['statementDueAt'],
      where: 'statement_due_at is not null',
    },
    {
      name: 'accounts_top_up_due',
      properties: ['topUpDueAt'],
      where: 'top_up_due_at is not null',
    },
    { name: 'accounts_by_plan', properties: ['planId', 'accountId'] },
  ],
});

export const GrantRow = defineEntity({
  name: 'GrantRow',
  tableName: 'grants',
  properties: {
    accountId: p.text().primary(),
    grantId: bigint().primary(),
    amount: bigint(),
    remaining: bigint(),
    reserved: bigint(),
    category: p.text(),
    priority: p.integer(),
    effectiveAt: instant(),
    expiresAt: instant().nullable(),
    source: p.text(),
    sourceReference: p.text(),
    /** Names of the operations it may pay for, ordered; null: all. */
    operations: json<string[]>().nullable(),
    /** When notice of its expiry is due; null: never, or it was given. */
    noticeAt: instant().nullable(),
    state: p.text(),
    /** Whether the grant can still change by itself or by use: what a unit of work loads. */
    open: p.boolean(),
    createdAt: instant(),
  },
  checks: [
    { name: 'grants_amount_check', expression: 'amount > 0' },
    { name: 'grants_remaining_check', expression: 'remaining >= 0 and remaining <= amount' },
    { name: 'grants_reserved_check', expression: 'reserved >= 0 and reserved <= remaining' },
    { name: 'grants_priority_check', expression: 'priority >= 0 and priority <= 100' },
    { name: 'grants_expiry_check', expression: 'expires_at > effective_at' },
    {
      name: 'grants_category_check',
      expression: "category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')",
    },
    {
      name: 'grants_state_check',
      expression: "state in ('SCHEDULED', 'OPEN', 'SPENT', 'EXPIRED')",
    },
    { name: 'grants_operations_check', expression: 'jsonb_array_length(operations) > 0' },
    { name: 'grants_open_check', expression: "(state = 'SCHEDULED' or remaining > 0) = open" },
  ],
  indexes: [{ name: 'grants_open', properties: ['accountId'], where: 'open' }],
});

export const ReservationRow = defineEntity({
  name: 'ReservationRow',
  tableName: 'reservations',
  properties: {
    accountId: p.text().primary(),
    reservationId: p.uuid().primary(),
    state: p.text(),
    credits: bigint(),
    held: bigint(),
    committed: bigint(),
    returned: bigint(),
    /** [[grant, credits], …] of what is held; grant 0 is the overage line. */
    allocations: json<[number | string, number | string][]>(),
    /** [[operation, credits], …] of what it is held for, where that is known; see src/ledger/reservation.ts. */
    heldFor: json<[string, number | string][]>().nullable(),
    expiresAt: instant(),
    createdAt: instant(),
    endedAt: instant().nullable(),
    overCommitPolicy: p.text(),
    rateCardVersion: p.integer(),
    reference: p.text(),
    labels: labels(),
    late: p.boolean(),
    planId: p.text(),
  },
  checks: [
    {
      name: 'reservations_state_check',
      expression: "state in ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')",
    },
    {
      name: 'reservations_credits_check',
      expression: 'credits >= 0 and held >= 0 and committed >= 0 and returned >= 0',
    },
    {
      name: 'reservations_policy_check',
      expression: "over_commit_policy in ('REJECT', 'CAP', 'DRAW')",
    },
    {
      name: 'reservations_whole_check',
      expression: "held + committed + returned = credits or over_commit_policy = 'DRAW'",
    },
    {
      name: 'reservations_end_check',
      expression: "(state = 'ACTIVE') = (ended_at is null) and (state = 'ACTIVE' or held = 0)",
    },
  ],
  indexes: [
    {
      name: 'reservations_active',
      properties: ['accountId', 'expiresAt'],
      where: "state = 'ACTIVE'",
    },
  ],
});

export const EntryRow = defineEntity({
  name: 'EntryRow',
  tableName: 'entries',
  properties: {
    accountId: p.text().primary(),
    seq: bigint().primary(),
    kind: p.text(),
    at: instant(),
    /** [[from, to, grant, credits], …]; see src/ledger/hash-chain.ts. */
    moves: json<unknown[]>(),
    credits: bigint(),
    remainingAfter: bigint(),
    reservedAfter: bigint(),
    overageAfter: bigint(),
    reservationId: p.uuid().nullable(),
    grantId: bigint().nullable(),
    refundedSeq: bigint().nullable(),
    usages: json<unknown[]>(),
    rateCardVersion: p.integer().nullable(),
    late: p.boolean(),
    caller: p.text(),
    requestId: p.text(),
    reference: p.text(),
    labels: labels(),
    traceId: p.text(),
    spanId: p.text(),
    hash: p.blob().columnType('bytea'),
    planId: p.text().nullable(),
    previousPlanId: p.text().nullable(),
  },
  checks: [
    { name: 'entries_seq_check', expression: 'seq > 0' },
    { name: 'entries_credits_check', expression: 'credits >= 0' },
    {
      name: 'entries_after_check',
      expression: 'remaining_after >= 0 and reserved_after >= 0 and overage_after >= 0',
    },
    {
      name: 'entries_kind_check',
      expression:
        "kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT', 'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'RAISE', 'CLAW_BACK', 'REINSTATE', 'PLAN_CHANGE')",
    },
    {
      name: 'entries_plan_change_check',
      expression:
        "(kind = 'PLAN_CHANGE') = (previous_plan_id is not null) and (kind <> 'PLAN_CHANGE' or plan_id is not null)",
    },
  ],
});

export const RequestRow = defineEntity({
  name: 'RequestRow',
  tableName: 'requests',
  properties: {
    accountId: p.text().primary(),
    requestId: p.text().primary(),
    method: p.text().primary(),
    /** SHA-256 of the request's content. */
    fingerprint: p.blob().columnType('bytea'),
    /** The first response, protobuf-encoded. */
    response: p.blob().columnType('bytea'),
    at: instant(),
  },
});

export const PurchaseRow = defineEntity({
  name: 'PurchaseRow',
  tableName: 'purchases',
  properties: {
    accountId: p.text().primary(),
    purchaseId: p.uuid().primary(),
    packId: p.text(),
    title: p.text(),
    credits: bigint(),
    currency: p.text(),
    amount: p.decimal('string').columnType('numeric(20, 9)'),
    /** As plan files write it; null: for ever. */
    validity: p.text().nullable(),
    method: p.text(),
    state: p.text(),
    paymentReference: p.text().nullable(),
    caller: p.text(),
    requestId: p.text(),
    labels: labels(),
    successUrl: p.text().nullable(),
    cancelUrl: p.text().nullable(),
    customerEmail: p.text().nullable(),
    customer: p.text().nullable(),
    paymentMethod: p.text().nullable(),
    sessionId: p.text().nullable(),
    checkoutUrl: p.text().nullable(),
    sessionExpiresAt: instant().nullable(),
    paymentIntentId: p.text().nullable(),
    failureCode: p.text(),
    grantId: bigint().nullable(),
    createdAt: instant(),
    paidAt: instant().nullable(),
    amountRefunded: p.decimal('string').columnType('numeric(20, 9)'),
    disputeState: p.text(),
    creditsClawedBack: bigint(),
    creditsUnrecovered: bigint(),
    looks: p.integer(),
    nextCheckAt: instant().nullable(),
  },
  checks: [
    { name: 'purchases_credits_check', expression: 'credits > 0' },
    { name: 'purchases_amount_check', expression: 'amount >= 0' },
    {
      name: 'purchases_state_check',
      expression: "state in ('PENDING', 'PAID', 'FAILED', 'EXPIRED')",
    },
    {
      name: 'purchases_paid_check',
      expression:
        "(state = 'PAID') = (grant_id is not null) and (state = 'PAID') = (paid_at is not null)",
    },
    {
      name: 'purchases_method_check',
      expression:
        "method in ('REFERENCE', 'CHECKOUT', 'TOP_UP') and (method = 'REFERENCE') = (payment_reference is not null) and (method = 'CHECKOUT') = (success_url is not null and cancel_url is not null) and (method = 'TOP_UP') = (customer is not null and payment_method is not null)",
    },
    {
      name: 'purchases_session_check',
      expression:
        '(session_id is null) = (checkout_url is null) and (session_id is null) = (session_expires_at is null)',
    },
    {
      name: 'purchases_asked_back_check',
      expression:
        'amount_refunded >= 0 and credits_clawed_back >= 0 and credits_unrecovered >= 0 and credits_clawed_back + credits_unrecovered <= credits',
    },
    {
      name: 'purchases_dispute_check',
      expression: "dispute_state in ('NONE', 'OPEN', 'WON', 'LOST')",
    },
    {
      name: 'purchases_next_check_check',
      expression: "(state = 'PENDING') = (next_check_at is not null)",
    },
  ],
  uniques: [
    { name: 'purchases_payment_reference', properties: ['accountId', 'paymentReference'] },
    { name: 'purchases_session', properties: ['accountId', 'sessionId'] },
    { name: 'purchases_payment_intent', properties: ['accountId', 'paymentIntentId'] },
  ],
  indexes: [
    {
      name: 'purchases_to_check',
      properties: ['nextCheckAt'],
      where: 'next_check_at is not null',
    },
  ],
});

/** Packs offered to one account alone; withdrawn ones stay, until they are offered again. */
export const CustomPackRow = defineEntity({
  name: 'CustomPackRow',
  tableName: 'custom_packs',
  properties: {
    accountId: p.text().primary(),
    packId: p.text().primary(),
    title: p.text(),
    credits: bigint(),
    currency: p.text(),
    amount: p.decimal('string').columnType('numeric(20, 9)'),
    /** As plan files write it; null: for ever. */
    validity: p.text().nullable(),
    offeredAt: instant(),
    offeredBy: p.text(),
    withdrawnAt: instant().nullable(),
  },
  checks: [
    { name: 'custom_packs_credits_check', expression: 'credits > 0' },
    { name: 'custom_packs_amount_check', expression: 'amount > 0' },
  ],
});

/** How much of a commit or charge has been refunded; a row exists from its first refund on. */
export const RefundedRow = defineEntity({
  name: 'RefundedRow',
  tableName: 'refunded',
  properties: {
    accountId: p.text().primary(),
    seq: bigint().primary(),
    committed: bigint(),
    refunded: bigint(),
  },
  checks: [{ name: 'refunded_check', expression: 'refunded > 0 and refunded <= committed' }],
});

/** What listeners are told; written in the transaction that caused it. Only its position comes later. */
export const EventRow = defineEntity({
  name: 'EventRow',
  tableName: 'events',
  properties: {
    accountId: p.text().primary(),
    eventId: p.uuid().primary(),
    /** 1, 2, 3 … within the account. */
    seq: bigint(),
    /** 1, 2, 3 … over all accounts, given after the commit; see src/events. */
    position: bigint().nullable(),
    type: p.text(),
    at: instant(),
    data: json<Record<string, string>>(),
    traceId: p.text(),
    spanId: p.text(),
  },
  checks: [
    { name: 'events_seq_check', expression: 'seq > 0' },
    { name: 'events_position_check', expression: 'position > 0' },
  ],
  indexes: [
    {
      name: 'events_waiting',
      properties: ['accountId', 'seq'],
      where: 'position is null',
    },
    { name: 'events_by_position', properties: ['position'] },
    { name: 'events_of_account', properties: ['accountId', 'position'] },
  ],
});

/** How far events have got: the last position given, and the last one that has a delivery. */
export const EventCursorRow = defineEntity({
  name: 'EventCursorRow',
  tableName: 'event_cursors',
  properties: {
    name: p.text().primary(),
    position: bigint().nullable(),
  },
});

/** The delivery of an event to the webhook endpoint. */
export const DeliveryRow = defineEntity({
  name: 'DeliveryRow',
  tableName: 'deliveries',
  properties: {
    accountId: p.text().primary(),
    eventId: p.uuid().primary(),
    position: bigint(),
    state: p.text(),
    attempts: p.integer(),
    /** When it is attempted next; while it is being attempted, when it may be taken over. */
    dueAt: instant().nullable(),
    lastAttemptAt: instant().nullable(),
    lastError: p.text(),
    endedAt: instant().nullable(),
  },
  checks: [
    {
      name: 'deliveries_state_check',
      expression: "state in ('PENDING', 'DELIVERED', 'DEAD')",
    },
    { name: 'deliveries_attempts_check', expression: 'attempts >= 0' },
    { name: 'deliveries_due_check', expression: "(state = 'PENDING') = (due_at is not null)" },
    { name: 'deliveries_end_check', expression: "(state = 'PENDING') = (ended_at is null)" },
  ],
  indexes: [
    { name: 'deliveries_due', properties: ['dueAt'], where: 'due_at is not null' },
    { name: 'deliveries_by_position', properties: ['position'] },
    { name: 'deliveries_by_state', properties: ['state', 'position'] },
  ],
});

/** Closed statements: one for an account and month, for good. */
export const StatementRow = defineEntity({
  name: 'StatementRow',
  tableName: 'statements',
  properties: {
    accountId: p.text().primary(),
    /** E.g. "2026-11". */
    month: p.text().primary(),
    planId: p.text(),
    closedAt: instant(),
    afterSeq: bigint(),
    lastSeq: bigint(),
    overage: bigint(),
    currency: p.text().nullable(),
    total: p.decimal('string').columnType('numeric').nullable(),
    /** Usage, rates, lines and adjustments; see src/store/statements.ts. */
    content: json<unknown>(),
  },
  checks: [
    { name: 'statements_month_check', expression: "month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'" },
    { name: 'statements_seq_check', expression: 'after_seq >= 0 and after_seq <= last_seq' },
    { name: 'statements_overage_check', expression: 'overage >= 0' },
    { name: 'statements_total_check', expression: '(total is null) = (currency is null)' },
  ],
  indexes: [{ name: 'statements_by_plan', properties: ['planId', 'month', 'accountId'] }],
});

export type AccountRecord = InferEntity<typeof AccountRow>;

export const entities = [
  PlanRow,
  RateCardRow,
  AccountRow,
  GrantRow,
  ReservationRow,
  EntryRow,
  RequestRow,
  PurchaseRow,
  CustomPackRow,
  RefundedRow,
  EventRow,
  StatementRow,
  EventCursorRow,
  DeliveryRow,
];
