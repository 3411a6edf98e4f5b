/** The role that the service works under lacks the privileges to rewrite history. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type OwnerSession, startOwnerSession, TABLES } from './owner-session.ts';

let owner: OwnerSession;
beforeAll(async () => {
  owner = await startOwnerSession(inject('postgresUrl'));
});
afterAll(() => owner.end());

const DENIED = { code: '42501' };
/** Every column that it may change. A reservation's row goes with its end; all other rows stay. */
const MAY_UPDATE: Readonly<Record<string, readonly string[]>> = {
  accounts: [
    ...['closed_at', 'state', 'suspension', 'plan_id', 'display_name', 'labels'],
    ...['low_balance_levels'],
    ...['pause_floor', 'low_levels', 'auto_top_up', 'top_ups', 'top_up_due_at'],
    ...['statement_due_at', 'statement_plan_id', 'seq', 'grant_count', 'event_count', 'remaining'],
    ...['reserved', 'granted', 'scheduled', 'overage', 'overage_reserved', 'overage_limit'],
    'owed',
    'overage_before',
    ...['events_hash', 'caller_days', 'budgets', 'shadow', 'archived_seq', 'time_zones'],
    ...['allowance_due_at', 'has_limited_grants', 'due_at', 'last_at', 'last_hash', 'version'],
  ],
  grants: [
    'remaining',
    'reserved',
    'priority',
    'expires_at',
    'operations',
    'voided',
    'void_on_return',
    'expired',
    'notice_at',
    'stranded',
    'state',
    'open',
  ],
  reservations: [
    ...['state', 'credits', 'committed', 'returned', 'expires_at', 'late', 'allocations'],
    ...['expired_allocations', 'held_for', 'held_by_operation'],
  ],
  refunded: ['refunded'],
  purchases: [
    ...['state', 'session_id', 'checkout_url', 'session_expires_at', 'payment_intent_id'],
    ...['failure_code', 'grant_id', 'paid_at', 'currency_paid', 'amount_paid', 'amount_refunded'],
    ...['dispute_state', 'decision', 'decided_by', 'decision_reason', 'decided_at'],
    ...['credits_clawed_back', 'credits_unrecovered', 'sync_version', 'next_check_at'],
    'credits_owed',
  ],
  custom_packs: [
    ...['title', 'credits', 'currency', 'amount', 'validity', 'offered_at', 'offered_by'],
    'withdrawn_at',
  ],
  budget_counters: ['used', 'reported_cap'],
  shadow_use: ['since', 'seq', 'since_seq', 'used'],
  shadow_reservations: ['state', 'expires_at', 'job'],
  events: ['position'],
  cell_replicas: ['move_id', 'phase', 'map_version', 'seen_at'],
  caller_quotas: ['day', 'credits'],
  event_cursors: ['position'],
  deliveries: ['state', 'attempts', 'due_at', 'last_attempt_at', 'last_error', 'ended_at'],
  usage_rollups: ['count', 'credits', 'refunded'],
  usage_quantities: ['total'],
  usage_positions: ['seq', 'labels'],
  roll_forward_sums: ['credits', 'amount'],
  roll_forward_positions: ['seq', 'plan_id', 'remaining'],
  clock_heartbeats: ['trusted_at', 'database_at', 'acceptance_id', 'writer'],
};

/** What is published or accepted by commands that run as the owner of the database. */
const READ_ONLY = [
  ...['plans', 'plan_versions', 'rate_cards', 'clock_acceptances', 'event_cursors'],
  ...['cells', 'slot_moves', 'moved_events', 'restores'],
  ...['archive_files', 'archived_accounts', 'archived_requests'],
];

const COLUMNS = `select format('%s.%s', table_name, column_name) from information_schema.columns
  where table_name in (${TABLES}) and table_schema = 'public'`;

test('it can update the columns that the service changes, and no other', async () => {
  const columns = (await owner.column(COLUMNS)) as string[];
  const updatable: string[] = [];
  for (const column of columns) {
    const [table = '', name = ''] = column.split('.');
    const sql = `update ${table} set ${name} = ${name} where false`;
    const error = await owner.errorOf(sql, [], 'scrip_runtime');
    if (error === null) updatable.push(column);
    else expect(error, sql).toMatchObject(DENIED);
  }
  const allowed = Object.entries(MAY_UPDATE).flatMap(([table, names]) =>
    names.map((name) => `${table}.${name}`),
  );
  expect(updatable.sort()).toEqual(allowed.sort());
});

test('it reads every table, and inserts into those that calls of the service write', async () => {
  for (const table of (await owner.column(TABLES)) as string[]) {
    expect(await owner.errorOf(`select count(*) from ${table}`, [], 'scrip_runtime')).toBeNull();
    const insert = `insert into ${table} select * from ${table} where false`;
    const error = await owner.errorOf(insert, [], 'scrip_runtime');
    if (READ_ONLY.includes(table)) expect(error, table).toMatchObject(DENIED);
    else expect(error, table).toBeNull();
  }
});

test.each(['entries', 'statements', 'plans', 'plan_versions', 'rate_cards'])(
  'it locks no row of %s',
  async (table) => {
    const sql = `select from ${table} for update`;
    expect(await owner.errorOf(sql, [], 'scrip_runtime')).toMatchObject(DENIED);
  },
);

test('it reads history through views, and erases nothing from it', async () => {
  const views = ['history', 'history_moves', 'history_usages', 'running_reservations'];
  for (const view of views)
    expect(await owner.errorOf(`select from ${view}`, [], 'scrip_runtime'), view).toBeNull();
  const edit = `update history set caller = caller`;
  expect(await owner.errorOf(edit, [], 'scrip_runtime')).toMatchObject(DENIED);
  const erase = `select erase_entry('a', 1)`;
  expect(await owner.errorOf(erase, [], 'scrip_runtime')).toMatchObject(DENIED);
  expect(await owner.errorOf(erase)).toBeNull();
});

/** Reservations that ended, and what can be made anew from the entries. */
const MAY_DELETE = ['reservations', 'usage_rollups', 'usage_quantities', 'roll_forward_sums'];

test('it deletes no row but of reservations, usage and roll-forwards, and changes no table', async () => {
  const tables = (await owner.column(TABLES)) as string[];
  expect(tables.length).toBeGreaterThan(8);
  for (const table of tables)
    for (const sql of [
      ...(MAY_DELETE.includes(table) ? [] : [`delete from ${table}`]),
      `truncate ${table}`,
      `drop table ${table}`,
      `alter table ${table} add column x int`,
      `create trigger t before insert on ${table} execute function suppress_redundant_updates_trigger()`,
    ])
      expect(await owner.errorOf(sql, [], 'scrip_runtime'), sql).toMatchObject(DENIED);
  for (const table of MAY_DELETE)
    expect(await owner.errorOf(`delete from ${table}`, [], 'scrip_runtime'), table).toBeNull();
  expect(await owner.errorOf('create table x (y int)', [], 'scrip_runtime')).toMatchObject(DENIED);
});

test('it is no administrator, owns nothing, and is in no other role', async () => {
  const [powers] = await owner.column(
    `select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls or rolcanlogin
     from pg_roles where rolname = 'scrip_runtime'`,
  );
  const role = `(select oid from pg_roles where rolname = 'scrip_runtime')`;
  const owned = await owner.column(
    `select relname::text from pg_class where relowner = ${role}
     union all select proname::text from pg_proc where proowner = ${role}
     union all select datname::text from pg_database where datdba = ${role}`,
  );
  const roles = await owner.column(
    `select roleid::regrole::text from pg_auth_members where member = ${role}`,
  );
  expect({ powers, owned, roles }).toEqual({ powers: false, owned: [], roles: [] });
});

test('one function runs with the privileges of its owner: for this role alone, on a fixed search path', async () => {
  const sql = `select format('%s %s', proname, array_to_string(proconfig, ' ')) from pg_proc
    where pronamespace = 'public'::regnamespace and prosecdef`;
  expect(await owner.column(sql)).toEqual(['erase_account_data search_path=public, pg_temp']);
  const grantees = await owner.column(
    `select coalesce(nullif(grantee, 0)::regrole::text, 'public')
     from pg_proc, aclexplode(proacl) where proname = 'erase_account_data' and grantee <> proowner`,
  );
  expect(grantees).toEqual(['scrip_runtime']);
});
