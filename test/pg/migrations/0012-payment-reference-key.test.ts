/** Migration 0012 on a database whose purchases have references that are the same. */
import { expect, inject, test } from 'vitest';
import { migrate } from '../../../src/pg/migrate.ts';
import { execute } from '../../postgres.ts';
import { createDatabaseAt } from './old-database.ts';

test('references get their keys; the first of several that are the same gets the key of all', async () => {
  const databaseUrl = await createDatabaseAt(inject('postgresUrl'), '0002-events');
  const purchase = (account: string, number: number, reference: string) =>
    `('${account}', '01900000-0000-7000-8000-00000000000${number}', 'starter', 100, 'USD', 19, 'PAID',
      '${reference}', ${number}, now(), now())`;
  await execute(
    databaseUrl,
    `insert into purchases values ${purchase('a', 1, 'Order 1')}, ${purchase('a', 2, ' order 1')},
       ${purchase('a', 3, 'order-2')}, ${purchase('b', 4, 'ORDER1')}`,
  );
  await migrate(databaseUrl);
  const rows = await execute(
    databaseUrl,
    'select payment_reference_key as key from purchases order by purchase_id',
  );
  expect(rows.map(({ key }) => key)).toEqual([
    'order1',
    '01900000-0000-7000-8000-000000000002 order1',
    'order-2',
    'order1',
  ]);
});
