/** A whole ledger in a schema of its own: the tables are where the search path of DATABASE_URL says. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readDatabase } from '../../src/doctor/read-database.ts';
import { migrate, pendingMigrations } from '../../src/pg/migrate.ts';
import { verify } from '../../src/verify/verify.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { startTestService } from '../service.ts';

/** URLs of two schemas of one database. */
let one: string;
let other: string;

beforeAll(async () => {
  const databaseUrl = await createEmptyDatabase(inject('postgresUrl'));
  [one, other] = ['cell_1', 'cell_2'].map((schema) => {
    const url = new URL(databaseUrl);
    url.searchParams.set('options', `-c search_path=${schema}`);
    return url.href;
  }) as [string, string];
  await execute(databaseUrl, 'create schema cell_1; create schema cell_2');
});

let stop = async () => {};
afterAll(() => stop());

test('each is migrated by itself', async () => {
  expect(await migrate(one)).not.toEqual([]);
  expect(await pendingMigrations(other)).not.toEqual([]);
  await migrate(other);
  expect(await pendingMigrations(other)).toEqual([]);
});

test('each gets what a later version adds', async () => {
  await execute(one, `delete from schema_migrations where name = '0017-archiver-reads-moves'`);
  expect(await migrate(one)).toEqual(['0017-archiver-reads-moves']);
  expect(await pendingMigrations(one)).toEqual([]);
});

test('a service works in one, and leaves the other alone', async () => {
  const scrip = await startTestService({ databaseUrl: one });
  stop = scrip.stop;
  const accountId = await scrip.open('perfectparser');
  await scrip.billing.charge({ accountId, requestId: 'charge', credits: 5n });
  expect(await verify(one)).toMatchObject({ ok: true, accounts: 1 });
  expect(await verify(other)).toMatchObject({ ok: true, accounts: 0 });
  expect(
    await execute(one, 'select count(*)::int as tables from pg_tables where schemaname = $1', [
      'public',
    ]),
  ).toEqual([{ tables: 0 }]);
});

test('what runs with the privileges of the owner names its own schema, whatever the search path of its caller', async () => {
  for (const [url, schema] of [
    [one, 'cell_1'],
    [other, 'cell_2'],
  ] as const)
    expect(
      await execute(
        url,
        `select proconfig from pg_proc where prosecdef and pronamespace = current_schema::regnamespace`,
      ),
    ).toEqual([{ proconfig: [`search_path=${schema}, pg_temp`] }]);
});

test('the doctor examines the schema that it is shown', async () => {
  expect((await readDatabase(one, false)).schema).toMatchObject({ missing: [], plans: 3 });
  expect((await readDatabase(other, false)).schema).toMatchObject({ missing: [], plans: 0 });
});
