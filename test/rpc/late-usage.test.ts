/** Late usage over a socket: what was used last month is charged to last month, until its statement is closed. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BudgetEnforcement, BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { GetUsageRequest_Granularity as Granularity } from '../../src/gen/billing/v1/statement_service.ts';
import { verify } from '../../src/verify/verify.ts';
import { defined } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

const planOf = (planId: string, limit: number, price = '0.1') =>
  planIn(`
plan_id: ${planId}
title: Late
terms:
  late_usage: 3d
  allowance: { credits: 50, every: month, rollover: none }
  overage: { limit: ${limit}, mode: graduated, currency: USD, tiers: [{ price: "${price}" }] }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
changes:
  - from: 2031-05-20
    operations:
      job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 2 }] }
`);

const LATE = planOf('late', 1000);
/** It allows less overage. */
const LESS = planOf('less', 100);
const DEARER = planOf('dearer', 1000, '0.2');

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [...(await plansOfDeploy()), LATE, LESS, DEARER],
    frozenAt: Date.UTC(2031, 0, 2),
  });
});
afterAll(() => scrip.stop());
afterEach(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});

const kindName = (kind: Entry_Kind) =>
  Object.entries(Entry_Kind).find(([, value]) => value === kind)?.[0];
const at = (text: string): Date => new Date(`2031-${text}Z`);

let accountId: string;
const use = (credits: bigint, usedAt?: Date, id = requestId()) =>
  scrip.billing.charge({ accountId, requestId: id, credits, ...(usedAt && { usedAt }) });
const entries = async () =>
  (await scrip.billing.listEntries({ accountId, pageSize: 500 })).entries.toReversed();
const statement = async (month: string) =>
  defined((await scrip.statements.getStatement({ accountId, month })).statement);

describe('usage of the month before', () => {
  beforeEach(async () => {
    scrip.setNow(at('03-10T12:00').getTime());
    accountId = await scrip.open('late');
    await use(45n);
    scrip.setNow(at('04-02T12:00').getTime());
  });

  test('is on the statement of that month, which is closed after the window', async () => {
    await use(60n);
    const late = await use(25n, at('03-31T10:00'));
    expect(late.split).toMatchObject([
      { source: { $case: 'grantId', value: 1n }, credits: 5n },
      { source: { $case: 'overage' }, credits: 20n },
    ]);
    expect(late.balance).toMatchObject({ overage: 10n });

    const open = await statement('2031-03');
    expect(open).toMatchObject({ closedAt: undefined, overage: 20n, total: { amount: '2.00' } });
    expect(await statement('2031-04')).toMatchObject({ overage: 10n, total: { amount: '1.00' } });

    scrip.setNow(at('04-04T00:00').getTime());
    const march = await statement('2031-03');
    expect(march).toMatchObject({
      closedAt: at('04-04T00:00'),
      overage: 20n,
      usage: [{ operation: '', credits: 70n }],
      total: { amount: '2.00' },
    });
    scrip.setNow(at('05-04T00:00').getTime());
    expect(await statement('2031-04')).toMatchObject({
      afterSeq: march.lastSeq,
      overage: 10n,
      usage: [{ operation: '', credits: 60n }],
    });
  });

  test('is shown by entries: what had expired returns right before it', async () => {
    await use(7n, at('03-31T10:00'), 'late-1');
    const [reinstated, charged] = (await entries()).slice(-2);
    expect(reinstated).toMatchObject({
      kind: Entry_Kind.REINSTATE,
      grantId: 1n,
      credits: 5n,
      caller: 'scrip',
      requestId: '',
      purchaseId: '',
      usedAt: at('03-31T10:00'),
    });
    expect(charged).toMatchObject({
      kind: Entry_Kind.CHARGE,
      requestId: 'late-1',
      at: at('04-02T12:00'),
      usedAt: at('03-31T10:00'),
    });
  });

  test('that is refunded expires again, and is an adjustment of its month', async () => {
    await use(50n);
    const { entrySeq } = await use(25n, at('03-31T10:00'));
    const refunded = await scrip.billing.refund({
      accountId,
      requestId: requestId(),
      seq: entrySeq,
      all: true,
      reason: 'broken',
    });
    expect(refunded).toMatchObject({ refunded: 25n, expired: 5n });
    // While March is open, April says what it will adjust.
    expect(await statement('2031-04')).toMatchObject({
      overage: 0n,
      adjustments: [{ month: '2031-03', credits: 20n, amount: { amount: '-2.00' } }],
      total: { amount: '-2.00' },
    });
    scrip.setNow(at('05-04T00:00').getTime());
    expect(await statement('2031-03')).toMatchObject({ overage: 20n });
    expect(await statement('2031-04')).toMatchObject({
      adjustments: [{ month: '2031-03', credits: 20n, amount: { amount: '-2.00' } }],
      usage: [{ credits: 50n }],
    });
  });

  test('is answered again after its statement was closed, and not charged again', async () => {
    const first = await use(9n, at('03-31T10:00'), 'late-2');
    scrip.setNow(at('04-20T00:00').getTime());
    await statement('2031-03');
    const { replay, ...again } = await use(9n, at('03-31T10:00'), 'late-2');
    expect(replay).toBeDefined();
    expect(again).toEqual({ ...first, replay: undefined });
    const reused = await errorOf(use(9n, at('03-31T10:01'), 'late-2'));
    expect(reused.reason).toBe('REQUEST_ID_REUSED');
    expect((await errorOf(use(9n, undefined, 'late-2'))).reason).toBe('REQUEST_ID_REUSED');
    const refused = await errorOf(use(9n, at('03-31T10:00')));
    expect(refused).toMatchObject({
      reason: 'LATE_USAGE_NOT_ALLOWED',
      metadata: { field: 'used_at', earliest: '2031-04-17T00:00:00.000Z', plan_id: 'late' },
    });
  });

  test('is reserved and committed to its month, in batches as well', async () => {
    const usedAt = at('03-31T10:00');
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 12n,
      usedAt,
    });
    const { reservationId = '' } = reservation ?? {};
    expect(reservation).toMatchObject({ usedAt, credits: 12n });
    await scrip.billing.batch({
      atomic: true,
      mutations: [
        {
          mutation: {
            $case: 'commit',
            value: { accountId, requestId: requestId(), reservationId, credits: 8n },
          },
        },
        {
          mutation: {
            $case: 'charge',
            value: { accountId, requestId: requestId(), credits: 3n, usedAt },
          },
        },
      ],
    });
    expect((await statement('2031-03')).usage).toMatchObject([{ credits: 45n + 8n + 3n }]);
    expect((await statement('2031-04')).usage).toEqual([]);
  });

  test('is in the usage report of its hour', async () => {
    await use(7n, at('03-31T10:20'));
    const { rows } = await scrip.statements.getUsage({
      of: { $case: 'accountId', value: accountId },
      from: at('03-31T00:00'),
      to: at('04-03T00:00'),
      granularity: Granularity.HOUR,
    });
    expect(rows).toMatchObject([{ startsAt: at('03-31T10:00'), credits: 7n }]);
  });

  test('counts in the budget of its month', async () => {
    scrip.setNow(at('04-02T13:00').getTime());
    await scrip.accounts.setBudget({
      accountId,
      requestId: requestId(),
      budget: {
        budgetId: 'ann',
        dimension: { $case: 'label', value: 'user' },
        value: 'ann',
        credits: 10n,
        period: BudgetPeriod.MONTH,
        enforcement: BudgetEnforcement.HARD,
        exceptions: [],
      },
      reason: 'a test',
    });
    const byAnn = (credits: bigint, usedAt?: Date) =>
      scrip.billing.charge({
        accountId,
        requestId: requestId(),
        credits,
        labels: new Map([['user', 'ann']]),
        ...(usedAt && { usedAt }),
      });
    await byAnn(10n);
    await byAnn(10n, at('03-31T10:00'));
    expect((await errorOf(byAnn(1n, at('03-31T10:00')))).reason).toBe('BUDGET_EXCEEDED');
  });
});

test('in shadow mode nothing returns, and it is no overage of the month that runs', async () => {
  scrip.setNow(at('10-10T12:00').getTime());
  accountId = await scrip.open('late');
  scrip.setNow(at('11-02T12:00').getTime());
  const shadow = (enabled: boolean) =>
    scrip.accounts.setShadowMode({
      accountId,
      requestId: requestId(),
      enabled,
      reason: 'a test',
    });
  await shadow(true);
  const late = await use(70n, at('10-31T10:00'));
  expect(late.split).toMatchObject([
    { source: { $case: 'grantId', value: 2n }, credits: 50n },
    { source: { $case: 'overage' }, credits: 20n },
  ]);
  expect(late.balance).toMatchObject({ remaining: 0n, overage: 0n });
  const refunded = await scrip.billing.refund({
    accountId,
    requestId: requestId(),
    seq: late.entrySeq,
    credits: 20n,
    reason: 'broken',
  });
  expect(refunded.balance).toMatchObject({ remaining: 0n, overage: 0n });
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await shadow(false);
  expect((await entries()).map(({ kind }) => kind)).not.toContain(Entry_Kind.REINSTATE);
});

test('of an imported account usage can be as late as its import', async () => {
  const importedAt = at('03-10T12:00');
  scrip.setNow(importedAt.getTime());
  accountId = 'imported';
  const month = { month: '2031-03', overage: 20n, usage: [] };
  const opening = { planId: 'late', openedAt: at('01-05T00:00'), system: 'billing-v1', month };
  await scrip.accounts.importAccount({ accountId, requestId: requestId(), ...opening });
  scrip.setNow(at('03-11T12:00').getTime());
  const before = at('03-10T11:00');
  const refused = {
    reason: 'LATE_USAGE_NOT_ALLOWED',
    metadata: { earliest: importedAt.toISOString() },
  };
  expect(await errorOf(use(1n, before))).toMatchObject(refused);
  const job = { accountId, requestId: requestId(), credits: 1n, usedAt: before };
  expect(await errorOf(scrip.billing.reserve(job))).toMatchObject(refused);
  expect((await use(1n, importedAt)).balance).toMatchObject({ overage: 21n });
});

test('a reservation takes most of an allowance that expired as a whole', async () => {
  scrip.setNow(at('08-10T12:00').getTime());
  accountId = await scrip.open('late');
  scrip.setNow(at('09-02T12:00').getTime());
  await use(1n);
  const { reservation } = await scrip.billing.reserve({
    accountId,
    requestId: requestId(),
    credits: 40n,
    usedAt: at('08-31T10:00'),
  });
  expect(reservation?.allocations).toMatchObject([{ source: { value: 1n }, credits: 40n }]);
});

test('a plan that allows less keeps what late usage has used of the month before', async () => {
  scrip.setNow(at('10-10T12:00').getTime());
  accountId = await scrip.open('late');
  await use(50n);
  scrip.setNow(at('11-02T12:00').getTime());
  await use(50n);
  await use(200n, at('10-31T10:00'));
  await scrip.accounts.moveAccount({
    ...{ accountId, requestId: requestId(), planId: 'less', reason: 'a test' },
  });
  expect(await statement('2031-10')).toMatchObject({ overage: 200n });
});

test.each([
  ['in time', at('11-05T12:00')],
  ['late', at('12-10T12:00')],
])(
  'a month is priced by the plan that the account left in it, while the month before was open; that is closed %s',
  async (_, closedAt) => {
    scrip.setNow(at('10-10T12:00').getTime());
    accountId = await scrip.open('late');
    await use(60n);
    const move = (planId: string) =>
      scrip.accounts.moveAccount({ accountId, requestId: requestId(), planId, reason: 'a test' });
    scrip.setNow(at('11-01T12:00').getTime());
    await move('dearer');
    await use(60n);
    scrip.setNow(at('11-02T12:00').getTime());
    await move('verts');
    expect(await statement('2031-11')).toMatchObject({
      planId: 'dearer',
      total: { amount: '2.00' },
    });
    scrip.setNow(closedAt.getTime());
    await scrip.service.sweep();
    expect(await statement('2031-10')).toMatchObject({ planId: 'late', total: { amount: '1.00' } });
    scrip.setNow(at('12-10T12:00').getTime());
    await scrip.service.sweep();
    expect(await statement('2031-11')).toMatchObject({
      planId: 'dearer',
      total: { amount: '2.00' },
    });
  },
);

describe('while a month is still to be closed that ended before the last one', () => {
  beforeEach(async () => {
    scrip.setNow(at('01-10T12:00').getTime());
    accountId = await scrip.open('late');
    await use(60n);
  });

  test('the last one takes usage of the plan that prices it', async () => {
    scrip.setNow(at('03-01T12:00').getTime());
    await use(120n, at('02-28T12:00'));
    expect(await statement('2031-02')).toMatchObject({ planId: 'late', overage: 20n });
    await scrip.service.sweep();
    expect(await statement('2031-01')).toMatchObject({ overage: 10n, total: { amount: '1.00' } });
    scrip.setNow(at('03-04T12:00').getTime());
    await scrip.service.sweep();
    expect(await statement('2031-02')).toMatchObject({ overage: 20n, total: { amount: '2.00' } });
  });

  test('the last one takes none where no plan prices it', async () => {
    // MoveAccount closes what is due before it moves the account. A Batch does not.
    const move = async (planId: string) => {
      const value = { accountId, requestId: requestId(), planId, reason: 'a test' };
      await scrip.billing.batch({ mutations: [{ mutation: { $case: 'moveAccount', value } }] });
    };
    scrip.setNow(at('01-20T12:00').getTime());
    await move('verts');
    scrip.setNow(at('03-01T12:00').getTime());
    await move('late');
    const refused = {
      reason: 'LATE_USAGE_NOT_ALLOWED',
      metadata: { earliest: '2031-03-01T00:00:00.000Z' },
    };
    expect(await errorOf(use(1n, at('02-28T12:00')))).toMatchObject(refused);
    expect((await statement('2031-02')).total).toBeUndefined();
    await scrip.service.sweep();
    expect(await statement('2031-01')).toMatchObject({ planId: 'late', total: { amount: '1.00' } });
    expect(await errorOf(use(1n, at('02-28T12:00')))).toMatchObject(refused);
    expect((await statement('2031-02')).total).toBeUndefined();
  });
});

test('usage has the prices of its time', async () => {
  scrip.setNow(at('05-19T12:00').getTime());
  accountId = await scrip.open('late');
  scrip.setNow(at('05-21T12:00').getTime());
  const one = (usedAt?: Date) =>
    scrip.billing.charge({
      accountId,
      requestId: requestId(),
      usages: { items: [{ operation: 'job.one', count: 1n }] },
      ...(usedAt && { usedAt }),
    });
  expect((await one()).credits).toBe(2n);
  expect((await one(at('05-19T23:59:59.999'))).credits).toBe(1n);
  expect((await one(at('05-20T00:00'))).credits).toBe(2n);
});

test('an account that nobody touched since is settled and charged in one call', async () => {
  scrip.setNow(at('06-10T12:00').getTime());
  accountId = await scrip.open('late');
  scrip.setNow(at('07-02T12:00').getTime());
  await use(8n, at('06-30T23:00'));
  expect((await entries()).slice(-4).map(({ kind, credits }) => [kindName(kind), credits])).toEqual(
    [
      ['GRANT_EXPIRED', 50n],
      ['GRANT', 50n],
      ['REINSTATE', 8n],
      ['CHARGE', 8n],
    ],
  );
  const rows = await execute(
    scrip.databaseUrl,
    'select grant_id, remaining, expired, state from grants where account_id = $1 order by grant_id',
    [accountId],
  );
  expect(rows).toMatchObject([
    { grant_id: '1', remaining: '0', expired: '42', state: 'EXPIRED' },
    { grant_id: '2', remaining: '50', expired: null, state: 'OPEN' },
  ]);
});
