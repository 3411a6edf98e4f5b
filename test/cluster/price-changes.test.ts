/**
 * Replicas charge the same prices, before and after a dated change. Only publishing changes them: never a
 * replica that starts, whatever its files.
 */
import { pino } from 'pino';
import { describe, expect, inject, test } from 'vitest';
import { publishAt } from '../../src/plan-publication.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, defined, grant } from '../accounts.ts';
import { createDatabase, execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { startCluster } from './cluster.ts';

const job = (credits: number) =>
  `{ job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: ${credits} }] } }`;
const plan = (credits: number, change: { from: number; credits: number } | null): PlanFile =>
  planIn(`
plan_id: metered
title: Metered
terms: { reservation: { ttl: 80d, max_ttl: 90d, grace: 0s } }
packs: []
operations: ${job(credits)}
changes: ${change ? `[{ from: ${new Date(change.from).toISOString()}, operations: ${job(change.credits)} }]` : '[]'}
`);

const usages = { items: [{ operation: 'job' }] };
const DATE = Date.now() + 30 * DAY;

async function charged(services: readonly TestService[], accountId: string) {
  const answers = await Promise.all(
    services.map(({ billing }) => billing.charge({ accountId, requestId: requestId(), usages })),
  );
  return answers.map(({ credits }) => credits);
}

test('two replicas started at once change prices at the same moment', async () => {
  const cluster = await startCluster({ plans: [plan(1, { from: DATE, credits: 3 })] });
  const { a, b, replicas } = cluster;
  const accountId = await a.open('metered');
  await grant(a, accountId, 100n);
  expect(await charged([a, b, a, b], accountId)).toEqual([1n, 1n, 1n, 1n]);
  const { reservation } = await a.billing.reserve({ accountId, requestId: requestId(), usages });

  cluster.setNow(DATE);
  expect(await charged([a, b, a, b], accountId)).toEqual([3n, 3n, 3n, 3n]);
  const { reservationId } = defined(reservation);
  const commit = { accountId, requestId: requestId(), reservationId, usages };
  expect((await b.billing.commit(commit)).committed).toBe(1n);
  for (const { plans } of replicas)
    expect((await plans.getPlan({ planId: 'metered' })).plan?.rateCardVersion).toBe(2n);
  expect(await verify(cluster.databaseUrl)).toMatchObject({ ok: true });
  await cluster.stop();
});

test('a replica whose clock is behind does not return to an older price on an account', async () => {
  const { a, b, ...cluster } = await startCluster({ plans: [plan(1, { from: DATE, credits: 3 })] });
  const [accountId, other] = [await a.open('metered'), await a.open('metered')];
  for (const id of [accountId, other]) await grant(a, id, 100n);
  a.setNow(DATE + 1_000);
  b.setNow(DATE - 60_000);
  expect(await charged([b], accountId)).toEqual([1n]);
  expect(await charged([a], accountId)).toEqual([3n]);
  expect(await charged([b], accountId)).toEqual([3n]);
  expect(await charged([b], other)).toEqual([1n]);
  expect((await b.billing.estimate({ accountId, usages })).credits).toBe(3n);
  expect(await verify(cluster.databaseUrl)).toMatchObject({ ok: true });
  await cluster.stop();
});

test('a running replica uses prices that are published, at once or at their date', async () => {
  const older = await startTestService({ plans: [plan(1, null)] });
  const { databaseUrl } = older;
  const accountId = await older.open('metered');
  await grant(older, accountId, 100n);
  expect(await charged([older], accountId)).toEqual([1n]);
  const newer = await startTestService({
    databaseUrl,
    plans: [plan(2, { from: DATE, credits: 3 })],
  });
  expect(await charged([older, newer], accountId)).toEqual([2n, 2n]);
  for (const service of [older, newer]) service.setNow(DATE);
  expect(await charged([older, newer], accountId)).toEqual([3n, 3n]);
  await Promise.all([older, newer].map((service) => service.stop()));
});

test('the same dated change, published several times at once, is one version', async () => {
  const first = await startTestService({ plans: [plan(1, null)] });
  const { databaseUrl } = first;
  const plans = [plan(1, { from: DATE, credits: 3 })];
  const replicas = await Promise.all(
    Array.from({ length: 4 }, () => startTestService({ databaseUrl, plans })),
  );
  for (const { plans } of [first, ...replicas]) {
    const { plan } = await plans.getPlan({ planId: 'metered' });
    expect(plan).toMatchObject({
      rateCardVersion: 1n,
      upcomingRateCards: [{ version: 2n, effectiveAt: new Date(DATE) }],
    });
  }
  await Promise.all([first, ...replicas].map((service) => service.stop()));
});

describe('a replica that starts with other plan files than the published ones', () => {
  const everything = (databaseUrl: string) =>
    execute(
      databaseUrl,
      `select to_jsonb(p)::text as content from plans p
       union all select to_jsonb(v)::text from plan_versions v
       union all select to_jsonb(r)::text from rate_cards r order by 1`,
    );

  test.each([
    ['older prices, as in a rollback', [plan(1, null)]],
    ['older prices without the change that is published for a date', [plan(2, null)]],
    ['newer prices', [plan(9, { from: DATE, credits: 10 })]],
    ['a price dated in the past', [plan(2, { from: Date.UTC(2020, 0, 1), credits: 9 })]],
    ['a plan that nobody published', [{ ...plan(2, null), planId: 'another' }]],
    ['no file of a published plan', []],
  ])('publishes nothing, uses the published ones and says so once: %s', async (_, files) => {
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void lines.push(JSON.parse(line)) });
    const first = await startTestService({ plans: [plan(1, null)] });
    const { databaseUrl } = first;
    await publishAt(databaseUrl, [plan(2, { from: DATE, credits: 3 })], Date.now());
    const before = await everything(databaseUrl);
    const accountId = await first.open('metered');
    await grant(first, accountId, 100n);

    const other = await startTestService({
      databaseUrl,
      plans: files,
      publishesNothing: true,
      log,
    });
    expect(await everything(databaseUrl)).toEqual(before);
    expect(await charged([first, other], accountId)).toEqual([2n, 2n]);
    for (const service of [first, other]) service.setNow(DATE);
    expect(await charged([first, other], accountId)).toEqual([3n, 3n]);
    expect(lines).toEqual([
      expect.objectContaining({
        msg: expect.stringContaining('the plan files differ from the published plans'),
      }),
    ]);
    await Promise.all([first, other].map((service) => service.stop()));
  });

  test('says nothing if its files are the published ones, also after the date of a change', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    const plans = [plan(1, { from: DATE, credits: 3 })];
    const first = await startTestService({ plans });
    const { databaseUrl } = first;
    const later = { frozenAt: DATE + DAY };
    const again = [
      await startTestService({ databaseUrl, plans, publishesNothing: true, log }),
      await startTestService({ databaseUrl, plans, publishesNothing: true, log, ...later }),
    ];
    expect(lines).toEqual([]);
    await Promise.all([first, ...again].map((service) => service.stop()));
  });
});

test('a service on a database in which nothing was published does not start', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const start = startTestService({ databaseUrl, publishesNothing: true });
  await expect(start).rejects.toThrow('no plan is published in the database');
  expect(await execute(databaseUrl, 'select * from plans')).toEqual([]);
});
