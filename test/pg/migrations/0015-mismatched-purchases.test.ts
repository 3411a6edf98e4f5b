/** Migration 0015 on a database with purchases in every state that there was. */
import { expect, inject, test } from 'vitest';
import { migrate } from '../../../src/pg/migrate.ts';
import { execute } from '../../postgres.ts';
import { createDatabaseAt } from './old-database.ts';

const insert = (id: number, method: string, state: string, more: Record<string, unknown> = {}) => ({
  account_id: 'a',
  purchase_id: `01900000-0000-7000-8000-00000000000${id}`,
  pack_id: 'starter',
  title: 'Starter',
  quantity: 1,
  credits: 100,
  currency: 'EUR',
  amount: '19.00',
  method,
  state,
  caller: 'test',
  request_id: `r${id}`,
  labels: {},
  failure_code: '',
  created_at: '2026-11-21T12:00:00Z',
  amount_refunded: '0',
  dispute_state: 'NONE',
  credits_clawed_back: 0,
  credits_unrecovered: 0,
  looks: 0,
  ...(method === 'REFERENCE'
    ? { payment_reference: `o${id}`, payment_reference_key: `o${id}` }
    : { success_url: 'https://x', cancel_url: 'https://x' }),
  ...(state === 'PAID' && { grant_id: id, paid_at: '2026-11-21T12:00:00Z' }),
  ...(state === 'PENDING' && { next_check_at: '2026-11-21T12:00:00Z' }),
  ...more,
});

test('what was paid at the provider is the price, as far as anybody knows', async () => {
  const databaseUrl = await createDatabaseAt(inject('postgresUrl'), '0014-top-up-packs');
  const rows = [
    insert(1, 'REFERENCE', 'PAID'),
    insert(2, 'CHECKOUT', 'PAID', { amount_refunded: '9.50', credits_clawed_back: 50 }),
    insert(3, 'CHECKOUT', 'PENDING'),
    insert(4, 'CHECKOUT', 'FAILED'),
    insert(5, 'CHECKOUT', 'EXPIRED'),
  ];
  await execute(
    databaseUrl,
    'insert into purchases select * from jsonb_populate_recordset(null::purchases, $1::jsonb)',
    [JSON.stringify(rows)],
  );
  await migrate(databaseUrl);
  const after = await execute(
    databaseUrl,
    `select request_id, currency_paid, amount_paid::float8 as amount_paid, decision from purchases
     order by purchase_id`,
  );
  const unpaid = { currency_paid: null, amount_paid: null, decision: null };
  expect(after).toEqual([
    { request_id: 'r1', ...unpaid },
    { request_id: 'r2', currency_paid: 'EUR', amount_paid: 19, decision: null },
    { request_id: 'r3', ...unpaid },
    { request_id: 'r4', ...unpaid },
    { request_id: 'r5', ...unpaid },
  ]);
});
