/** The role that the service works under lacks the privileges to rewrite history. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type OwnerSession, startOwnerSession, TABLES } from './owner-session.ts';

let owner: OwnerSession;
beforeAll(async () => {
  owner = await startOwnerSession(inject('postgresUrl'));
});
afterAll(() => owner.end());

const DENIED = { code: '42501' };
const columnOf: Readonly<Record<string, string>> = {
  entries: 'credits',
  plan_versions: 'terms',
  rate_cards: 'content',
  statements: 'total',
};

test.each(Object.keys(columnOf))(
  'it can insert into %s, and neither update nor delete there',
  async (table) => {
    const name = columnOf[table] ?? '';
    for (const sql of [
      `update ${table} set ${name} = ${name}`,
      `delete from ${table}`,
      `truncate ${table}`,
      `select from ${table} for update`,
    ])
      expect(await owner.errorOf(sql, [], 'scrip_runtime'), sql).toMatchObject(DENIED);
    expect(await owner.errorOf(`select count(*) from ${table}`, [], 'scrip_runtime')).toBeNull();
  },
);

test('it can update the position of an event, and no other column of it', async () => {
  for (const name of ['account_id', 'event_id', 'seq', 'type', 'at', 'data', 'trace_id'])
    expect(
      await owner.errorOf(`update events set ${name} = ${name}`, [], 'scrip_runtime'),
      name,
    ).toMatchObject(DENIED);
  const assign = 'update events set position = 1 where position is null';
  expect(await owner.errorOf(assign, [], 'scrip_runtime')).toBeNull();
});

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

test('it deletes no row but of reservations, and changes no table', async () => {
  const tables = await owner.column(TABLES);
  expect(tables.length).toBeGreaterThan(8);
  for (const table of tables)
    for (const sql of [
      ...(table === 'reservations' ? [] : [`delete from ${table}`]),
      `truncate ${table}`,
      `drop table ${table}`,
      `alter table ${table} add column x int`,
      `create trigger t before insert on ${table} execute function suppress_redundant_updates_trigger()`,
    ])
      expect(await owner.errorOf(sql, [], 'scrip_runtime'), sql).toMatchObject(DENIED);
  expect(await owner.errorOf('delete from reservations', [], 'scrip_runtime')).toBeNull();
  expect(await owner.errorOf('create table x (y int)', [], 'scrip_runtime')).toMatchObject(DENIED);
});
