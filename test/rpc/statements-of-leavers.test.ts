/** An account that changes its postpaid plan, and leaves it or is closed, before the month of before has a statement. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

const billedAt = (planId: string, price: string) =>
  planIn(`
plan_id: ${planId}
title: Billed
terms: { overage: { limit: 1000, mode: graduated, currency: EUR, tiers: [{ price: "${price}" }] } }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);

let scrip: TestService;
beforeAll(async () => {
  const plans = [...(await plansOfDeploy()), billedAt('dear', '2'), billedAt('cheap', '1')];
  scrip = await startTestService({ plans });
});
afterAll(() => scrip.stop());

const request = (accountId: string) => ({ accountId, requestId: requestId() });

test.each([
  {
    end: 'leaves for a prepaid plan',
    leave: (accountId: string) =>
      scrip.accounts.moveAccount({ ...request(accountId), planId: 'verts', reason: 'a test' }),
  },
  {
    end: 'is closed',
    leave: (accountId: string) => scrip.accounts.closeAccount(request(accountId)),
  },
])('one that $end is billed for each month by the plan of that month', async ({ leave }) => {
  scrip.setNow(Date.UTC(2031, 0, 10));
  const accountId = await scrip.open('dear');
  await scrip.billing.charge({ ...request(accountId), credits: 10n });
  scrip.setNow(Date.UTC(2031, 1, 1, 0, 0, 1));
  await scrip.accounts.moveAccount({ ...request(accountId), planId: 'cheap', reason: 'a test' });
  await scrip.billing.charge({ ...request(accountId), credits: 5n });
  await leave(accountId);
  scrip.setNow(Date.UTC(2031, 2, 1));
  const { statements } = await scrip.statements.listStatements({ accountId });
  expect(statements.map(({ month, planId, total }) => ({ month, planId, total }))).toEqual([
    { month: '2031-02', planId: 'cheap', total: { currency: 'EUR', amount: '5.00' } },
    { month: '2031-01', planId: 'dear', total: { currency: 'EUR', amount: '20.00' } },
  ]);
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});

test('one that comes to a plan and leaves it in one Batch, before the month of before is closed, is billed by it', async () => {
  scrip.setNow(Date.UTC(2031, 0, 10));
  const accountId = await scrip.open('dear');
  await scrip.billing.charge({ ...request(accountId), credits: 10n });
  scrip.setNow(Date.UTC(2031, 1, 1, 0, 0, 1));
  const moveTo = (planId: string) => ({
    mutation: {
      $case: 'moveAccount' as const,
      value: { ...request(accountId), planId, reason: 'a test' },
    },
  });
  const charge = {
    mutation: { $case: 'charge' as const, value: { ...request(accountId), credits: 5n } },
  };
  const mutations = [moveTo('cheap'), charge, moveTo('verts')];
  const { results } = await scrip.billing.batch({ mutations, atomic: true });
  expect(results.map(({ result }) => result?.$case)).toEqual([
    'moveAccount',
    'charge',
    'moveAccount',
  ]);
  scrip.setNow(Date.UTC(2031, 2, 1));
  const { statements } = await scrip.statements.listStatements({ accountId });
  expect(statements.map(({ month, planId }) => ({ month, planId }))).toEqual([
    { month: '2031-02', planId: 'cheap' },
    { month: '2031-01', planId: 'dear' },
  ]);
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});
