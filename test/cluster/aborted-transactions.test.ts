/** Transactions that the database aborts, and a request that makes its transaction fail. */
import { status } from '@grpc/grpc-js';
import pg from 'pg';
import { pino } from 'pino';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { waitForBlockedSessions } from '../disruptions.ts';
import { createDatabase, execute } from '../postgres.ts';
import {
  requestId,
  showDatabaseOnFailure,
  startTestService,
  type TestService,
} from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { outcomesOf, tally } from './cluster.ts';
import { runMixedLoad } from './mixed-load.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

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

const charge = (accountId: string) => ({ accountId, requestId: requestId(), credits: 1n });

/** Another session on the same database. */
async function sideSession(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  stops.push(() => client.end());
  return client;
}

/** A database whose sessions have a setting from their first statement on. */
async function databaseWith(setting: string): Promise<string> {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const name = new URL(databaseUrl).pathname.slice(1);
  await execute(databaseUrl, `alter database ${name} set ${setting}`);
  showDatabaseOnFailure(databaseUrl);
  return databaseUrl;
}

/** Waits for a counter of pg_stat_database: sessions add to it when they have ended at the latest. */
async function expectCounted(databaseUrl: string, counter: string, atLeast: number) {
  const sql = `select ${counter}::int as n from pg_stat_database where datname = current_database()`;
  const counted = async () => (await execute(databaseUrl, sql))[0]?.['n'];
  await expect.poll(counted, { timeout: 60_000 }).toBeGreaterThanOrEqual(atLeast);
}

describe('a unit of work that the database aborts', () => {
  // A unit of work waits only 50 ms for the row of a cached account, and would be rolled back once more.
  const withoutCache = { ACCOUNT_CACHE_MAX: '0' };
  const lock = 'select from accounts where account_id = $1 for update';

  test('in a deadlock (40P01) runs again, unnoticed by its callers', async () => {
    const databaseUrl = await databaseWith(`deadlock_timeout = '100ms'`);
    const env = { ...withoutCache, LANES: '1', UNITS_MAX: '1', GROUP_MAX: '3' };
    const scrip = await startTestService({ databaseUrl, env });
    const accountIds = [];
    for (let count = 0; count < 3; count++) accountIds.push(await accountWith(scrip, 10n));
    const [low = '', middle = '', high = ''] = accountIds.sort();
    const [holder, rival] = [await sideSession(databaseUrl), await sideSession(databaseUrl)];
    // Looks for the deadlock long after the service, so that it is the service that is aborted.
    await rival.query(`set deadlock_timeout = '60s'`);

    await holder.query('begin');
    await holder.query(lock, [middle]);
    await rival.query('begin');
    await rival.query(lock, [high]);
    // Locked accounts are skipped twice, while each group of three charges the low one. The third group
    // locks the low account and waits for the middle one.
    const charging = scrip.billing.batch({
      mutations: [middle, high, low, low, low].map((accountId) => ({
        mutation: { $case: 'charge', value: charge(accountId) },
      })),
    });
    await waitForBlockedSessions(databaseUrl, 1);
    const rivalHasBoth = rival.query(lock, [low]);
    await waitForBlockedSessions(databaseUrl, 2);
    await holder.query('rollback');
    await rivalHasBoth;
    await rival.query('rollback');
    const { results } = await charging;
    expect(results.map(({ result }) => result?.$case)).toEqual(Array(5).fill('charge'));

    await scrip.stop();
    await expectCounted(databaseUrl, 'deadlocks', 1);
    await expectSoundLedger(databaseUrl);
  });

  test('because it cannot be serialized (40001) runs again, unnoticed by its caller', async () => {
    const databaseUrl = await databaseWith(`default_transaction_isolation = 'repeatable read'`);
    const scrip = await startTestService({ databaseUrl, env: withoutCache });
    const accountId = await accountWith(scrip, 10n);
    const rival = await sideSession(databaseUrl);

    await rival.query('begin');
    await rival.query(`update accounts set state = state where account_id = $1`, [accountId]);
    const charging = scrip.billing.charge(charge(accountId));
    await waitForBlockedSessions(databaseUrl);
    await rival.query('commit');
    expect((await charging).balance).toMatchObject({ remaining: 9n });

    await scrip.stop();
    await expectCounted(databaseUrl, 'xact_rollback', 1);
    await expectSoundLedger(databaseUrl);
  });

  test('again and again, on two serializable replicas under load, takes effect once', async () => {
    const databaseUrl = await databaseWith(`default_transaction_isolation = 'serializable'`);
    const a = await startTestService({ databaseUrl });
    const b = await startTestService({ databaseUrl });
    stops.push(a.stop, b.stop);
    const accountIds = [await accountWith(a, 50n), await accountWith(a, 50n)] as const;
    const load = { callers: 64, jobsPerCaller: 2, seed: 3 };
    await runMixedLoad({ replicas: [a, b], accountIds, ...load });
    await expectSoundLedger(databaseUrl);
  });
});

describe('a request that makes its transaction fail', () => {
  /** A service whose database refuses the reference 'poison', and what it logs. */
  async function startPoisoned() {
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => lines.push(line) });
    const scrip = await startTestService({ log });
    stops.push(scrip.stop);
    showDatabaseOnFailure(scrip.databaseUrl);
    await execute(
      scrip.databaseUrl,
      `alter table reservations add constraint no_poison check (reference <> 'poison')`,
    );
    const logged = () => lines.map((line): Record<string, unknown> => JSON.parse(line));
    return { scrip, logged };
  }

  const reserve = (accountId: string, reference: string) => ({
    accountId,
    requestId: requestId(),
    credits: 1n,
    reference,
  });

  test('gets INTERNAL; requests in the same group succeed, on the same and on other accounts', async () => {
    const { scrip, logged } = await startPoisoned();
    const [one, other] = [await accountWith(scrip, 100n), await accountWith(scrip, 100n)];
    const poison = reserve(one, 'poison');
    const asked = [
      ...Array.from({ length: 20 }, () => reserve(one, 'good')),
      poison,
      ...Array.from({ length: 20 }, () => reserve(other, 'good')),
    ];
    const outcomes = await outcomesOf(asked.map((request) => scrip.billing.reserve(request)));
    expect(tally(outcomes)).toEqual({ OK: 40, INTERNAL: 1 });
    const failed = outcomes[20];
    expect(failed).toMatchObject({ reason: 'INTERNAL', error: { code: status.INTERNAL } });
    expect(failed?.answer === null && failed.error.message).not.toMatch(/no_poison|constraint/);
    expect(logged()).toMatchObject([
      { level: 50, account_id: one, command: 'Reserve', err: { code: '23514' } },
    ]);
    for (const accountId of [one, other]) {
      const { balance } = await scrip.billing.getBalance({ accountId });
      expect(balance).toMatchObject({ reserved: 20n });
    }
    await expectSoundLedger(scrip.databaseUrl);

    // A failure is not remembered: without the cause, the same request succeeds.
    await execute(scrip.databaseUrl, 'alter table reservations drop constraint no_poison');
    await scrip.billing.reserve(poison);
    await expectSoundLedger(scrip.databaseUrl);
  });

  test('is found in the log by the trace id that its caller was told', async () => {
    const { scrip, logged } = await startPoisoned();
    const accountId = await accountWith(scrip, 100n);
    const [outcome] = await outcomesOf([scrip.billing.reserve(reserve(accountId, 'poison'))]);
    const traceId = outcome?.answer === null && outcome.error.metadata['trace_id'];
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(logged()).toMatchObject([{ trace_id: traceId }]);
  });

  test('in a batch fails alone, and its result tells the trace id', async () => {
    const { scrip } = await startPoisoned();
    const accountId = await accountWith(scrip, 100n);
    const { results } = await scrip.billing.batch({
      mutations: ['good', 'poison', 'good'].map((reference) => ({
        mutation: { $case: 'reserve', value: reserve(accountId, reference) },
      })),
    });
    expect(results.map(({ result }) => result?.$case)).toEqual(['reserve', 'error', 'reserve']);
    expect(results[1]?.result?.value).toMatchObject({
      code: status.INTERNAL,
      reason: 'INTERNAL',
      metadata: new Map([['trace_id', expect.stringMatching(/^[0-9a-f]{32}$/)]]),
    });
    await expectSoundLedger(scrip.databaseUrl);
  });
});
