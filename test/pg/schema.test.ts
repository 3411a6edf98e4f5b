/** The schema that the migrations make: what the entities say, and what the ledger relies on. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connectAsOwner, migrate } from '../../src/pg/migrate.ts';
import { entities } from '../../src/store/tables/index.ts';
import { createDatabase } from '../postgres.ts';

let databaseUrl: string;
/** A session of the owner, whose every test is rolled back. */
let owner: pg.Client;

beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  owner = new pg.Client(databaseUrl);
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
});

async function column(sql: string): Promise<readonly unknown[]> {
  const { rows } = await owner.query({ text: sql, rowMode: 'array' });
  return rows.map(([value]) => value);
}

/** The error of a statement, as it is for the role. */
async function errorOf(sql: string, values: unknown[] = [], role = ''): Promise<unknown> {
  await owner.query('begin');
  try {
    if (role) await owner.query(`set local role ${role}`);
    await owner.query(sql, values);
    return null;
  } catch (error) {
    return error;
  } finally {
    await owner.query('rollback');
  }
}

/** Tables of the service, without the migrator's own. */
const TABLES = `select table_name::text from information_schema.tables
  where table_schema = 'public' and table_name <> 'schema_migrations' order by 1`;

describe('the migrations', () => {
  test('make what the entities say: MikroORM would change nothing', async () => {
    const orm = await connectAsOwner(databaseUrl, entities);
    try {
      const sql = await orm.schema.getUpdateSchemaSQL();
      expect(sql.replace(`set names 'utf8';`, '').trim()).toBe('');
    } finally {
      await orm.close();
    }
  });

  test('have nothing to do a second time', async () => {
    const said = `select md5(string_agg(c::text, '' order by c::text))
      from information_schema.columns c where table_schema = 'public'`;
    const before = await column(said);
    expect(await migrate(databaseUrl)).toEqual([]);
    expect(await column(said)).toEqual(before);
  });
});

describe('the tables can be distributed by account as they are:', () => {
  const ACCOUNT_TABLES = `select table_name::text from information_schema.columns
    where table_schema = 'public' and column_name = 'account_id' order by 1`;

  test('only plans, their rate cards and the cursors of events belong to no account', async () => {
    const accountTables = await column(ACCOUNT_TABLES);
    const others = (await column(TABLES)).filter((table) => !accountTables.includes(table));
    expect(others).toEqual(['event_cursors', 'plans', 'rate_cards']);
  });

  test('every primary and unique key of an account table has account_id in it', async () => {
    const keys = `
      select i.indexrelid::regclass || ': ' || string_agg(a.attname, ', ' order by a.attnum)
      from pg_index i
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
      where i.indisunique and i.indrelid::regclass::text in (${ACCOUNT_TABLES})
      group by i.indexrelid`;
    const unique = await column(keys);
    expect(unique.length).toBeGreaterThanOrEqual((await column(ACCOUNT_TABLES)).length);
    for (const key of unique) expect(key).toMatch(/\baccount_id\b/);
  });

  test('every account table has a primary key', async () => {
    const withKey = `select conrelid::regclass::text from pg_constraint
      where contype = 'p' and connamespace = 'public'::regnamespace order by 1`;
    expect(await column(withKey)).toEqual(expect.arrayContaining([...(await column(TABLES))]));
  });

  test('no column is filled by a sequence, no trigger and no foreign key spans rows', async () => {
    const sequences = `select c.relname::text from pg_class c
      left join pg_depend d on d.objid = c.oid and d.deptype in ('a', 'i')
      where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace
        and d.refobjid is distinct from to_regclass('schema_migrations')`;
    expect(await column(sequences)).toEqual([]);
    expect(await column('select tgname::text from pg_trigger where not tgisinternal')).toEqual([]);
    const foreignKeys = `select conname::text from pg_constraint where contype = 'f'`;
    expect(await column(foreignKeys)).toEqual([]);
    const defaults = `select table_name || '.' || column_name from information_schema.columns
      where table_schema = 'public' and table_name <> 'schema_migrations'
        and (column_default is not null or is_identity = 'YES' or is_generated = 'ALWAYS')`;
    expect(await column(defaults)).toEqual([]);
  });
});

describe('the role the service works under', () => {
  const DENIED = { code: '42501' };
  const columnOf: Readonly<Record<string, string>> = {
    entries: 'credits',
    requests: 'response',
    rate_cards: 'content',
    statements: 'total',
  };

  test.each(Object.keys(columnOf))('can only add to %s', async (table) => {
    const name = columnOf[table] ?? '';
    for (const sql of [
      `update ${table} set ${name} = ${name}`,
      `delete from ${table}`,
      `truncate ${table}`,
      `select from ${table} for update`,
    ])
      expect(await errorOf(sql, [], 'scrip_runtime'), sql).toMatchObject(DENIED);
    expect(await errorOf(`select count(*) from ${table}`, [], 'scrip_runtime')).toBeNull();
  });

  test('can add events and give them a position, and change nothing else of them', async () => {
    for (const name of ['account_id', 'event_id', 'seq', 'type', 'at', 'data', 'trace_id'])
      expect(
        await errorOf(`update events set ${name} = ${name}`, [], 'scrip_runtime'),
        name,
      ).toMatchObject(DENIED);
    const give = 'update events set position = 1 where position is null';
    expect(await errorOf(give, [], 'scrip_runtime')).toBeNull();
  });

  test('removes nothing and changes no table', async () => {
    const tables = await column(TABLES);
    expect(tables.length).toBeGreaterThan(8);
    for (const table of tables)
      for (const sql of [
        `delete from ${table}`,
        `truncate ${table}`,
        `drop table ${table}`,
        `alter table ${table} add column x int`,
        `create trigger t before insert on ${table} execute function suppress_redundant_updates_trigger()`,
      ])
        expect(await errorOf(sql, [], 'scrip_runtime'), sql).toMatchObject(DENIED);
    expect(await errorOf('create table x (y int)', [], 'scrip_runtime')).toMatchObject(DENIED);
  });

  test('has exactly the privileges that it needs', async () => {
    const { rows } = await owner.query<{ table_name: string; privileges: string }>(`
      select table_name, string_agg(privilege_type, ', ' order by privilege_type) as privileges
      from information_schema.role_table_grants
      where grantee = 'scrip_runtime' and table_name <> 'schema_migrations' group by table_name`);
    const changing = 'INSERT, SELECT, UPDATE';
    expect(Object.fromEntries(rows.map((row) => [row.table_name, row.privileges]))).toEqual({
      accounts: changing,
      custom_packs: changing,
      deliveries: changing,
      entries: 'INSERT, SELECT',
      event_cursors: 'SELECT, UPDATE',
      events: 'INSERT, SELECT',
      grants: changing,
      plans: changing,
      purchases: changing,
      rate_cards: 'INSERT, SELECT',
      refunded: changing,
      requests: 'INSERT, SELECT',
      reservations: changing,
      statements: 'INSERT, SELECT',
    });
  });
});

describe('the database refuses what the rules must never ask for:', () => {
  const instant = '2026-11-21T12:00:00Z';
  const uuid = '01900000-0000-7000-8000-000000000000';

  /** A sound row of each table; the tests below break one thing about it. */
  const sound: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    rate_cards: {
      plan_id: 'p',
      version: 1,
      content: {},
      created_at: instant,
      effective_at: instant,
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
      low_balance_threshold: 0,
      pause_floor: 0,
      top_up_due_at: instant,
      remaining: 10,
      reserved: 4,
      overage: 3,
      overage_reserved: 2,
      overage_limit: 5,
      low_balance: false,
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
      state: 'OPEN',
      open: true,
      created_at: instant,
    },
    reservations: {
      account_id: 'a',
      reservation_id: uuid,
      state: 'ACTIVE',
      credits: 10,
      held: 5,
      committed: 3,
      returned: 2,
      allocations: [[1, 5]],
      expires_at: instant,
      created_at: instant,
      over_commit_policy: 'REJECT',
      rate_card_version: 1,
      reference: '',
      labels: {},
      late: false,
      plan_id: 'p',
    },
    entries: {
      account_id: 'a',
      seq: 1,
      kind: 'CHARGE',
      at: instant,
      moves: [],
      credits: 1,
      remaining_after: 1,
      reserved_after: 1,
      overage_after: 0,
      usages: [],
      late: false,
      caller: 'test',
      request_id: 'r',
      reference: '',
      labels: {},
      trace_id: '',
      span_id: '',
      hash: '\\x',
    },
    purchases: {
      account_id: 'a',
      purchase_id: uuid,
      pack_id: 'starter',
      credits: 100,
      currency: 'USD',
      amount: '19.00',
      title: 'Starter',
      method: 'REFERENCE',
      state: 'PAID',
      payment_reference: 'order-1',
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
      looks: 0,
    },
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
    errorOf(
      `insert into ${table} select * from jsonb_populate_record(null::${table}, $1::jsonb)`,
      [JSON.stringify({ ...sound[table], ...changes })],
      'scrip_runtime',
    );

  /** CHECKs by name, and for each what it refuses. */
  const violations: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
    rate_cards_version_check: [{ version: 0 }],
    accounts_state_check: [{ state: 'GONE' }],
    accounts_seq_check: [{ seq: -1 }],
    accounts_grant_count_check: [{ grant_count: -1 }],
    accounts_event_count_check: [{ event_count: -1 }],
    accounts_low_balance_threshold_check: [{ low_balance_threshold: -1 }],
    accounts_pause_floor_check: [{ pause_floor: -1 }],
    accounts_available_check: [{ reserved: 11 }, { reserved: -1 }, { remaining: -1, reserved: -1 }],
    accounts_overage_check: [
      { overage: 4 },
      { overage_reserved: 3 },
      { overage: -1 },
      { overage_reserved: -1 },
      { overage_limit: 4 },
    ],
    accounts_version_check: [{ version: 0 }],
    grants_amount_check: [{ amount: 0, remaining: 0, reserved: 0, open: false }],
    // Below zero it breaks grants_reserved_check first: reserved is more than remaining then.
    grants_remaining_check: [{ remaining: 11 }],
    grants_reserved_check: [{ reserved: 9 }, { reserved: -1 }],
    grants_priority_check: [{ priority: -1 }, { priority: 101 }],
    grants_expiry_check: [{ expires_at: instant }],
    grants_category_check: [{ category: 'FREE' }],
    grants_state_check: [{ state: 'GONE' }],
    grants_operations_check: [{ operations: [] }],
    grants_open_check: [{ open: false }, { remaining: 0, reserved: 0 }],
    reservations_state_check: [{ state: 'GONE', ended_at: instant, held: 0, returned: 7 }],
    reservations_credits_check: [
      { credits: 8, held: 5, committed: 5, returned: -2 },
      { credits: 0, held: -5 },
      { held: 8, committed: -1, returned: 3 },
    ],
    reservations_policy_check: [{ over_commit_policy: 'MAYBE' }],
    reservations_whole_check: [{ held: 6 }, { committed: 2 }, { returned: 0 }, { credits: 11 }],
    reservations_end_check: [
      { ended_at: instant },
      { state: 'RELEASED' },
      { state: 'RELEASED', ended_at: instant },
    ],
    entries_seq_check: [{ seq: 0 }],
    entries_credits_check: [{ credits: -1 }],
    entries_after_check: [{ remaining_after: -1 }, { reserved_after: -1 }, { overage_after: -1 }],
    entries_kind_check: [{ kind: 'EDIT' }],
    entries_plan_change_check: [
      { kind: 'PLAN_CHANGE', plan_id: 'q' },
      { kind: 'PLAN_CHANGE', previous_plan_id: 'p' },
      { plan_id: 'q', previous_plan_id: 'p' },
    ],
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
      { method: 'CASH', payment_reference: null },
      { payment_reference: null },
      { method: 'CHECKOUT', payment_reference: null },
      { method: 'CHECKOUT', payment_reference: null, success_url: 'https://x' },
      { method: 'CHECKOUT', success_url: 'https://x', cancel_url: 'https://x' },
      { method: 'TOP_UP', payment_reference: null, customer: 'cus_1' },
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
    purchases_dispute_check: [{ dispute_state: 'MAYBE' }],
    purchases_next_check_check: [
      { next_check_at: instant },
      { state: 'FAILED', grant_id: null, paid_at: null, next_check_at: instant },
      { state: 'PENDING', grant_id: null, paid_at: null },
    ],
    custom_packs_credits_check: [{ credits: 0 }],
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
  };

  test.each(Object.keys(sound))('a sound row of %s is taken', async (table) => {
    expect(await insert(table, {})).toBeNull();
  });

  test.each(
    Object.entries(violations).flatMap(([name, rows]) =>
      rows.map((changes) => [name, changes] as const),
    ),
  )('%s refuses %o', async (name, changes) => {
    const table = Object.keys(sound).find((candidate) => name.startsWith(candidate)) ?? '';
    expect(await insert(table, changes)).toMatchObject({ code: '23514', constraint: name });
  });

  test('no CHECK is without a violation above', async () => {
    const checks = `select conname::text from pg_constraint
      where contype = 'c' and connamespace = 'public'::regnamespace order by 1`;
    expect(await column(checks)).toEqual(Object.keys(violations).sort());
    for (const [name, rows] of Object.entries(violations))
      expect(rows.length, name).toBeGreaterThan(0);
  });

  test('a second row under one key is refused', async () => {
    for (const [table, row] of Object.entries(sound)) {
      const twice = [1, 2].map(
        () => `select * from jsonb_populate_record(null::${table}, $1::jsonb)`,
      );
      const sql = `insert into ${table} ${twice.join(' union all ')}`;
      expect(await errorOf(sql, [JSON.stringify(row)]), table).toMatchObject({ code: '23505' });
    }
  });

  test('a payment reference buys once per account', async () => {
    const other = { ...sound['purchases'], purchase_id: uuid.replace('0', '1') };
    const sql = `insert into purchases
      select * from jsonb_populate_recordset(null::purchases, $1::jsonb)`;
    const rows = JSON.stringify([sound['purchases'], other]);
    expect(await errorOf(sql, [rows])).toMatchObject({
      code: '23505',
      constraint: 'purchases_payment_reference',
    });
    const elsewhere = JSON.stringify([sound['purchases'], { ...other, account_id: 'b' }]);
    expect(await errorOf(sql, [elsewhere])).toBeNull();
  });
});
