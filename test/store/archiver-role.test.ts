/** The role of the archiver: it takes archived entries away, and can change nothing that decides credits. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type OwnerSession, startOwnerSession, TABLES } from './owner-session.ts';

let owner: OwnerSession;
beforeAll(async () => {
  owner = await startOwnerSession(inject('postgresUrl'));
});
afterAll(() => owner.end());

const PRIVILEGES = `
  select format('%s on %s', privilege_type, table_name) from information_schema.table_privileges
  where grantee = 'scrip_archiver' and table_schema = 'public'
  order by 1`;
const COLUMNS = `
  select format('%s.%s', table_name, column_name) from information_schema.column_privileges
  where grantee = 'scrip_archiver' and table_schema = 'public' and privilege_type = 'UPDATE'
  order by 1`;

test('it deletes entries, writes the tables of the archive, and reads what decides what can be archived', async () => {
  expect(await owner.column(PRIVILEGES)).toEqual([
    'DELETE on archived_requests',
    'DELETE on entries',
    'INSERT on archive_files',
    'INSERT on archived_accounts',
    'INSERT on archived_requests',
    'SELECT on accounts',
    'SELECT on archive_files',
    'SELECT on archived_accounts',
    'SELECT on archived_requests',
    'SELECT on cells',
    'SELECT on entries',
    'SELECT on reservations',
    'SELECT on roll_forward_positions',
    'SELECT on schema_migrations',
    'SELECT on slot_moves',
    'SELECT on statements',
    'SELECT on usage_positions',
  ]);
  expect(await owner.column(COLUMNS)).toEqual([
    'archive_files.finished_at',
    'archived_accounts.at',
    'archived_accounts.requests_seq',
    'archived_accounts.seq',
  ]);
});

test('it can neither write nor change entries, nor delete or change anything else', async () => {
  const tables = (await owner.column(TABLES)) as string[];
  const denied = ['entries', 'accounts', 'grants', 'purchases', 'statements', 'plans'];
  expect(tables).toEqual(expect.arrayContaining(denied));
  for (const sql of [
    ...denied.map((table) => `insert into ${table} default values`),
    'update entries set credits = 0',
    'update accounts set archived_seq = 1',
    'update archived_accounts set key = null',
    'update archive_files set sha256 = $1',
    ...denied.slice(1).map((table) => `delete from ${table}`),
    'delete from archived_accounts',
    'delete from archive_files',
    'truncate entries',
    `select erase_account_data('acme', 1, 0, 1)`,
  ])
    expect(
      await owner.errorOf(sql, sql.includes('$1') ? [Buffer.alloc(0)] : [], 'scrip_archiver'),
      sql,
    ).toMatchObject({ code: '42501' });
});
