/** What falls due happens once, even if every replica settles it at the same time. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import { Grant_Category, Grant_Source } from '../../src/gen/billing/v1/ledger.ts';
import { KIND_CODES } from '../../src/store/tables/codes.ts';
import { execute } from '../postgres.ts';
import { waterfallPlan } from '../rpc/waterfall.ts';
import { requestId, showDatabaseOnFailure } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, startCluster } from './cluster.ts';

const ACCOUNTS_PER_BATCH = 16;
const MINUTE = { seconds: 60n, nanos: 0 };

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ env: { SWEEP_ACCOUNTS_MAX: String(ACCOUNTS_PER_BATCH) } });
});
afterAll(async () => {
  await cluster.stop();
});

type Mutation = NonNullable<Parameters<Scrip['billing']['batch']>[0]['mutations']>[number];

/** Applies any number of mutations; none of them may fail. */
async function applyAll(scrip: Scrip, mutations: readonly Mutation[]) {
  for (let from = 0; from < mutations.length; from += 1_000) {
    const { results } = await scrip.billing.batch({
      mutations: mutations.slice(from, from + 1_000),
    });
    expect(results.filter(({ result }) => result?.$case === 'error')).toEqual([]);
  }
}

const opening = (accountId: string, planId: string): Mutation => ({
  mutation: { $case: 'openAccount', value: { accountId, requestId: requestId(), planId } },
});

const granting = (accountId: string, credits: bigint): Mutation => {
  const why = { category: Grant_Category.PAID, reason: 'a test' };
  const value = { accountId, requestId: requestId(), credits, ...why };
  return { mutation: { $case: 'grantCredits', value } };
};

const reserving = (accountId: string, credits: bigint): Mutation => ({
  mutation: {
    $case: 'reserve',
    value: { accountId, requestId: requestId(), credits, ttl: MINUTE },
  },
});

describe('the first moment of a month', () => {
  const MONTH = Date.UTC(2031, 4, 1);

  test('gives each of 50 accounts one allowance, swept and used on both replicas', async () => {
    showDatabaseOnFailure(cluster.databaseUrl);
    cluster.setNow(MONTH - 60_000);
    const accounts = Array.from({ length: 50 }, () => `acct-${requestId()}`);
    await applyAll(
      cluster.a,
      accounts.map((accountId) => opening(accountId, 'aspose-cloud')),
    );
    cluster.setNow(MONTH);
    await Promise.all([
      cluster.sweep(),
      ...accounts.flatMap((accountId) =>
        cluster.replicas.flatMap(({ billing }) => [
          billing.charge({ accountId, requestId: requestId(), credits: 3n }),
          billing.getBalance({ accountId }),
        ]),
      ),
      cluster.sweep(),
    ]);
    for (const accountId of accounts) {
      const { grants } = await cluster.b.accounts.listGrants({ accountId });
      // Newest first. What was left of April's allowance has expired.
      expect(grants).toMatchObject([
        { source: Grant_Source.ALLOWANCE, sourceReference: '2031-05', remaining: 44n },
        { source: Grant_Source.ALLOWANCE, sourceReference: '2031-04', remaining: 0n },
      ]);
      expect(grants).toHaveLength(2);
    }
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('shows in the balance before the allowance is written', async () => {
    cluster.setNow(MONTH);
    const accountId = await cluster.a.open('aspose-cloud');
    await cluster.a.billing.charge({ accountId, requestId: requestId(), credits: 20n });
    cluster.setNow(Date.UTC(2031, 5, 1));
    for (const { billing } of cluster.replicas)
      expect((await billing.getBalance({ accountId })).balance).toMatchObject({ available: 50n });
    const written = 'select count(*)::int as grants from grants where account_id = $1';
    expect(await execute(cluster.databaseUrl, written, [accountId])).toEqual([{ grants: 1 }]);
  });

  test('after unused months: each month had its allowance, and all but the last have expired', async () => {
    cluster.setNow(MONTH);
    const accountId = await cluster.a.open('aspose-cloud');
    cluster.setNow(Date.UTC(2031, 8, 1));
    await Promise.all([
      cluster.sweep(),
      ...cluster.replicas.map(({ billing }) =>
        billing.charge({ accountId, requestId: requestId(), credits: 1n }),
      ),
    ]);
    const { grants } = await cluster.b.accounts.listGrants({ accountId });
    expect(grants.map(({ sourceReference, remaining }) => [sourceReference, remaining])).toEqual([
      ['2031-09', 48n],
      ['2031-08', 0n],
      ['2031-07', 0n],
      ['2031-06', 0n],
      ['2031-05', 0n],
    ]);
    await expectSoundLedger(cluster.databaseUrl);
  });
});

describe('the end of a period with rollover', () => {
  const PERIOD_MS = 7 * 24 * 3_600_000;
  const carrying = waterfallPlan(
    'carrying',
    `  allowance: { credits: 20, every: 7 days, rollover: { up_to: 12 } }
  expiring_notice: 2d`,
  );
  let weekly: Cluster;
  beforeAll(async () => {
    weekly = await startCluster({ plans: [carrying] });
  });
  afterAll(() => weekly.stop());

  test('grants one allowance and rolls over once, on both replicas at the same moment', async () => {
    showDatabaseOnFailure(weekly.databaseUrl);
    const opened = Date.UTC(2031, 0, 31, 8, 30);
    weekly.setNow(opened);
    const accounts = await Promise.all(
      Array.from({ length: 20 }, (_, n) => weekly.replicas[n % 2]!.open('carrying')),
    );
    const expiresAt = new Date(opened + 3 * PERIOD_MS + 2 * 24 * 3_600_000);
    await applyAll(
      weekly.a,
      accounts.map((accountId) => ({
        mutation: {
          $case: 'grantCredits' as const,
          value: {
            ...{ accountId, requestId: requestId(), credits: 5n, expiresAt },
            category: Grant_Category.PROMOTIONAL,
            priority: 90,
            reason: 'a test',
          },
        },
      })),
    );
    for (let period = 1; period <= 3; period++) {
      // A few milliseconds late: accounts are opened one after the other.
      weekly.setNow(opened + period * PERIOD_MS + 5_000);
      await Promise.all([
        weekly.sweep(),
        ...accounts.flatMap((accountId) =>
          weekly.replicas.flatMap(({ billing }) => [
            billing.charge({ accountId, requestId: requestId(), credits: 1n }),
            billing.getBalance({ accountId }),
          ]),
        ),
        weekly.sweep(),
      ]);
    }
    for (const accountId of accounts) {
      const { grants } = await weekly.b.accounts.listGrants({ accountId });
      const allowances = grants.filter(({ source }) => source === Grant_Source.ALLOWANCE);
      expect(new Set(allowances.map((g) => g.sourceReference)).size).toBe(4);
      expect(allowances).toHaveLength(4);
      // 12 rolled over, 20 were granted, and 2 have been charged since.
      const { balance } = await weekly.a.billing.getBalance({ accountId });
      expect(balance).toMatchObject({ remaining: 30n + 5n });
    }
    const told = `select count(*)::int as events, count(distinct account_id)::int as accounts
      from events where type = 'grant.expiring'`;
    expect(await execute(weekly.databaseUrl, told)).toEqual([{ events: 20, accounts: 20 }]);
    await expectSoundLedger(weekly.databaseUrl);
  });
});

describe('expired reservations', () => {
  test('3,000 on 500 accounts expire once each, in bounded batches', async () => {
    showDatabaseOnFailure(cluster.databaseUrl);
    const accounts = Array.from({ length: 500 }, () => `acct-${requestId()}`);
    await applyAll(
      cluster.a,
      accounts.flatMap((accountId) => [opening(accountId, 'verts'), granting(accountId, 60n)]),
    );
    const reservations = accounts.flatMap((accountId) =>
      Array.from({ length: 6 }, () => reserving(accountId, 10n)),
    );
    await applyAll(cluster.b, reservations);
    cluster.advance(61_000);
    await cluster.sweep();

    const expired = `
      select count(*)::int as entries, count(distinct reservation_id)::int as reservations
      from history where kind = 'EXPIRE' and account_id = any($1)`;
    expect(await execute(cluster.databaseUrl, expired, [accounts])).toEqual([
      { entries: 3_000, reservations: 3_000 },
    ]);
    // Rows that one transaction inserted have its id as their xmin.
    const largest = `
      select max(accounts)::int as largest
      from (select count(distinct account_id) as accounts
        from entries where kind = ${KIND_CODES.EXPIRE} and account_id = any($1)
        group by xmin::text) batch`;
    const [batch] = await execute(cluster.databaseUrl, largest, [accounts]);
    expect(batch?.['largest']).toBeLessThanOrEqual(ACCOUNTS_PER_BATCH);
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('2,500 of one account are all settled before its next request is decided', async () => {
    showDatabaseOnFailure(cluster.databaseUrl);
    const accountId = await cluster.a.open('verts');
    await applyAll(cluster.a, [granting(accountId, 2_500n)]);
    await applyAll(
      cluster.a,
      Array.from({ length: 2_500 }, () => reserving(accountId, 1n)),
    );
    cluster.advance(61_000);
    const { balance } = await cluster.a.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ available: 2_500n, reserved: 0n });

    // The charge needs all of the credits.
    const [charged] = await Promise.all([
      cluster.b.billing.charge({ accountId, requestId: requestId(), credits: 2_500n }),
      cluster.sweep(),
    ]);
    expect(charged.balance).toMatchObject({ remaining: 0n, reserved: 0n });
    const last = `select kind, seq::int from history where account_id = $1 order by seq desc limit 1`;
    expect(await execute(cluster.databaseUrl, last, [accountId])).toEqual([
      { kind: 'CHARGE', seq: 5_003 },
    ]);
    await expectSoundLedger(cluster.databaseUrl);
  });

  test('of an unused account are found by the sweeper', async () => {
    const sweeping = await startCluster({ env: { SWEEP_INTERVAL_MS: '50' } });
    try {
      const accountId = await sweeping.a.open('verts');
      await applyAll(sweeping.a, [granting(accountId, 10n), reserving(accountId, 10n)]);
      sweeping.advance(61_000);
      const state = 'select state from running_reservations where account_id = $1';
      const isExpired = async () =>
        (await execute(sweeping.databaseUrl, state, [accountId]))[0]?.['state'];
      await expect.poll(isExpired, { timeout: 60_000 }).toBe('EXPIRED');
      await expectSoundLedger(sweeping.databaseUrl);
    } finally {
      await sweeping.stop();
    }
  });
});
