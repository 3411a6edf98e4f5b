/** Migration 0005 on a database that holds a purchase. */
import { expect, inject, test } from 'vitest';
import { migrate } from '../../../src/pg/migrate.ts';
import { execute } from '../../postgres.ts';
import { createDatabaseAt } from './old-database.ts';

test('a purchase gets the caller, request id and labels of its entry', async () => {
  const databaseUrl = await createDatabaseAt(inject('postgresUrl'), '0002-events');
  await execute(
    databaseUrl,
    `insert into purchases values ('a', '01900000-0000-7000-8000-000000000000', 'starter', 100, 'USD',
       19, 'PAID', 'order-1', 2, now(), now());
     insert into entries values ('a', 7, 'PURCHASE', now(), '[]', 100, 100, 0, 0, null, 2, null, '[]',
       null, false, 'shop', 'request-1', 'order-1', '{"team": "a"}', '', '', '\\x00')`,
  );
  await migrate(databaseUrl);
  expect(await execute(databaseUrl, 'select * from purchases')).toMatchObject([
    {
      method: 'REFERENCE',
      payment_reference: 'order-1',
      payment_reference_key: 'order-1',
      caller: 'shop',
      request_id: 'request-1',
      labels: { team: 'a' },
      title: 'starter',
      dispute_state: 'NONE',
      credits_clawed_back: '0',
      next_check_at: null,
    },
  ]);
});
