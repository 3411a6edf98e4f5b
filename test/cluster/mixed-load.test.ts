/** 200 callers on two replicas, on one account and on many, with mutations of every kind. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import { createDatabase, execute } from '../postgres.ts';
import { end, type Replica, startReplica } from '../process/replica.ts';
import { requestId, showDatabaseOnFailure } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { runMixedLoad } from './mixed-load.ts';

const CALLERS = 200;
const JOBS_PER_CALLER = 2;

async function openAccounts(scrip: Scrip, count: number): Promise<[string, ...string[]]> {
  const open = async () => {
    const accountId = `acct-${requestId()}`;
    await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
    return accountId;
  };
  return [await open(), ...(await Promise.all(Array.from({ length: count - 1 }, open)))];
}

async function loadAndAudit(
  replicas: readonly [Scrip, ...Scrip[]],
  databaseUrl: string,
  accounts: number,
  seed: number,
) {
  showDatabaseOnFailure(databaseUrl);
  const accountIds = await openAccounts(replicas[0], accounts);
  await runMixedLoad({
    replicas,
    accountIds,
    callers: CALLERS,
    jobsPerCaller: JOBS_PER_CALLER,
    seed,
  });
  await expectSoundLedger(databaseUrl);
}

describe.each([
  ['with four lanes and small groups', { LANES: '4', GROUP_MAX: '10' }],
  ['with four units of work at once', { UNITS_MAX: '4' }],
])('200 callers on two replicas %s', (_, env) => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ env });
  });
  afterAll(async () => {
    await cluster.stop();
  });

  test('on 40 accounts: every balance is what the callers were told', async () => {
    await loadAndAudit(cluster.replicas, cluster.databaseUrl, 40, 1);
  });

  test('one transaction carries requests of several accounts', async () => {
    const [{ most } = {}] = await execute(
      cluster.databaseUrl,
      `select max(accounts)::int as most
       from (select count(distinct account_id) as accounts from entries group by xmin::text) units`,
    );
    expect(most).toBeGreaterThan(1);
  });
});

describe('200 callers on two service processes', () => {
  let databaseUrl: string;
  let replicas: [Replica, Replica];

  beforeAll(async () => {
    databaseUrl = await createDatabase(inject('postgresUrl'));
    replicas = await Promise.all([
      startReplica({ DATABASE_URL: databaseUrl }),
      startReplica({ DATABASE_URL: databaseUrl }),
    ]);
  });
  afterAll(async () => {
    await Promise.all(replicas.map(end));
  });

  test.each([1, 40])('on %i account(s): every balance is what the callers were told', async (n) => {
    await loadAndAudit(replicas, databaseUrl, n, 100 + n);
  });
});
