/** Usage rollups under load: both replicas follow the entries all the time, and each entry is counted once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { entities } from '../../src/store/tables/index.ts';
import { rebuildUsage } from '../../src/usage/rebuild.ts';
import { rollUp } from '../../src/usage/roll-up.ts';
import { verify } from '../../src/verify/verify.ts';
import { HOUR } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService } from '../service.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { runMixedLoad } from './mixed-load.ts';

let cluster: Cluster;
let orm: Orm;
const accountIds: [string, ...string[]] = [requestId()];

beforeAll(async () => {
  cluster = await startCluster({ env: { USAGE_INTERVAL_MS: '10' } });
  orm = await connect(cluster.databaseUrl, entities, 4, 30_000);
  while (accountIds.length < 12) accountIds.push(requestId());
  for (const accountId of accountIds)
    await cluster.a.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  await runMixedLoad({
    replicas: cluster.replicas,
    accountIds,
    callers: 60,
    jobsPerCaller: 4,
    seed: 7,
  });
});
afterAll(async () => {
  await orm.close();
  await cluster.stop();
});

const rowsOf = (table: string) =>
  execute(cluster.databaseUrl, `select * from ${table} t order by t::text`);
const allRows = async () => [await rowsOf('usage_rollups'), await rowsOf('usage_quantities')];

/** Everything that all accounts used, of the rollups and of the entries. */
async function totals() {
  const [stated] = await execute(
    cluster.databaseUrl,
    `select sum(credits)::text as credits, sum(refunded)::text as refunded
     from usage_rollups where label = '' and not beyond`,
  );
  const [moved] = await execute(
    cluster.databaseUrl,
    `select sum(credits) filter (where to_bucket = 'consumed')::text as credits,
       sum(credits) filter (where from_bucket = 'consumed')::text as refunded from history_moves`,
  );
  return { stated, moved };
}

test('the rollups add up to the entries', async () => {
  await Promise.all(cluster.replicas.map(({ service }) => service.countUsage()));
  // What the other replica was counting is counted when its transaction ends.
  await rollUp(orm.em.fork(), accountIds, 100_000, 'wait');
  const { stated, moved } = await totals();
  expect(stated).toEqual(moved);
  expect(BigInt(String(stated?.['refunded']))).toBeGreaterThan(0n);
  const found = await verify(cluster.databaseUrl, { all: true });
  expect(found).toMatchObject({ ok: true });
});

test('a rebuild makes the same rows', async () => {
  const before = await allRows();
  expect(before.every((rows) => rows.length > 0)).toBe(true);
  for (const accountId of accountIds) await rebuildUsage(orm.em.fork(), accountId);
  expect(await allRows()).toEqual(before);
});

test('rebuilds at the same time do not disturb each other, or those who count', async () => {
  const before = await allRows();
  const [accountId] = accountIds;
  await Promise.all([
    rebuildUsage(orm.em.fork(), accountId),
    rebuildUsage(orm.em.fork(), accountId),
    rollUp(orm.em.fork(), accountIds, 1_000, 'wait'),
    ...cluster.replicas.map(({ service }) => service.countUsage()),
  ]);
  expect(await allRows()).toEqual(before);
});

test('a rebuild of an account that is not there says so', async () => {
  expect(await rebuildUsage(orm.em.fork(), 'nobody')).toBeNull();
});

test('what replicas forgot is found by one that starts', async () => {
  const { databaseUrl } = cluster;
  await cluster.stop();
  const before = await allRows();
  await execute(databaseUrl, 'delete from usage_rollups');
  await execute(databaseUrl, 'delete from usage_quantities');
  await execute(databaseUrl, 'delete from usage_positions');
  const started = await startTestService({ databaseUrl });
  try {
    await started.service.countUsage();
  } finally {
    await started.stop();
  }
  expect(await allRows()).toEqual(before);
});

test('an account with a damaged entry does not keep others from being counted', async () => {
  const { databaseUrl } = cluster;
  const [damaged, ...others] = accountIds;
  await execute(databaseUrl, 'delete from usage_positions');
  await execute(databaseUrl, 'delete from usage_rollups');
  await execute(databaseUrl, 'delete from usage_quantities');
  await execute(
    databaseUrl,
    `update entries set content = '{"m":[["??",1,1]]}' where account_id = $1 and kind in (6, 9)`,
    [damaged],
  );
  const started = await startTestService({ databaseUrl });
  try {
    await started.service.countUsage();
    const of = { $case: 'accountId', value: damaged } as const;
    const report = await started.statements.getUsage({ of, from: new Date(0), to: new Date(HOUR) });
    expect(report).toMatchObject({ rows: [], exactUpToSeq: 0n });
  } finally {
    await started.stop();
  }
  const counted = await execute(databaseUrl, 'select distinct account_id from usage_rollups');
  expect(counted.map((row) => row['account_id']).toSorted()).toEqual(others.toSorted());
});
