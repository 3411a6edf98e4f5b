import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createEmptyDatabase } from '../../postgres.ts';
import { readWal, rowsPerOperation, type Stretch, sumOfRows } from './wal.ts';

let sql: pg.Client;

beforeAll(async () => {
  sql = new pg.Client(await createEmptyDatabase(inject('postgresUrl')));
  await sql.connect();
  await sql.query('create extension pg_walinspect');
  await sql.query('create table notes (id int primary key, text text)');
  await sql.query('create table marks (id int)');
});
afterAll(() => sql.end());

async function position(): Promise<string> {
  const { rows } = await sql.query('select pg_current_wal_insert_lsn()::text as lsn');
  return rows[0].lsn;
}

async function stretchOf(...statements: string[]): Promise<Stretch> {
  const from = await position();
  for (const statement of statements) await sql.query(statement);
  return { from, to: await position() };
}

test('the WAL says which rows were written, those of a changed key apart from HOT updates', async () => {
  const stretch = await stretchOf(
    "insert into notes select n, 'a' from generate_series(1, 10) n",
    "update notes set text = 'b' where id <= 4",
    'update notes set id = id + 100 where id <= 3',
    'delete from notes where id = 5',
    'insert into marks values (1)',
  );
  const { rows, commits } = await readWal(sql, stretch);
  expect(rows).toEqual([
    { table: 'marks', inserted: 1, updated: 0, hot: 0, deleted: 0 },
    { table: 'notes', inserted: 10, updated: 7, hot: 4, deleted: 1 },
  ]);
  // The WAL is that of all databases.
  expect(commits).toBeGreaterThanOrEqual(5);
});

test('a stretch in which nothing was written has no rows', async () => {
  const { rows } = await readWal(sql, await stretchOf('select 1'));
  expect(rows).toEqual([]);
});

test('rows per operation, and their sum over the tables', () => {
  const rows = rowsPerOperation(
    [
      { table: 'accounts', inserted: 0, updated: 8, hot: 6, deleted: 0 },
      { table: 'entries', inserted: 4, updated: 0, hot: 0, deleted: 2 },
    ],
    4,
  );
  expect(rows[0]).toEqual({ table: 'accounts', inserted: 0, updated: 2, hot: 1.5, deleted: 0 });
  expect(sumOfRows(rows)).toEqual({ inserted: 1, updated: 2, hot: 1.5, deleted: 0.5 });
});
