/** Purchases of the first release are taken along, with what their entries know of them. */
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { connectAsOwner } from '../../src/pg/migrate.ts';
import { createDatabase } from '../postgres.ts';

test('a purchase made before 0005 keeps who made it, under which request and labels', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const owner = new pg.Client(databaseUrl);
  await owner.connect();
  const orm = await connectAsOwner(databaseUrl);
  try {
    // As it was: everything of this database is thrown away with its schema.
    await owner.query('drop schema public cascade; create schema public');
    await orm.migrator.up({ to: '0002-events' });
    await owner.query(`
      insert into purchases values ('a', '01900000-0000-7000-8000-000000000000', 'starter', 100, 'USD',
        19, 'PAID', 'order-1', 2, now(), now());
      insert into entries values ('a', 7, 'PURCHASE', now(), '[]', 100, 100, 0, 0, null, 2, null, '[]',
        null, false, 'shop', 'request-1', 'order-1', '{"team": "a"}', '', '', '\\x00')`);
    await orm.migrator.up();
    const { rows } = await owner.query('select * from purchases');
    expect(rows).toMatchObject([
      {
        method: 'REFERENCE',
        payment_reference: 'order-1',
        caller: 'shop',
        request_id: 'request-1',
        labels: { team: 'a' },
        title: 'starter',
        dispute_state: 'NONE',
        credits_clawed_back: '0',
        next_check_at: null,
      },
    ]);
  } finally {
    await orm.close();
    await owner.end();
  }
});
