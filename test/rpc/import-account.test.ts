/** ImportAccount and SumImports over a socket, and what follows an import by itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_Category, Grant_Source } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, DAY, defined, entriesOf, storedRows } from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const NOW = Date.UTC(2026, 10, 30, 23, 59, 50);

let scrip: TestService;
let stripe: StripeFake;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ frozenAt: NOW, env: stripe.env });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await expectSoundLedger(scrip.databaseUrl);
  await scrip.stop();
  await stripe.stop();
});

type Request = Parameters<TestService['accounts']['importAccount']>[0];
const imported = (accountId: string, change: Request = {}): Request => ({
  accountId,
  requestId: `import-${accountId}`,
  planId: 'aspose-cloud',
  openedAt: new Date(Date.UTC(2025, 2, 5)),
  system: 'billing-v1',
  ...change,
});
const importAccount = (accountId: string, change: Request = {}) =>
  scrip.accounts.importAccount(imported(accountId, change));

const ALLOWANCE = {
  source: Grant_Source.ALLOWANCE,
  credits: 50n,
  spent: 50n,
  spentThisMonth: 50n,
  effectiveAt: new Date(Date.UTC(2026, 10, 1)),
};
const ORDER = {
  packId: 'prepaid-1000',
  credits: 1_000n,
  price: { currency: 'USD', amount: '20.00' },
  paidAt: new Date(Date.UTC(2026, 1, 1)),
  paymentReference: 'order-1',
  spent: 400n,
  spentThisMonth: 30n,
};
const MONTH = {
  month: '2026-11',
  overage: 120n,
  usage: [{ operation: 'document.convert', count: 200n, credits: 200n }],
};

describe('ImportAccount', () => {
  test('opens an account with its history, and answers a repetition with the first response', async () => {
    const request = {
      displayName: 'Acme',
      grants: [ALLOWANCE],
      purchases: [ORDER],
      month: MONTH,
      file: 'a.jsonl',
    };
    const { account, balance, entrySeq } = await importAccount('acme', request);
    expect(account).toMatchObject({
      displayName: 'Acme',
      openedAt: new Date(Date.UTC(2025, 2, 5)),
      planId: 'aspose-cloud',
    });
    expect(balance).toMatchObject({
      remaining: 600n,
      overage: 120n,
      nextAllowance: { dueAt: new Date(Date.UTC(2026, 11, 1)), credits: 50n },
    });
    expect(entrySeq).toBe(1n);
    const { OPEN_ACCOUNT, GRANT, PURCHASE, IMPORT } = Entry_Kind;
    const entries = await entriesOf(scrip, 'acme');
    expect(entries.map(({ kind }) => kind)).toEqual([OPEN_ACCOUNT, PURCHASE, GRANT, IMPORT]);
    expect(entries.at(-1)?.details).toEqual(
      mapOf({ system: 'billing-v1', file: 'a.jsonl', period_end: '2026-12-01T00:00:00.000Z' }),
    );
    // Neither the name of the file nor a trial makes it another request.
    for (const change of [{}, { file: 'b.jsonl' }, { validateOnly: true }])
      expect(await importAccount('acme', { ...request, ...change })).toMatchObject({
        replay: { firstAnsweredAt: new Date(NOW) },
        balance: { remaining: 600n },
      });
    const { purchases } = await scrip.billing.listPurchases({ accountId: 'acme' });
    expect(purchases).toMatchObject([
      { remaining: 600n, paidAt: ORDER.paidAt, createdAt: ORDER.paidAt },
    ]);
  });

  test('writes nothing where it only validates', async () => {
    const trial = await importAccount('trial', {
      purchases: [ORDER],
      month: { month: '2026-11' },
      validateOnly: true,
    });
    expect(trial).toMatchObject({ balance: { remaining: 600n }, replay: undefined });
    expect(await errorOf(balanceOf(scrip, 'trial'))).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
    const { purchases, month } = { purchases: [ORDER], month: { month: '2026-11' } };
    expect(await importAccount('trial', { purchases, month })).toMatchObject({ replay: undefined });
  });

  test('in a Batch, fails for itself, and each mistake has its reason', async () => {
    const value = (accountId: string, change: Request = {}) => ({
      mutation: { $case: 'importAccount' as const, value: imported(accountId, change) },
    });
    const { results } = await scrip.billing.batch({
      mutations: [
        value('b-1'),
        value('b-2', { purchases: [{ ...ORDER, packId: 'prepaid', spent: 1_001n }] }),
        value('b-3', { planId: 'aspose' }),
        value('b-1', { requestId: 'another', displayName: 'Other' }),
      ] as never,
    });
    expect(
      results.map(({ result }) =>
        result?.$case === 'error' ? result.value.reason : result?.$case,
      ),
    ).toEqual(['importAccount', 'PACK_NOT_FOUND', 'PLAN_NOT_FOUND', 'ACCOUNT_EXISTS']);
    expect(await errorOf(balanceOf(scrip, 'b-2'))).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
  });

  test.each<readonly [string, Request, readonly string[]]>([
    [
      'what is missing',
      { openedAt: undefined, system: '', planId: '', grants: [{}], purchases: [{}], month: {} },
      [
        'plan_id',
        'opened_at',
        'grants[0].source',
        'grants[0].category',
        'grants[0].credits',
        'grants[0].effective_at',
        'purchases[0].payment_reference',
        'purchases[0].pack_id',
        'purchases[0].credits',
        'purchases[0].price',
        'purchases[0].paid_at',
        'month.month',
        'system',
      ],
    ],
    [
      'what is out of range',
      {
        grants: [
          {
            ...ALLOWANCE,
            category: Grant_Category.PAID,
            priority: 101,
            reference: 'x',
            spent: -1n,
          },
          { ...ALLOWANCE, source: Grant_Source.PURCHASE, category: Grant_Category.ADJUSTMENT },
        ],
        purchases: [{ ...ORDER, quantity: 0, paymentReference: '\u200b', paymentIntentId: 'a b' }],
        month: {
          month: '2026-13',
          overage: -1n,
          usage: [{ operation: '', count: 0n, credits: -1n }],
        },
      },
      [
        'grants[0].priority',
        'grants[0].reference',
        'grants[0].category',
        'grants[0].spent',
        'grants[1].source',
        'purchases[0].quantity',
        'purchases[0].payment_reference',
        'purchases[0].payment_intent_id',
        'month.month',
        'month.overage',
        'month.usage[0].operation',
        'month.usage[0].count',
        'month.usage[0].credits',
      ],
    ],
  ])('names %s', async (_, change, fields) => {
    const error = await errorOf(importAccount('invalid', change));
    expect(error).toMatchObject({ reason: 'INVALID_FIELD' });
    expect(error.fields.toSorted()).toEqual(fields.toSorted());
  });

  test('of an account that exists tells so, and changes nothing of it', async () => {
    const accountId = await scrip.open('verts');
    const before = await storedRows(scrip, accountId);
    expect(await errorOf(importAccount(accountId))).toMatchObject({
      reason: 'ACCOUNT_EXISTS',
      metadata: { account_id: accountId },
    });
    expect(await storedRows(scrip, accountId)).toBe(before);
  });
});

describe('SumImports', () => {
  test('sums what was imported, by plan, and nothing that followed', async () => {
    await importAccount('sum-1', { grants: [ALLOWANCE], purchases: [ORDER], month: MONTH });
    const expired = {
      ...ORDER,
      paymentReference: 'order-2',
      expiry: { expiresAt: new Date(Date.UTC(2026, 9, 1)) },
    };
    await importAccount('sum-2', { purchases: [{ ...expired, spentThisMonth: 0n }] });
    await importAccount('sum-3', { planId: 'verts' });
    const charge = { accountId: 'sum-1', requestId: requestId(), credits: 5n };
    await scrip.billing.charge(charge);
    const opened = await scrip.open('verts');
    const accountIds = ['sum-1', 'sum-2', 'sum-3', opened, 'nobody'];
    expect((await scrip.accounts.sumImports({ accountIds })).sums).toEqual([
      {
        planId: 'aspose-cloud',
        accounts: 2n,
        grants: 1n,
        purchases: 2n,
        granted: 2_050n,
        spent: 850n,
        spentThisMonth: 80n,
        expired: 600n,
        overage: 120n,
        paid: [{ currency: 'USD', amount: '40.00' }],
      },
      expect.objectContaining({ planId: 'verts', accounts: 1n, granted: 0n, paid: [] }),
    ]);
  });

  test('says 2^63 − 1 of what comes to more', async () => {
    const accountIds = ['large-1', 'large-2'];
    const credits = 9_000_000_000_000_000_000n;
    const granted = { source: Grant_Source.OPERATOR, category: Grant_Category.PAID };
    const grants = [{ ...ALLOWANCE, ...granted, credits, spent: credits, spentThisMonth: 0n }];
    for (const accountId of accountIds) await importAccount(accountId, { grants });
    const most = 2n ** 63n - 1n;
    expect((await scrip.accounts.sumImports({ accountIds })).sums).toMatchObject([
      { accounts: 2n, grants: 2n, granted: most, spent: most, spentThisMonth: 0n },
    ]);
  });

  test.each([[[]], [['twice', 'twice']], [Array.from({ length: 1_001 }, (_, n) => `a-${n}`)]])(
    'refuses lists that are empty, too long or have duplicates',
    async (accountIds) => {
      expect(await errorOf(scrip.accounts.sumImports({ accountIds }))).toMatchObject({
        reason: 'INVALID_FIELD',
        fields: ['account_ids'],
      });
    },
  );
});

test('a payment that the provider refunds takes back what it bought', async () => {
  // The other system's metadata are its own.
  const intent = stripe.addIntent(2_000, 'usd', { purchase_id: 'order-9' });
  stripe.confirm(intent, 'succeeded');
  const order = {
    ...ORDER,
    paymentReference: 'order-9',
    paymentIntentId: intent.id,
    spentThisMonth: 0n,
  };
  await importAccount('refunded', { purchases: [order] });
  const refunded = stripe.event('charge.refunded', stripe.refund(intent.id, 500));
  expect(await deliver(scrip.service.webhookPort, refunded)).toBe(200);
  const { purchases } = await scrip.billing.listPurchases({ accountId: 'refunded' });
  expect(purchases).toMatchObject([
    { creditsClawedBack: 250n, remaining: 350n, amountRefunded: { amount: '5.00' } },
  ]);
});

test('at the turn of the month its overage is billed once, and its allowance granted once', async () => {
  const accountIds = ['turn-1', 'turn-2', 'turn-3'];
  for (const accountId of accountIds)
    await importAccount(accountId, { grants: [ALLOWANCE], purchases: [ORDER], month: MONTH });
  await importAccount('turn-bare', { planId: 'perfectparser' });
  scrip.setNow(Date.UTC(2026, 11, 1));
  await scrip.service.sweep();
  await scrip.service.sweep();
  for (const accountId of accountIds) {
    const { statements } = await scrip.statements.listStatements({ accountId });
    // 120 at the volume price of the first tier; earlier months were billed elsewhere.
    expect(statements).toMatchObject([
      {
        month: '2026-11',
        overage: 120n,
        total: { currency: 'USD', amount: '2.40' },
        usage: [{ operation: 'document.convert', count: 200n, credits: 200n }],
      },
    ]);
    expect(defined(statements[0]).creditsUsed).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ category: Grant_Category.ALLOWANCE, credits: 50n }),
        expect.objectContaining({ category: Grant_Category.PAID, credits: 30n }),
      ]),
    );
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 650n, overage: 0n });
  }
  // Welcome credits of the plan were granted elsewhere, or never.
  expect(await balanceOf(scrip, 'turn-bare')).toMatchObject({ remaining: 0n });
  scrip.advance(31 * DAY);
  await scrip.service.sweep();
  for (const accountId of accountIds) {
    const { statements } = await scrip.statements.listStatements({ accountId });
    expect(statements.map(({ month, overage }) => [month, overage])).toEqual([
      ['2026-12', 0n],
      ['2026-11', 120n],
    ]);
    const allowances = (await entriesOf(scrip, accountId)).filter(
      ({ details }) => details.get('source') === 'ALLOWANCE',
    );
    expect(allowances.map(({ reference }) => reference)).toEqual(['2026-11', '2026-12', '2027-01']);
  }
  // A month that has ended would be billed in the wrong one.
  expect(
    await errorOf(importAccount('too-late', { month: MONTH, grants: [ALLOWANCE] })),
  ).toMatchObject({
    reason: 'MONTH_NOT_RUNNING',
    metadata: { month: '2026-11', running: '2027-01' },
  });
});
