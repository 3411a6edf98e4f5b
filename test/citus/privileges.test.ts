/** The server that has a cell refuses the service's role what any PostgreSQL refuses it. */
import { beforeAll, expect, inject, test } from 'vitest';
import { createDatabase, execute } from '../postgres.ts';

let url: string;
beforeAll(async () => {
  const owner = new URL(await createDatabase(inject('postgresUrl')));
  const options = `${owner.searchParams.get('options')} -c role=scrip_runtime`;
  owner.search = `?options=${encodeURIComponent(options)}`;
  url = owner.href;
});

test('the role of the service reads and writes', async () => {
  expect(await execute(url, 'select account_id from accounts')).toEqual([]);
  expect(await execute(url, `update accounts set state = 'CLOSED' where account_id = ''`)).toEqual(
    [],
  );
});

test.each([
  'delete from entries',
  'truncate entries',
  'update entries set seq = 1',
  `update accounts set account_id = 'other'`,
  'delete from accounts',
])('it may not: %s', async (sql) => {
  await expect(execute(url, sql)).rejects.toMatchObject({ code: '42501' });
});

test('the function that runs with the privileges of its owner is for this role alone', async () => {
  expect(
    await execute(
      url,
      `select grantee::regrole::text from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
       where prosecdef and pronamespace = current_schema::regnamespace and grantee <> proowner`,
    ),
  ).toEqual([{ grantee: 'scrip_runtime' }]);
});
