/** The database itself refuses rows that break an invariant of the ledger. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  KIND_CODES,
  METHOD_CODES,
  OVER_COMMIT_POLICY_CODES,
  RESERVATION_STATE_CODES,
} from '../../src/store/tables/codes.ts';
import { type OwnerSession, startOwnerSession } from './owner-session.ts';

let owner: OwnerSession;
beforeAll(async () => {
  owner = await startOwnerSession(inject('postgresUrl'));
});
afterAll(() => owner.end());

const instant = '2026-11-21T12:00:00Z';
const uuid = '01900000-0000-7000-8000-000000000000';

/** What a row of usage is a sum of. */
const usageKey = {
  account_id: 'a',
  label: 'team',
  hour: instant,
  operation: 'o',
  caller: 'c',
  plan_id: 'p',
  rate_card_version: 1,
  beyond: false,
  label_value: 'v',
};

/** A valid row of each table. The tests break one rule of it at a time. */
const validRows: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  plan_versions: {
    plan_id: 'p',
    version: 1,
    title: 'P',
    terms: {},
    created_at: instant,
    hash: '\\x00',
  },
  rate_cards: {
    plan_id: 'p',
    version: 1,
    content: {},
    created_at: instant,
    effective_at: instant,
    hash: '\\x00',
  },
  accounts: {
    account_id: 'a',
    plan_id: 'p',
    state: 'OPEN',
    display_name: '',
    labels: {},
    opened_at: instant,
    seq: 1,
    grant_count: 1,
    event_count: 1,
    pause_floor: 0,
    top_up_due_at: instant,
    remaining: 10,
    reserved: 4,
    granted: 10,
    scheduled: 0,
    overage: 3,
    overage_reserved: 2,
    overage_limit: 5,
    has_limited_grants: false,
    last_at: instant,
    last_hash: '\\x',
    version: 1,
  },
  grants: {
    account_id: 'a',
    grant_id: 1,
    amount: 10,
    remaining: 8,
    reserved: 8,
    category: 'PAID',
    priority: 50,
    effective_at: instant,
    expires_at: '2027-11-21T12:00:00Z',
    source: 'PURCHASE',
    source_reference: '',
    stranded: false,
    state: 'OPEN',
    open: true,
    paid: true,
    created_at: instant,
  },
  reservations: {
    account_id: 'a',
    reservation_id: uuid,
    state: RESERVATION_STATE_CODES.ACTIVE,
    over_commit_policy: OVER_COMMIT_POLICY_CODES.REJECT,
    rate_card_version: 1,
    entry_seq: 1,
    credits: 10,
    committed: 3,
    returned: 2,
    created_at: instant,
    expires_at: instant,
    late: false,
    plan_id: 'p',
    allocations: [[1, 5]],
    caller: 'c',
  },
  entries: {
    account_id: 'a',
    seq: 1,
    at: instant,
    credits: 1,
    remaining_after: 1,
    reserved_after: 1,
    plan_version: 1,
    kind: KIND_CODES.CHARGE,
    method: METHOD_CODES.Charge,
    plan_id: 'p',
    caller: 'test',
    request_id: '\\x72',
    content: {},
    hash: '\\x',
    fingerprint: '\\x',
    response: '\\x',
  },
  purchases: {
    account_id: 'a',
    purchase_id: uuid,
    pack_id: 'starter',
    credits: 100,
    currency: 'USD',
    amount: '19.00',
    title: 'Starter',
    quantity: 1,
    method: 'REFERENCE',
    state: 'PAID',
    payment_reference: 'order-1',
    payment_reference_key: 'order-1',
    caller: 'test',
    request_id: 'r',
    labels: {},
    failure_code: '',
    grant_id: 1,
    created_at: instant,
    paid_at: instant,
    amount_refunded: '0',
    dispute_state: 'NONE',
    credits_clawed_back: 0,
    credits_unrecovered: 0,
    sync_version: 0,
  },
  caller_quotas: { caller: 'c', day: 1, credits: 0 },
  custom_packs: {
    account_id: 'a',
    pack_id: 'own',
    title: 'Own',
    credits: 100,
    currency: 'USD',
    amount: '19.00',
    offered_at: instant,
    offered_by: 'test',
  },
  refunded: { account_id: 'a', seq: 1, committed: 5, refunded: 5 },
  budget_counters: { account_id: 'a', since: 2, period_from: instant, value: '', used: 0 },
  shadow_decisions: {
    account_id: 'a',
    seq: '1000000000000001',
    at: instant,
    credits: 1,
    available_after: 0,
    plan_version: 1,
    kind: 9,
    plan_id: 'p',
    caller: 'c',
    content: {},
  },
  statements: {
    account_id: 'a',
    month: '2026-11',
    plan_id: 'p',
    closed_at: instant,
    after_seq: 3,
    last_seq: 4,
    overage: 5,
    currency: 'USD',
    total: '-0.10',
    content: {},
  },
  usage_rollups: { ...usageKey, count: 1, credits: 2, refunded: 3 },
  usage_quantities: { ...usageKey, quantity: 'pages', total: 1 },
  usage_positions: { account_id: 'a', seq: 1, labels: null },
  roll_forward_sums: {
    account_id: 'a',
    month: '2026-11',
    plan_id: 'p',
    category: 'PAID',
    currency: 'USD',
    movement: 'SPENT',
    credits: 5,
    amount: 100,
  },
  roll_forward_positions: { account_id: 'a', seq: 1, plan_id: 'p', remaining: {} },
  moved_events: { account_id: 'a', event_id: uuid, position: 1 },
  slot_moves: {
    move_id: uuid,
    from_cell: 'a',
    to_cell: 'b',
    slots: [],
    phase: 'COPYING',
    started_at: instant,
  },
  archive_files: {
    name: 'entries-2026-11-0001-00000000.parquet',
    month: '2026-11',
    part: 1,
    first_account: 'a',
    last_account: 'a',
    entries: 1,
    bytes: 1,
    sha256: '\\x00',
    finished_at: null,
  },
  archived_accounts: { account_id: 'a', seq: 1, at: instant, requests_seq: 1, key: null },
  archived_requests: {
    account_id: 'a',
    first_key: `\\x${'00'.repeat(16)}`,
    keys: `\\x${'00'.repeat(16)}`,
  },
  events: {
    account_id: 'a',
    event_id: uuid,
    seq: 1,
    position: 1,
    type: 'balance.low',
    at: instant,
    data: {},
    trace_id: '',
    span_id: '',
    sampled: false,
    data_hash: '\\x00',
    hash: '\\x00',
  },
  deliveries: {
    account_id: 'a',
    event_id: uuid,
    position: 1,
    state: 'PENDING',
    attempts: 0,
    due_at: instant,
    last_error: '',
  },
};

const insert = (table: string, changes: Readonly<Record<string, unknown>>) =>
  owner.errorOf(
    `insert into ${table} select * from jsonb_populate_record(null::${table}, $1::jsonb)`,
    [JSON.stringify({ ...validRows[table], ...changes })],
    roleOf(table),
  );

const noReference = { payment_reference: null, payment_reference_key: null };

/** A purchase that made no grant. */
const UNPAID = { state: 'FAILED', grant_id: null, paid_at: null };
/** A purchase whose payment differed from its price and was accepted. */
const DECIDED = {
  amount_paid: '18.00',
  currency_paid: 'USD',
  decision: 'ACCEPTED',
  decided_by: 'operator',
  decision_reason: 'agreed',
  decided_at: instant,
};

/** By the name of the CHECK: changes to a valid row that it refuses. */
const violations: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  plan_versions_version_check: [{ version: 0 }],
  rate_cards_version_check: [{ version: 0 }],
  accounts_state_check: [{ state: 'GONE' }],
  accounts_seq_check: [{ seq: -1 }],
  accounts_grant_count_check: [{ grant_count: -1 }],
  accounts_event_count_check: [{ event_count: -1 }],
  accounts_pause_floor_check: [{ pause_floor: -1 }],
  accounts_available_check: [
    { reserved: 11, granted: 11 },
    { reserved: -1 },
    { remaining: -1, reserved: -1 },
    { remaining: 11 },
  ],
  accounts_overage_check: [
    { overage: 4 },
    { overage_reserved: 3 },
    { overage: -1 },
    { overage_reserved: -1 },
    { overage_limit: 4 },
  ],
  accounts_overage_before_check: [{ overage_before: 0 }, { overage_before: 1_000_000 }],
  accounts_owed_check: [{ owed: 0 }, { owed: -1 }],
  accounts_version_check: [{ version: 0 }],
  grants_amount_check: [{ amount: 0, remaining: 0, reserved: 0, open: false }],
  // Below zero it breaks grants_reserved_check first: reserved is more than remaining then.
  grants_remaining_check: [{ remaining: 11 }],
  grants_reserved_check: [{ reserved: 9 }, { reserved: -1 }],
  grants_voided_check: [{ voided: 0 }, { voided: 3 }, { void_on_return: 0 }],
  grants_expired_check: [{ expired: 0 }, { expired: 11 }],
  grants_priority_check: [{ priority: -1 }, { priority: 101 }],
  grants_expiry_check: [{ expires_at: instant }],
  grants_category_check: [{ category: 'FREE' }],
  grants_state_check: [{ state: 'GONE' }],
  grants_operations_check: [{ operations: [] }],
  grants_paid_check: [{ paid: false }],
  grants_open_check: [{ open: false }, { remaining: 0, reserved: 0 }],
  reservations_credits_check: [
    { committed: 5, returned: -2 },
    { credits: -1, over_commit_policy: OVER_COMMIT_POLICY_CODES.DRAW },
    { committed: -1, returned: 3 },
  ],
  reservations_state_check: [{ state: 2 }, { state: 4 }],
  reservations_policy_check: [{ over_commit_policy: 0 }, { over_commit_policy: 5 }],
  reservations_whole_check: [
    { committed: 9 },
    { returned: 8 },
    { credits: 4 },
    { committed: 9, over_commit_policy: OVER_COMMIT_POLICY_CODES.CAP },
  ],
  entries_seq_check: [{ seq: 0 }],
  entries_after_check: [
    { credits: -1 },
    { remaining_after: -1 },
    { reserved_after: -1 },
    { overage_after: -1 },
  ],
  entries_kind_check: [{ kind: 0 }, { kind: Math.max(...Object.values(KIND_CODES)) + 1 }],
  entries_request_check: [
    { request_id: null },
    { method: 0 },
    { method: Math.max(...Object.values(METHOD_CODES)) + 1 },
  ],
  entries_plan_change_check: [{ previous_plan_id: 'p' }, { kind: 11 }],
  entries_erased_check: [{ erased_hash: Buffer.alloc(32) }],
  purchases_quantity_check: [{ quantity: 0 }],
  purchases_credits_check: [{ credits: 0 }],
  purchases_amount_check: [{ amount: '-0.01' }],
  purchases_state_check: [{ state: 'GONE', grant_id: null, paid_at: null }],
  purchases_paid_check: [
    { grant_id: null },
    { paid_at: null },
    { state: 'PENDING', next_check_at: instant },
    { state: 'PENDING', next_check_at: instant, grant_id: null },
  ],
  purchases_method_check: [
    { method: 'CASH', ...noReference },
    { payment_reference: null },
    { payment_reference_key: null },
    { method: 'CHECKOUT', ...noReference },
    { method: 'CHECKOUT', ...noReference, success_url: 'https://x' },
    { method: 'CHECKOUT', success_url: 'https://x', cancel_url: 'https://x' },
    { method: 'TOP_UP', ...noReference, customer: 'cus_1' },
    { customer: 'cus_1', payment_method: 'pm_1' },
  ],
  purchases_session_check: [
    { session_id: 'cs_1' },
    { session_id: 'cs_1', checkout_url: 'https://x' },
    { checkout_url: 'https://x', session_expires_at: instant },
  ],
  purchases_asked_back_check: [
    { amount_refunded: '-0.01' },
    { credits_clawed_back: -1 },
    { credits_unrecovered: -1 },
    { credits_clawed_back: 61, credits_unrecovered: 40 },
  ],
  purchases_owed_check: [{ credits_owed: 0 }, { credits_owed: 101 }],
  purchases_amount_paid_check: [
    { amount_paid: '19.00' },
    { currency_paid: 'USD' },
    { amount_paid: '-1', currency_paid: 'USD', ...UNPAID },
    { ...UNPAID, state: 'MISMATCHED' },
  ],
  purchases_decision_check: [
    { ...DECIDED, decision: 'PERHAPS' },
    { ...DECIDED, decided_by: null },
    { ...DECIDED, decision_reason: null },
    { ...DECIDED, decided_at: null },
    { ...DECIDED, decision: 'REJECTED' },
    { ...DECIDED, ...UNPAID },
    { ...UNPAID, state: 'REJECTED' },
    { amount_paid: '18.00', currency_paid: 'USD' },
    { amount_paid: '19.00', currency_paid: 'EUR' },
  ],
  purchases_dispute_check: [{ dispute_state: 'MAYBE' }],
  purchases_next_check_check: [
    { next_check_at: instant },
    { state: 'FAILED', grant_id: null, paid_at: null, next_check_at: instant },
    { state: 'PENDING', grant_id: null, paid_at: null },
  ],
  caller_quotas_credits_check: [{ credits: -1 }],
  custom_packs_credits_check: [{ credits: 0 }],
  budget_counters_used_check: [{ used: -1 }],
  shadow_decisions_seq_check: [{ seq: 1 }],
  custom_packs_amount_check: [{ amount: '0' }],
  events_seq_check: [{ seq: 0 }],
  events_position_check: [{ position: 0 }],
  deliveries_state_check: [{ state: 'GONE', due_at: null, ended_at: instant }],
  deliveries_attempts_check: [{ attempts: -1 }],
  deliveries_due_check: [
    { due_at: null },
    { state: 'DEAD', ended_at: instant },
    { state: 'DELIVERED', ended_at: instant },
  ],
  deliveries_end_check: [{ ended_at: instant }, { state: 'DEAD', due_at: null }],
  refunded_check: [{ refunded: 6 }, { refunded: 0 }],
  statements_month_check: [{ month: '2026-13' }, { month: '2026-1' }, { month: '' }],
  statements_seq_check: [{ after_seq: 5 }, { after_seq: -1 }],
  statements_overage_check: [{ overage: -1 }],
  statements_total_check: [{ currency: null }, { total: null }],
  usage_rollups_hour_check: [{ hour: '2026-11-21T12:30:00Z' }, { hour: 'infinity' }],
  usage_rollups_label_check: [{ label: '' }, { beyond: true }],
  usage_rollups_sums_check: [{ count: -1 }, { credits: -1 }, { refunded: -1 }],
  usage_quantities_hour_check: [{ hour: '2026-11-21T12:30:00Z' }, { hour: 'infinity' }],
  usage_quantities_label_check: [{ label: '' }, { beyond: true }],
  usage_quantities_total_check: [{ total: -1 }],
  usage_positions_seq_check: [{ seq: -1 }],
  roll_forward_sums_month_check: [{ month: '2026-13' }, { month: '2026-1' }, { month: '' }],
  roll_forward_sums_category_check: [{ category: 'FREE', currency: '', amount: 0 }],
  roll_forward_sums_movement_check: [{ movement: 'LOST' }],
  roll_forward_sums_credits_check: [{ credits: -1 }],
  roll_forward_sums_amount_check: [{ amount: -1 }, { currency: '' }, { category: 'ALLOWANCE' }],
  roll_forward_positions_seq_check: [{ seq: -1 }],
  moved_events_position_check: [{ position: 0 }],
  slot_moves_phase_check: [{ phase: 'MOVED' }],
  archive_files_entries_check: [{ entries: 0 }],
  archived_accounts_seq_check: [{ seq: 2 }, { seq: -1 }],
  archived_requests_keys_check: [{ keys: '\\x' }, { keys: '\\x00' }],
};

test.each(Object.keys(validRows))('a valid row of %s is accepted', async (table) => {
  expect(await insert(table, {})).toBeNull();
});

test.each(
  Object.entries(violations).flatMap(([name, rows]) =>
    rows.map((changes) => [name, changes] as const),
  ),
)('%s refuses %o', async (name, changes) => {
  const table = Object.keys(validRows).find((candidate) => name.startsWith(candidate)) ?? '';
  expect(await insert(table, changes)).toMatchObject({ code: '23514', constraint: name });
});

test('every CHECK is tested', async () => {
  const checks = `select conname::text from pg_constraint
    where contype = 'c' and connamespace = 'public'::regnamespace order by 1`;
  expect(await owner.column(checks)).toEqual(Object.keys(violations).sort());
  for (const [name, rows] of Object.entries(violations))
    expect(rows.length, name).toBeGreaterThan(0);
});

test('a second row under one key is refused', async () => {
  for (const [table, row] of Object.entries(validRows)) {
    const twice = [1, 2].map(
      () => `select * from jsonb_populate_record(null::${table}, $1::jsonb)`,
    );
    const sql = `insert into ${table} ${twice.join(' union all ')}`;
    expect(await owner.errorOf(sql, [JSON.stringify(row)]), table).toMatchObject({ code: '23505' });
  }
});

test('a reservation that may draw more than was reserved can have committed more', async () => {
  const drawn = { committed: 9, over_commit_policy: OVER_COMMIT_POLICY_CODES.DRAW };
  expect(await insert('reservations', drawn)).toBeNull();
});

test('a request id is used once by a method of an account, by any number of further entries', async () => {
  const sql = `insert into entries select * from jsonb_populate_recordset(null::entries, $1::jsonb)`;
  const both = (other: Readonly<Record<string, unknown>>) => {
    const row = validRows['entries'];
    return owner.errorOf(sql, [JSON.stringify([row, { ...row, seq: 2, ...other }])]);
  };
  expect(await both({})).toMatchObject({ code: '23505', constraint: 'entries_request' });
  expect(await both({ method: METHOD_CODES.Commit })).toBeNull();
  expect(await both({ account_id: 'b' })).toBeNull();
  expect(await both({ request_id: '\\x73' })).toBeNull();
  const further = { method: null, fingerprint: null, response: null };
  expect(await both(further)).toBeNull();
});

test('a payment reference is unique within its account', async () => {
  const other = { ...validRows['purchases'], purchase_id: uuid.replace('0', '1') };
  const sql = `insert into purchases
    select * from jsonb_populate_recordset(null::purchases, $1::jsonb)`;
  const rows = JSON.stringify([validRows['purchases'], other]);
  expect(await owner.errorOf(sql, [rows])).toMatchObject({
    code: '23505',
    constraint: 'purchases_payment_reference',
  });
  const elsewhere = JSON.stringify([validRows['purchases'], { ...other, account_id: 'b' }]);
  expect(await owner.errorOf(sql, [elsewhere])).toBeNull();
});

/** What commands write as the owner of the database. */
const OF_THE_OWNER = ['plans', 'plan_versions', 'rate_cards', 'moved_events', 'slot_moves'];

/** Who writes a table; empty: the owner. */
function roleOf(table: string): string {
  if (table.startsWith('archive')) return 'scrip_archiver';
  return OF_THE_OWNER.includes(table) ? '' : 'scrip_runtime';
}
