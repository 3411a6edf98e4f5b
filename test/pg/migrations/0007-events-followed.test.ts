/** Migration 0007 on a database that holds events without a seq. */
import { expect, inject, test } from 'vitest';
import { assignPositions } from '../../../src/events/outbox.ts';
import { migrate } from '../../../src/pg/migrate.ts';
import { connect } from '../../../src/pg/orm.ts';
import { findEvents } from '../../../src/queries/events.ts';
import { entities } from '../../../src/store/tables/index.ts';
import { verify } from '../../../src/verify/verify.ts';
import { execute } from '../../postgres.ts';
import { createDatabaseAt } from './old-database.ts';

test('events get a seq in the order of their time, and accounts their number of events', async () => {
  const databaseUrl = await createDatabaseAt(inject('postgresUrl'), '0002-events');
  for (const accountId of ['a', 'b'])
    await execute(
      databaseUrl,
      `insert into accounts (account_id, plan_id, state, display_name, labels, opened_at, seq,
         grant_count, remaining, reserved, overage, overage_reserved, overage_limit, low_balance,
         last_at, last_hash)
       values ($1, 'verts', 'OPEN', '', '{}', '2026-01-01', 0, 0, 0, 0, 0, 0, 0, $1 = 'a',
         '2026-01-01', '')`,
      [accountId],
    );
  for (const [type, at] of [
    ['balance.low', '2026-01-03'],
    ['balance.low', '2026-01-01'],
    ['balance.recovered', '2026-01-02'],
  ])
    await execute(
      databaseUrl,
      `insert into events (account_id, event_id, type, at, data, trace_id, span_id)
       values ('a', gen_random_uuid(), $1, $2, $3, '', '')`,
      [type, at, { available: type === 'balance.low' ? '1' : '9', threshold: '5' }],
    );
  expect(await migrate(databaseUrl)).toContain('0007-events-followed');

  const counts = 'select account_id, event_count::int as count from accounts order by 1';
  expect(await execute(databaseUrl, counts)).toEqual([
    { account_id: 'a', count: 3 },
    { account_id: 'b', count: 0 },
  ]);
  const orm = await connect(databaseUrl, entities, 2, 10_000);
  const em = orm.em.fork();
  expect(await assignPositions(em, 10)).toEqual({ newest: 3n, count: 3 });
  const events = await findEvents(em, 0n, 3n, { types: [], accountId: 'a' }, 10);
  await orm.close();
  expect(events.map(({ seq, position, type }) => [seq, position, type])).toEqual([
    [1n, 1n, 'balance.low'],
    [2n, 2n, 'balance.recovered'],
    [3n, 3n, 'balance.low'],
  ]);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true, accounts: 2 });
});
