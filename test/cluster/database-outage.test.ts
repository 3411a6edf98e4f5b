/** The database goes away under load, and comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import pg from 'pg';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { createDatabase, execute } from '../postgres.ts';
import {
  requestId,
  showDatabaseOnFailure,
  startTestService,
  type TestService,
} from '../service.ts';
import { expectSoundBooks } from './audit.ts';
import { outcomeOf, outcomesOf, startCluster, tally } from './cluster.ts';
import { Link } from './link.ts';
import { runMixedLoad } from './mixed-load.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A service that reaches its database over a link. */
async function startLinked(env: Readonly<Record<string, string>> = {}) {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  showDatabaseOnFailure(databaseUrl);
  const link = new Link(databaseUrl);
  await link.open();
  const scrip = await startTestService({ databaseUrl: link.url, env });
  stops.push(scrip.stop);
  return { databaseUrl, link, scrip };
}

async function accountWith(scrip: TestService, credits: bigint): Promise<string> {
  const accountId = await scrip.open('verts');
  const category = Grant_Category.PAID;
  await scrip.accounts.grantCredits({ accountId, requestId: requestId(), credits, category });
  return accountId;
}

const charge = ({ billing }: TestService, accountId: string, id = requestId()) =>
  billing.charge({ accountId, requestId: id, credits: 1n });

describe('the database ends every session', () => {
  /** More often than the service may have connections: not one may be lost for good. */
  const CUTS = 12;

  test('again and again under load: every request is applied once all the same', async () => {
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
        // However slow the machine is, something gets through between two cuts.
        const enough = (await written()) + 5;
        while ((await written()) < enough) await sleep(10);
        await cutter.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid()`,
        );
      }
    })();
    // Callers ask again after UNAVAILABLE, and after nothing else.
    const loading = (async () => {
      for (let seed = 1; cuts < CUTS; seed++)
        await runMixedLoad({ replicas, accountIds, callers: 64, jobsPerCaller: 2, seed });
    })();
    await Promise.all([loading, cutting]);
    await expectSoundBooks(databaseUrl);
  });
});

describe('the database cannot be reached', () => {
  test('callers are told so, and once it is back the same request ids are applied once', async () => {
    const { databaseUrl, link, scrip } = await startLinked();
    const accountId = await accountWith(scrip, 1_000n);
    const ids = Array.from({ length: 20 }, requestId);
    const chargeAll = () => outcomesOf(ids.map((id) => charge(scrip, accountId, id)));

    await link.close();
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

    await link.open();
    expect(tally(await chargeAll())).toEqual({ OK: 20 });
    expect(tally(await chargeAll())).toEqual({ OK: 20 });
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 980n });
    await expectSoundBooks(databaseUrl);
  });

  test('a request cut off before its answer is applied once, whatever became of it', async () => {
    const { databaseUrl, link, scrip } = await startLinked();
    const accountId = await accountWith(scrip, 1_000n);
    const ids = Array.from({ length: 40 }, requestId);
    const charging = ids.map(async (id, index) => {
      await sleep(index);
      return await outcomeOf(charge(scrip, accountId, id));
    });
    await sleep(20);
    await link.close();
    await link.open();
    expect(Object.keys(tally(await Promise.all(charging))).sort()).toEqual(
      expect.arrayContaining(['OK']),
    );
    const again = await outcomesOf(ids.map((id) => charge(scrip, accountId, id)));
    expect(tally(again)).toEqual({ OK: 40 });
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 960n, seq: 41n });
    await expectSoundBooks(databaseUrl);
  });

  test('connections lost without a word are given up, and others take their place', async () => {
    const { databaseUrl, link, scrip } = await startLinked({ DATABASE_TIMEOUT_MS: '1000' });
    try {
      const accountId = await accountWith(scrip, 10n);
      link.stall();
      const id = requestId();
      const recharge = async () => (await outcomeOf(charge(scrip, accountId, id))).reason;
      await expect.poll(recharge, { timeout: 15_000 }).toBe('OK');
      expect((await scrip.billing.getBalance({ accountId })).balance?.remaining).toBe(9n);
      await expectSoundBooks(databaseUrl);
    } finally {
      await link.close();
    }
  });

  test('a follower stays on, and receives what was written once it is back', async () => {
    const { databaseUrl, link, scrip } = await startLinked();
    const other = await startTestService({ databaseUrl });
    stops.push(other.stop);
    const accountId = await accountWith(scrip, 10n);
    const stream = scrip.billing.streamHistory({ accountId, afterSeq: 1n, follow: true });
    const next = stream.next();
    await sleep(100);

    await link.close();
    await charge(other, accountId);
    await sleep(200);
    await link.open();
    expect((await next).value?.entries).toMatchObject([{ seq: 2n }]);
    await stream.return();
  });

  test('the sweeper goes on once it is back', async () => {
    const { databaseUrl, link, scrip } = await startLinked({ SWEEP_INTERVAL_MS: '20' });
    const accountId = await accountWith(scrip, 10n);
    const ttl = { seconds: 1n, nanos: 0 };
    await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 10n, ttl });
    await link.close();
    scrip.advance(1_001);
    await sleep(100);
    await link.open();
    const sql = 'select state from reservations where account_id = $1';
    const state = async () => (await execute(databaseUrl, sql, [accountId]))[0]?.['state'];
    await expect.poll(state, { timeout: 10_000 }).toBe('EXPIRED');
  });
});
