/** Migration 0003 on a database that holds grants and a reservation. */
import { randomUUID } from 'node:crypto';
import { beforeAll, expect, inject, test } from 'vitest';
import { migrate } from '../../../src/pg/migrate.ts';
import { execute } from '../../postgres.ts';
import { createDatabaseAt } from './old-database.ts';

let databaseUrl: string;

beforeAll(async () => {
  databaseUrl = await createDatabaseAt(inject('postgresUrl'), '0002-events');
  await execute(
    databaseUrl,
    `insert into accounts
     select id, 'p', 'OPEN', '', '{}', '2026-01-01', null, 1, 1, 5, 0, 0, 0, 0, null,
       due::timestamptz, '2026-01-01', '', false
     from (values ('expiring', '2026-12-31'), ('sooner', '2026-03-01'), ('never', null)) a(id, due)`,
  );
  await execute(
    databaseUrl,
    `insert into grants
     select id, grant_id, 5, remaining, 0, category, 50, '2026-01-01', expiry::timestamptz,
       'OPERATOR', '', case when remaining > 0 then 'OPEN' else 'SPENT' end, remaining > 0,
       '2026-01-01'
     from (values
       ('expiring', 1, 5, 'PAID', '2026-12-31'), ('expiring', 2, 0, 'PAID', '2026-06-01'),
       ('expiring', 3, 5, 'ALLOWANCE', '2026-02-01'), ('sooner', 1, 5, 'PROMOTIONAL', '2026-01-05'),
       ('never', 1, 5, 'PAID', null)) g(id, grant_id, remaining, category, expiry)`,
  );
  await execute(
    databaseUrl,
    `insert into reservations values ('never', $1, 'ACTIVE', 5, 5, 0, 0, '[[1, 5]]',
       '2026-02-01', '2026-01-01', null, 'REJECT', 1, '', '{}', false)`,
    [randomUUID()],
  );
  await migrate(databaseUrl);
});

test('notice of an open grant is due 7 days before it expires, but not before it is effective', async () => {
  const rows = await execute(
    databaseUrl,
    `select account_id, grant_id::int, notice_at, operations from grants order by 1, 2`,
  );
  const none = { notice_at: null, operations: null };
  expect(rows).toEqual([
    { account_id: 'expiring', grant_id: 1, ...none, notice_at: new Date('2026-12-24') },
    { account_id: 'expiring', grant_id: 2, ...none },
    { account_id: 'expiring', grant_id: 3, ...none },
    { account_id: 'never', grant_id: 1, ...none },
    { account_id: 'sooner', grant_id: 1, ...none, notice_at: new Date('2026-01-01') },
  ]);
});

test('an account is due when its first notice is due, if that is sooner than before', async () => {
  expect(await execute(databaseUrl, 'select account_id, due_at from accounts order by 1')).toEqual([
    { account_id: 'expiring', due_at: new Date('2026-12-24') },
    { account_id: 'never', due_at: null },
    { account_id: 'sooner', due_at: new Date('2026-01-01') },
  ]);
});

test('an active reservation names no operations that it is held for', async () => {
  expect(await execute(databaseUrl, 'select held_for from reservations')).toEqual([
    { held_for: null },
  ]);
});
