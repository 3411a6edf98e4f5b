/** Plans that are published several times at once, and replicas that start on them. */
import { afterEach, expect, inject, test } from 'vitest';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { createDatabase, execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { startTestService, type TestService } from '../service.ts';

const REPLICAS = 4;

const planAt = (credits: number): PlanFile =>
  planIn(`
plan_id: metered
title: Metered
terms: {}
packs: []
operations:
  job:
    title: Job
    billable: true
    components:
      - { kind: flat, label: Job, credits: ${credits} }
`);

let started: TestService[] = [];
afterEach(async () => {
  await Promise.all(started.map((replica) => replica.stop()));
  started = [];
});

async function startAll(databaseUrl: string, plan: PlanFile): Promise<readonly TestService[]> {
  const starts = await Promise.allSettled(
    Array.from({ length: REPLICAS }, () => startTestService({ databaseUrl, plans: [plan] })),
  );
  const replicas = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  started.push(...replicas);
  expect(starts.map(({ status }) => status)).toEqual(Array(REPLICAS).fill('fulfilled'));
  return replicas;
}

async function versionsOf(replicas: readonly TestService[]): Promise<readonly unknown[]> {
  const lists = await Promise.all(replicas.map(({ plans }) => plans.listPlans({})));
  return lists.flatMap(({ plans }) => plans.map(({ rateCardVersion }) => rateCardVersion));
}

test.each(['read committed', 'serializable'])(
  'plans published four times at once on a %s database have one new version, on all replicas',
  async (isolation) => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    const name = new URL(databaseUrl).pathname.slice(1);
    const setting = `default_transaction_isolation = '${isolation}'`;
    await execute(databaseUrl, `alter database ${name} set ${setting}`);

    expect(await versionsOf(await startAll(databaseUrl, planAt(1)))).toEqual([1n, 1n, 1n, 1n]);
    // A changed plan file: one new version, not one for each publication.
    expect(await versionsOf(await startAll(databaseUrl, planAt(2)))).toEqual([2n, 2n, 2n, 2n]);
  },
);

test('a replica that runs since older prices commits at the price that a newer one reserved at', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const older = await startTestService({ databaseUrl, plans: [planAt(1)] });
  started.push(older);
  const accountId = await older.open('metered');
  await older.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: 'grant',
    credits: 10n,
    category: 1,
  });
  const newer = await startTestService({ databaseUrl, plans: [planAt(7)] });
  started.push(newer);

  const usages = { items: [{ operation: 'job' }] };
  const job = { accountId, requestId: 'job', usages };
  const { reservation } = await newer.billing.reserve(job);
  expect(reservation).toMatchObject({ credits: 7n, rateCardVersion: 2n });
  const reservationId = reservation?.reservationId ?? '';
  const committed = await older.billing.commit({ ...job, reservationId });
  expect(committed).toMatchObject({ committed: 7n, balance: { remaining: 3n } });
});
