import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Allowance_Period,
  Allowance_Rollover,
  Terms_RefundExpired,
} from '../../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../../src/map-of.ts';
import { defined, entriesOf, grant } from '../accounts.ts';
import { EVERYTHING, planIn, withReplaced } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

const everything = planIn(EVERYTHING);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), everything] });
});
afterAll(() => scrip.stop());

describe('ListPlans', () => {
  test('returns all plans, ordered by id', async () => {
    const { plans } = await scrip.plans.listPlans({});
    expect(plans.map(({ planId }) => planId)).toEqual([
      'aspose-cloud',
      'everything',
      'perfectparser',
      'verts',
    ]);
    for (const plan of plans) {
      const got = await scrip.plans.getPlan({ planId: plan.planId });
      expect(got.plan).toEqual(plan);
      expect(got.rateCard?.version).toBe(plan.rateCardVersion);
    }
  });
});

describe('GetPlan', () => {
  test('returns all terms and packs of the plan file', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'everything' });
    expect(plan).toEqual({
      planId: 'everything',
      title: 'Everything a plan can say',
      terms: {
        welcome: { credits: 30n, validity: { length: { $case: 'days', value: 30 } } },
        allowance: {
          credits: 50n,
          period: Allowance_Period.MONTH,
          length: undefined,
          rollover: Allowance_Rollover.NONE,
          rolloverUpTo: 0n,
        },
        overageLimit: 10_000n,
        lowBalanceLevels: [{ credits: 40n }],
        pauseFloor: 15n,
        reservationTtl: { seconds: 90n, nanos: 0 },
        reservationMaxTtl: { seconds: 7_200n, nanos: 0 },
        lateCommitGrace: { seconds: 0n, nanos: 0 },
        refundExpired: Terms_RefundExpired.NEW_GRANT,
        payOwed: true,
        lateUsage: { seconds: 3n * 86_400n, nanos: 0 },
        expiringNotice: { seconds: 36n * 3_600n, nanos: 0 },
        timeZone: 'UTC',
      },
      packs: [
        {
          packId: 'small',
          title: 'Small',
          credits: 100n,
          price: { currency: 'USD', amount: '10.00' },
          validity: { length: { $case: 'months', value: 12 } },
        },
        {
          packId: 'large',
          title: 'Large',
          credits: 1_000n,
          price: { currency: 'USD', amount: '80.50' },
          validity: undefined,
        },
      ],
      customAmounts: [],
      rateCardVersion: 1n,
      upcomingRateCards: [],
    });
  });

  test('returns the defaults of terms that the plan file leaves out', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'verts' });
    expect(plan?.terms).toEqual({
      welcome: undefined,
      allowance: undefined,
      overageLimit: undefined,
      lowBalanceLevels: [{ credits: 500n }],
      pauseFloor: 0n,
      reservationTtl: { seconds: 900n, nanos: 0 },
      reservationMaxTtl: { seconds: 86_400n, nanos: 0 },
      lateCommitGrace: { seconds: 300n, nanos: 0 },
      refundExpired: Terms_RefundExpired.BREAKAGE,
      payOwed: false,
      expiringNotice: { seconds: 7n * 86_400n, nanos: 0 },
      timeZone: 'UTC',
    });
  });

  test('returns every kind of price component, with operations ordered by name', async () => {
    const { rateCard } = await scrip.plans.getPlan({ planId: 'everything' });
    const operations = rateCard?.operations ?? [];
    expect(operations.map(({ operation }) => operation)).toEqual([
      'job.cel',
      'job.flat',
      'job.format',
      'job.free',
      'job.pages',
      'job.strict',
      'job.tier',
    ]);
    const of = (name: string) => defined(operations.find(({ operation }) => operation === name));
    expect(of('job.flat')).toEqual({
      operation: 'job.flat',
      title: 'The same for all',
      billable: true,
      quantities: [],
      attributes: [],
      components: [{ label: 'Base', component: { $case: 'flat', value: 7n } }],
    });
    expect(of('job.pages')).toMatchObject({
      quantities: [{ name: 'pages', unit: 'page', min: 1n, max: 500n, defaultValue: undefined }],
      components: [
        { component: { $case: 'flat', value: 2n } },
        { component: { $case: 'perUnit', value: { quantity: 'pages', credits: 3n } } },
      ],
    });
    expect(of('job.tier')).toMatchObject({
      quantities: [{ name: 'size', defaultValue: 10n }],
      components: [
        {
          component: {
            $case: 'tier',
            value: {
              quantity: 'size',
              tiers: [
                { upTo: 10n, credits: 0n },
                { upTo: 100n, credits: 4n },
                { upTo: 300n, credits: 9n },
              ],
            },
          },
        },
      ],
    });
    expect(of('job.format')).toMatchObject({
      attributes: [
        { name: 'format', values: ['pdf', 'png'], defaultValue: 'png' },
        { name: 'quality', values: ['draft', 'final'], defaultValue: undefined },
      ],
      components: [
        {
          component: {
            $case: 'attribute',
            value: {
              attribute: 'format',
              credits: mapOf({ png: 1n, pdf: 6n }),
              defaultCredits: 4n,
            },
          },
        },
        { component: { value: { credits: mapOf({ final: 2n }), defaultCredits: 0n } } },
      ],
    });
    expect(of('job.strict').components).toMatchObject([
      { component: { value: { attribute: 'format', defaultCredits: undefined } } },
    ]);
    expect(of('job.cel').components).toEqual([
      {
        label: 'Pages in tens',
        component: { $case: 'cel', value: '(pages + 9) / 10 * (mode == "deep" ? 3 : 1)' },
      },
    ]);
    expect(of('job.free')).toMatchObject({ billable: false, components: [] });
  });

  test('fails for an unknown plan and an unknown version', async () => {
    expect(await errorOf(scrip.plans.getPlan({ planId: 'gold' }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'PLAN_NOT_FOUND',
      metadata: { plan_id: 'gold' },
    });
    const call = scrip.plans.getPlan({ planId: 'verts', rateCardVersion: 7n });
    expect(await errorOf(call)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'RATE_CARD_VERSION_UNKNOWN',
      metadata: { plan_id: 'verts', version: '7' },
    });
  });

  test('reports an invalid plan id and version together', async () => {
    for (const rateCardVersion of [-1n, 2_147_483_648n, 9_223_372_036_854_775_807n]) {
      const call = scrip.plans.getPlan({ planId: '', rateCardVersion });
      expect((await errorOf(call)).fields.toSorted()).toEqual(['plan_id', 'rate_card_version']);
    }
  });
});

describe('A changed plan file', () => {
  const dearer = planIn(
    withReplaced('label: Base, credits: 7', 'label: Base, credits: 9').replace(
      'limit: 10000',
      'limit: 77',
    ),
  );
  const usages = { items: [{ operation: 'job.flat' }] };
  let before: TestService;
  let after: TestService;
  let accountId: string;
  let reservationId: string;
  beforeAll(async () => {
    before = await startTestService({ plans: [everything] });
    accountId = await before.open('everything');
    await grant(before, accountId, 1_000n);
    const request = { accountId, requestId: requestId(), credits: 50n };
    reservationId = defined((await before.billing.reserve(request)).reservation).reservationId;
    after = await startTestService({ databaseUrl: before.databaseUrl, plans: [dearer] });
  });
  afterAll(async () => {
    await after.stop();
    await before.stop();
  });

  test('makes a new rate card version and new terms, in force at once', async () => {
    const { plan, rateCard } = await after.plans.getPlan({ planId: 'everything' });
    expect([plan?.rateCardVersion, rateCard?.version]).toEqual([2n, 2n]);
    expect(plan?.terms?.overageLimit).toBe(77n);
    const estimate = await after.billing.estimate({ accountId, usages });
    expect(estimate).toMatchObject({ credits: 9n, rateCardVersion: 2n });
    const charge = { accountId, requestId: requestId(), usages };
    const { credits, balance } = await after.billing.charge(charge);
    expect([credits, balance?.overageLimit]).toEqual([9n, 77n]);
  });

  test('keeps the old version readable', async () => {
    const old = await after.plans.getPlan({ planId: 'everything', rateCardVersion: 1n });
    const was = await before.plans.getPlan({ planId: 'everything', rateCardVersion: 1n });
    expect(old.rateCard).toEqual(was.rateCard);
    expect(old.plan?.rateCardVersion).toBe(2n);
  });

  test('keeps an active reservation on its version', async () => {
    const { committed, reservation } = await after.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId,
      usages,
    });
    expect([committed, reservation?.rateCardVersion]).toEqual([7n, 1n]);
    const commits = await entriesOf(after, accountId, { operation: 'job.flat', kinds: [6] });
    expect(commits).toMatchObject([{ rateCardVersion: 1n, usages: [{ credits: 7n }] }]);
  });

  test('allows callers to reserve and charge on the version of an estimate', async () => {
    const shown = await before.billing.estimate({ accountId, usages, rateCardVersion: 1n });
    expect(shown).toMatchObject({ credits: 7n, rateCardVersion: 1n });
    const rateCardVersion = shown.rateCardVersion;
    const request = { accountId, usages, rateCardVersion };
    const { reservation } = await after.billing.reserve({ ...request, requestId: requestId() });
    expect(reservation).toMatchObject({ credits: 7n, rateCardVersion: 1n });
    const charge = await after.billing.charge({ ...request, requestId: requestId() });
    expect(charge.credits).toBe(7n);
    expect((await after.billing.estimate(request)).credits).toBe(7n);
  });

  test('allows a new account to use the old version in the same batch', async () => {
    const fresh = await startTestService({ databaseUrl: before.databaseUrl, plans: [dearer] });
    try {
      const account = { accountId: requestId(), requestId: requestId() };
      const { results } = await fresh.billing.batch({
        mutations: [
          { mutation: { $case: 'openAccount', value: { ...account, planId: 'everything' } } },
          { mutation: { $case: 'charge', value: { ...account, usages, rateCardVersion: 1n } } },
        ],
      });
      expect(results.map(({ result }) => result)).toMatchObject([
        { $case: 'openAccount' },
        { $case: 'charge', value: { credits: 7n } },
      ]);
    } finally {
      await fresh.stop();
    }
  });

  test('makes no new version if the prices did not change', async () => {
    const again = await startTestService({
      databaseUrl: before.databaseUrl,
      plans: [{ ...dearer, title: 'Renamed' }],
    });
    try {
      const { plan } = await again.plans.getPlan({ planId: 'everything' });
      expect(plan).toMatchObject({ title: 'Renamed', rateCardVersion: 2n });
    } finally {
      await again.stop();
    }
  });

  test('fails for a version that was never published', async () => {
    const refused = [
      after.billing.estimate({ accountId, usages, rateCardVersion: 3n }),
      after.billing.reserve({ accountId, requestId: requestId(), usages, rateCardVersion: 3n }),
      after.billing.charge({ accountId, requestId: requestId(), usages, rateCardVersion: 3n }),
    ];
    for (const error of await Promise.all(refused.map(errorOf)))
      expect(error).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'RATE_CARD_VERSION_UNKNOWN',
        metadata: { plan_id: 'everything', version: '3' },
      });
  });

  test('keeps a plan whose file was removed for its accounts', async () => {
    const without = await startTestService({
      databaseUrl: before.databaseUrl,
      plans: await plansOfDeploy(),
    });
    try {
      expect((await without.billing.estimate({ accountId, usages })).credits).toBe(9n);
    } finally {
      await without.stop();
    }
  });
});
