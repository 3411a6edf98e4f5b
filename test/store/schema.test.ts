/** The migrations make what the definitions in src/store/tables say, and what the ledger relies on. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connectAsOwner, migrate } from '../../src/pg/migrate.ts';
import { entities } from '../../src/store/tables/index.ts';
import { VIEWS } from '../../src/store/tables/views.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { type OwnerSession, startOwnerSession, TABLES } from './owner-session.ts';

let owner: OwnerSession;
beforeAll(async () => {
  owner = await startOwnerSession(inject('postgresUrl'));
});
afterAll(() => owner.end());

describe('a migrated database', () => {
  test('is what the entities say: MikroORM would change nothing', async () => {
    const orm = await connectAsOwner(owner.databaseUrl, entities);
    try {
      const sql = await orm.schema.getUpdateSchemaSQL();
      // No entity is a view or function: MikroORM would drop those of the schema. See the next test.
      const drop = /^drop (view|function) if exists "(\w+)".*;$/gm;
      const [views, functions] = ['view', 'function'].map((type) =>
        [...VIEWS.matchAll(new RegExp(`^create ${type} (\\w+)`, 'gm'))].map(([, name]) => name),
      );
      const changes = sql.replace(drop, (statement, type, name) =>
        (type === 'view' ? views : functions)?.includes(name) ? '' : statement,
      );
      expect(changes.replace(`set names 'utf8';`, '').trim()).toBe('');
    } finally {
      await orm.close();
    }
  });

  test('is what docs/schema.sql makes', async () => {
    const page = await readFile(new URL('../../docs/schema.sql', import.meta.url), 'utf8');
    const databaseUrl = await createEmptyDatabase(inject('postgresUrl'));
    await execute(databaseUrl, page);
    const migrated = await describeSchema(owner.databaseUrl);
    expect(migrated).toContain('accounts.account_id text t');
    expect(migrated).toContain('UPDATE on events.position to scrip_runtime');
    expect(migrated).toContain('SELECT on history to scrip_runtime');
    expect(migrated).toContain('entries.content statistics 0');
    expect(migrated).toContainEqual(expect.stringContaining('FUNCTION public.erase_entry('));
    expect(await describeSchema(databaseUrl)).toEqual(migrated);
  });

  test('begins with the baseline, which has the cursors of the outbox', async () => {
    const databaseUrl = await createEmptyDatabase(inject('postgresUrl'));
    expect((await migrate(databaseUrl))[0]).toBe('0001-baseline');
    expect(await execute(databaseUrl, 'select * from event_cursors order by name')).toEqual([
      { name: 'assigned', position: '0' },
      { name: 'enqueued', position: null },
    ]);
    expect(await describeSchema(databaseUrl)).toEqual(await describeSchema(owner.databaseUrl));
  });

  test('is not changed by a second run of the migrations', async () => {
    const before = await describeSchema(owner.databaseUrl);
    expect(await migrate(owner.databaseUrl)).toEqual([]);
    expect(await describeSchema(owner.databaseUrl)).toEqual(before);
  });
});

/** Columns with their statistics, constraints, indexes, views, functions, storage parameters and privileges, in words of PostgreSQL. */
async function describeSchema(databaseUrl: string): Promise<readonly unknown[]> {
  const rows = await execute(
    databaseUrl,
    `with tables as (
       select c.oid, c.relname, c.reloptions from pg_class c
       where relkind = 'r' and relnamespace = 'public'::regnamespace
         and relname <> 'schema_migrations'
     ), columns as (
       select t.relname, a.attname, a.attacl, a.attnotnull,
         format_type(a.atttypid, a.atttypmod) as type, a.attstattarget
       from tables t join pg_attribute a on a.attrelid = t.oid
       where a.attnum > 0 and not a.attisdropped
     )
     select format('%s.%s %s %s', relname, attname, type, attnotnull) as line from columns
     union all
     select format('%s.%s statistics %s', relname, attname, attstattarget) from columns
     where attstattarget is not null
     union all
     select format('%s %s: %s', t.relname, conname, pg_get_constraintdef(con.oid))
     from tables t join pg_constraint con on con.conrelid = t.oid where contype <> 'n'
     union all
     select pg_get_indexdef(indexrelid) from tables t join pg_index on indrelid = t.oid
     union all
     select format('%s: %s', relname, pg_get_viewdef(oid)) from pg_class
     where relkind = 'v' and relnamespace = 'public'::regnamespace
     union all
     select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
     union all
     select format('%s with %s', relname, reloptions) from tables where reloptions is not null
     union all
     select format('%s on %s to %s', p.privilege_type, relname, p.grantee::regrole)
     from pg_class, aclexplode(relacl) p
     where relkind in ('r', 'v') and relnamespace = 'public'::regnamespace
       and relname <> 'schema_migrations' and p.grantee = 'scrip_runtime'::regrole
     union all
     select format('%s on %s.%s to %s', p.privilege_type, relname, attname, p.grantee::regrole)
     from columns, aclexplode(attacl) p
     order by line`,
  );
  return rows.map(({ line }) => line);
}

describe('the tables can be distributed by account_id:', () => {
  const ACCOUNT_TABLES = `select table_name::text from information_schema.columns
    where table_schema = 'public' and column_name = 'account_id'
      and table_name in (${TABLES}) order by 1`;

  test('only the clock, quotas of callers, the map of cells, files of the archive, plans with their versions and rate cards, the cursors of events, moves of slots, restores and audits belong to no account', async () => {
    const accountTables = await owner.column(ACCOUNT_TABLES);
    const others = (await owner.column(TABLES)).filter((table) => !accountTables.includes(table));
    expect(others).toEqual([
      'archive_files',
      'caller_quotas',
      'cell_replicas',
      'cells',
      'clock_acceptances',
      'clock_heartbeats',
      'event_cursors',
      'plan_versions',
      'plans',
      'rate_cards',
      'restores',
      'slot_moves',
      'verify_runs',
    ]);
  });

  test('every primary and unique key of an account table has account_id in it', async () => {
    const keys = `
      select i.indexrelid::regclass || ': ' || string_agg(a.attname, ', ' order by a.attnum)
      from pg_index i
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
      where i.indisunique and i.indrelid::regclass::text in (${ACCOUNT_TABLES})
      group by i.indexrelid`;
    const unique = await owner.column(keys);
    expect(unique.length).toBeGreaterThanOrEqual((await owner.column(ACCOUNT_TABLES)).length);
    for (const key of unique) expect(key).toMatch(/\baccount_id\b/);
  });

  test('every account table has a primary key', async () => {
    const withKey = `select conrelid::regclass::text from pg_constraint
      where contype = 'p' and connamespace = 'public'::regnamespace order by 1`;
    expect(await owner.column(withKey)).toEqual(
      expect.arrayContaining([...(await owner.column(TABLES))]),
    );
  });

  test('no column is filled by a sequence, no trigger and no foreign key spans rows', async () => {
    const sequences = `select c.relname::text from pg_class c
      left join pg_depend d on d.objid = c.oid and d.deptype in ('a', 'i')
      where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace
        and d.refobjid is distinct from to_regclass('schema_migrations')`;
    expect(await owner.column(sequences)).toEqual([]);
    expect(
      await owner.column('select tgname::text from pg_trigger where not tgisinternal'),
    ).toEqual([]);
    const foreignKeys = `select conname::text from pg_constraint where contype = 'f'`;
    expect(await owner.column(foreignKeys)).toEqual([]);
    const defaults = `select table_name || '.' || column_name from information_schema.columns
      where table_schema = 'public' and table_name <> 'schema_migrations'
        and (column_default is not null or is_identity = 'YES' or is_generated = 'ALWAYS')`;
    expect(await owner.column(defaults)).toEqual([]);
  });
});
