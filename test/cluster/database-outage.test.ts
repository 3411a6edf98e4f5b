/** Outages of the database, under load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import pg from 'pg';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { createDatabase, execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import {
  requestId,
  showDatabaseOnFailure,
  startTestService,
  type TestService,
} from '../service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { expectSoundLedger } from './audit.ts';
import { outcomeOf, outcomesOf, startCluster, tally } from './cluster.ts';
import { runMixedLoad } from './mixed-load.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A service that reaches its database through a proxy. */
async function startProxied(env: Readonly<Record<string, string>> = {}) {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  showDatabaseOnFailure(databaseUrl);
  const proxy = new TcpProxy(databaseUrl);
  await proxy.open();
  const scrip = await startTestService({ databaseUrl: proxy.url, env });
  stops.push(scrip.stop);
  return { databaseUrl, proxy, scrip };
}

async function accountWith(scrip: TestService, credits: bigint): Promise<string> {
  const accountId = await scrip.open('verts');
  const category = Grant_Category.PAID;
  await scrip.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits,
    category,
  });
  return accountId;
}

const charge = ({ billing }: TestService, accountId: string, id = requestId()) =>
  billing.charge({ accountId, requestId: id, credits: 1n });

describe('the database ends every session', () => {
  /** More than the pool has connections: the pool must not lose one each time. */
  const CUTS = 12;

  test('repeatedly under load: every request takes effect once', async () => {
    const cluster = await startCluster({ env: { DATABASE_POOL_MAX: '4' } });
    stops.push(cluster.stop);
    const { databaseUrl, replicas } = cluster;
    showDatabaseOnFailure(databaseUrl);
    const accountIds = [
      await accountWith(cluster.a, 50n),
      await accountWith(cluster.a, 50n),
    ] as const;
    const cutter = new pg.Client(databaseUrl);
    await cutter.connect();
    stops.push(() => cutter.end());
    const written = async () => {
      const { rows } = await cutter.query('select count(*)::int as entries from entries');
      return rows[0].entries;
    };

    let cuts = 0;
    const cutting = (async () => {
      for (; cuts < CUTS; cuts++) {
        // On a slow machine, too, some requests commit between two cuts.
        const enough = (await written()) + 5;
        while ((await written()) < enough) await sleep(10);
        await cutter.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid()`,
        );
      }
    })();
    // Callers repeat requests only after UNAVAILABLE.
    const loading = (async () => {
      for (let seed = 1; cuts < CUTS; seed++)
        await runMixedLoad({ replicas, accountIds, callers: 64, jobsPerCaller: 2, seed });
    })();
    await Promise.all([loading, cutting]);
    await expectSoundLedger(databaseUrl);
  });
});

describe('the database cannot be reached', () => {
  test('callers get DATABASE_UNAVAILABLE; later the same request ids take effect once', async () => {
    const { databaseUrl, proxy, scrip } = await startProxied();
    const accountId = await accountWith(scrip, 1_000n);
    const ids = Array.from({ length: 20 }, requestId);
    const chargeAll = () => outcomesOf(ids.map((id) => charge(scrip, accountId, id)));

    await proxy.close();
    for (const outcome of await chargeAll())
      expect(outcome).toMatchObject({
        reason: 'DATABASE_UNAVAILABLE',
        error: { code: status.UNAVAILABLE },
      });
    const reads = await outcomesOf<unknown>([
      scrip.billing.getBalance({ accountId }),
      scrip.billing.listReservations({ accountId }),
      scrip.billing.streamHistory({ accountId }).next(),
      scrip.accounts.getAccount({ accountId }),
      scrip.accounts.listAccounts({}),
      scrip.accounts.listGrants({ accountId }),
    ]);
    expect(tally(reads)).toEqual({ DATABASE_UNAVAILABLE: reads.length });

    await proxy.open();
    expect(tally(await chargeAll())).toEqual({ OK: 20 });
    expect(tally(await chargeAll())).toEqual({ OK: 20 });
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 980n });
    await expectSoundLedger(databaseUrl);
  });

  test('a request that was cut off before its answer takes effect once when it is repeated', async () => {
    const { databaseUrl, proxy, scrip } = await startProxied();
    const accountId = await accountWith(scrip, 1_000n);
    const ids = Array.from({ length: 40 }, requestId);
    const charging = ids.map(async (id, index) => {
      await sleep(index);
      return await outcomeOf(charge(scrip, accountId, id));
    });
    await sleep(20);
    await proxy.close();
    await proxy.open();
    expect(Object.keys(tally(await Promise.all(charging))).sort()).toEqual(
      expect.arrayContaining(['OK']),
    );
    const again = await outcomesOf(ids.map((id) => charge(scrip, accountId, id)));
    expect(tally(again)).toEqual({ OK: 40 });
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 960n, seq: 42n });
    await expectSoundLedger(databaseUrl);
  });

  test('connections that die silently are replaced', async () => {
    const { databaseUrl, proxy, scrip } = await startProxied({ DATABASE_TIMEOUT_MS: '1000' });
    try {
      const accountId = await accountWith(scrip, 10n);
      proxy.stall();
      const id = requestId();
      const recharge = async () => (await outcomeOf(charge(scrip, accountId, id))).reason;
      await expect.poll(recharge, { timeout: 15_000 }).toBe('OK');
      expect((await scrip.billing.getBalance({ accountId })).balance?.remaining).toBe(9n);
      await expectSoundLedger(databaseUrl);
    } finally {
      await proxy.close();
    }
  });

  test('a follower stays connected, and receives what is written after the outage', async () => {
    const { databaseUrl, proxy, scrip } = await startProxied();
    const other = await startTestService({ databaseUrl });
    stops.push(other.stop);
    const accountId = await accountWith(scrip, 10n);
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    // With its first message the stream has read what there is, and waits.
    await stream.next();
    const next = stream.next();
    await proxy.close();
    await charge(other, accountId);
    expect((await errorOf(scrip.billing.getBalance({ accountId }))).reason).toBe(
      'DATABASE_UNAVAILABLE',
    );
    await proxy.open();
    expect((await next).value?.entries).toMatchObject([{ seq: 3n }]);
    await stream.return();
  });

  test('the sweeper continues after the outage', async () => {
    const { databaseUrl, proxy, scrip } = await startProxied({ SWEEP_INTERVAL_MS: '20' });
    const accountId = await accountWith(scrip, 10n);
    const ttl = { seconds: 1n, nanos: 0 };
    await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 10n, ttl });
    await proxy.close();
    scrip.advance(1_001);
    await sleep(100);
    await proxy.open();
    const sql = 'select state from running_reservations where account_id = $1';
    const state = async () => (await execute(databaseUrl, sql, [accountId]))[0]?.['state'];
    await expect.poll(state, { timeout: 60_000 }).toBe('EXPIRED');
  });
});
