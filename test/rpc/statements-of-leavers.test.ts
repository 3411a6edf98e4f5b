/** An account that changes its postpaid plan, and leaves it or is closed, before the month of before has a statement. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { execute } from '../postgres.ts';
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

test('one that comes to a plan at the turn of a month and leaves it in the same Batch is billed by it', async () => {
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

describe.each([
  ['alone', null],
  ['in a Batch', false],
  ['in an atomic Batch', true],
])('%s', (_, atomic) => {
  const leaving = {
    moveAccount: (accountId: string) => ({
      $case: 'moveAccount' as const,
      value: { ...request(accountId), planId: 'cheap', reason: 'a test' },
    }),
    closeAccount: (accountId: string) => ({
      $case: 'closeAccount' as const,
      value: request(accountId),
    }),
  };
  const leave = async (accountId: string, how: keyof typeof leaving) => {
    const mutation = leaving[how](accountId);
    if (atomic !== null) {
      const { results } = await scrip.billing.batch({ mutations: [{ mutation }], atomic });
      expect(results.map(({ result }) => result?.$case)).toEqual([how]);
    } else if (mutation.$case === 'moveAccount') await scrip.accounts.moveAccount(mutation.value);
    else await scrip.accounts.closeAccount(mutation.value);
  };

  test.each(['moveAccount', 'closeAccount'] as const)(
    '%s closes what is due first',
    async (how) => {
      scrip.setNow(Date.UTC(2031, 3, 10));
      const accountId = await scrip.open('dear');
      await scrip.billing.charge({ ...request(accountId), credits: 10n });
      scrip.setNow(Date.UTC(2031, 5, 1, 0, 0, 1));
      await leave(accountId, how);
      // ListStatements closes what is due.
      const stored = await execute(
        scrip.databaseUrl,
        'select month, plan_id from statements where account_id = $1 order by month',
        [accountId],
      );
      expect(stored).toEqual([
        { month: '2031-04', plan_id: 'dear' },
        { month: '2031-05', plan_id: 'dear' },
      ]);
    },
  );
});
