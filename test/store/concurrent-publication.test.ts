/** A publication while another one is at work, as where two replicas are started with a new database. */
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { publishAt } from '../../src/plan-publication.ts';
import { PUBLICATION_LOCK } from '../../src/store/publish-plans.ts';
import { verify } from '../../src/verify/verify.ts';
import { waitForBlockedSessions } from '../disruptions.ts';
import { createDatabase, execute } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';

const TABLES = ['plans', 'plan_versions', 'rate_cards'];

test('publishes nothing again that the other one publishes meanwhile', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const plans = await plansOfDeploy();
  await publishAt(databaseUrl, plans, Date.now());
  // The first plan is not there yet: the other publication will add it.
  const [first] = plans.map(({ planId }) => planId).sort();
  for (const table of TABLES)
    await execute(
      databaseUrl,
      `create table published_${table} as select * from ${table} where plan_id = '${first}';
       delete from ${table} where plan_id = '${first}'`,
    );
  const other = new pg.Client(databaseUrl);
  await other.connect();
  await other.query('begin');
  await other.query('select pg_advisory_xact_lock($1)', [PUBLICATION_LOCK]);
  // Without the advisory lock, a publication would wait here, with the first plan read and not found.
  await other.query('lock table plan_versions in access exclusive mode');
  const publishing = publishAt(databaseUrl, plans, Date.now());
  await waitForBlockedSessions(databaseUrl);
  for (const table of TABLES)
    await other.query(`insert into ${table} select * from published_${table}`);
  await other.query('commit');
  await other.end();
  await publishing;
  expect(await execute(databaseUrl, 'select distinct version, revision from plans')).toEqual([
    { version: 1, revision: 1 },
  ]);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});
