/** Migrations 0013 and 0014 on a database with thresholds and auto top-ups. */
import { expect, inject, test } from 'vitest';
import { migrate } from '../../../src/pg/migrate.ts';
import { connect } from '../../../src/pg/orm.ts';
import { findAccount } from '../../../src/queries/accounts.ts';
import { entities } from '../../../src/store/tables/index.ts';
import { verify } from '../../../src/verify/verify.ts';
import { execute } from '../../postgres.ts';
import { createDatabaseAt } from './old-database.ts';

test('a threshold becomes a level, and an auto top-up knows whether its pack is a custom one', async () => {
  const databaseUrl = await createDatabaseAt(inject('postgresUrl'), '0012-payment-reference-key');
  await execute(
    databaseUrl,
    `insert into plans (plan_id, title, terms, revision, withdrawn, updated_at)
     values ('p', 'P', '{"packs": [{"pack_id": "small"}]}', 1, '[]', now())`,
  );
  for (const [accountId, threshold, pack] of [
    ['a', null, null],
    ['b', 0, 'small'],
    ['c', 70, 'own'],
  ])
    await execute(
      databaseUrl,
      `insert into accounts (account_id, plan_id, state, display_name, labels, opened_at, seq,
         grant_count, event_count, remaining, reserved, overage, overage_reserved, overage_limit,
         low_balance, low_balance_threshold, auto_top_up, top_ups, last_at, last_hash, version)
       values ($1, 'p', 'OPEN', '', '{}', '2026-01-01', 0, 0, 0, 0, 0, 0, 0, 0, true, $2,
         $3::jsonb, $4::jsonb, '2026-01-01', '', 1)`,
      [
        accountId,
        threshold,
        pack && JSON.stringify({ pack_id: pack, threshold: 5, monthly_cap: 1 }),
        pack && JSON.stringify({ purchase_id: null, month: 0, count: 0, failures: 0 }),
      ],
    );
  expect(await migrate(databaseUrl)).toContain('0014-top-up-packs');

  const orm = await connect(databaseUrl, entities, 2, 10_000);
  const accounts = await Promise.all(['a', 'b', 'c'].map((id) => findAccount(orm.em.fork(), id)));
  await orm.close();
  expect(accounts).toMatchObject([
    { lowBalanceLevels: null, lowLevels: null, autoTopUp: null, topUps: null },
    { lowBalanceLevels: [], autoTopUp: { onRefusal: false, isCustomPack: false } },
    {
      lowBalanceLevels: [{ credits: 70n }],
      autoTopUp: { packId: 'own', isCustomPack: true },
      topUps: { refusal: null },
    },
  ]);
  expect(await verify(databaseUrl, { all: true })).toMatchObject({ accounts: 3 });
});
