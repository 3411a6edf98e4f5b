/** Statements, from the first free output of a month to the refund of a billed one. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { OverageRates_Mode } from '../../src/gen/billing/v1/pricing.ts';
import {
  ExportStatementsRequest_Format,
  type Statement,
} from '../../src/gen/billing/v1/statement_service.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, defined, grant } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

const GRADUATED = planIn(`
plan_id: graduated
title: Graduated
terms:
  overage:
    limit: 100000
    mode: graduated
    currency: EUR
    tiers: [{ up_to: 10, price: "1.005" }, { price: "0.5" }]
packs: []
operations:
  job.pages:
    title: Two credits a page
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 500 } }
    components: [{ kind: per_unit, label: Pages, quantity: pages, credits: 2 }]
  job.look: { title: Free, billable: false }
`);
const COUNTED = planIn(`
plan_id: counted
title: Counted
terms: { overage: { limit: 1000 } }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), GRADUATED, COUNTED] });
});
afterAll(() => scrip.stop());
afterEach(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});

const withRequestId = (accountId: string) => ({ accountId, requestId: requestId() });
const statementOf = async (accountId: string, month: string): Promise<Statement> =>
  defined((await scrip.statements.getStatement({ accountId, month })).statement);
const closedStatements = async (accountId: string) =>
  (await scrip.statements.listStatements({ accountId })).statements;
const charge = (accountId: string, operation: string, count = 1n) =>
  scrip.billing.charge({ ...withRequestId(accountId), usages: { items: [{ operation, count }] } });
const pages = (many: bigint, count = 1n) => ({
  operation: 'job.pages',
  quantities: mapOf({ pages: many }),
  count,
});
const usd = (amount: string) => ({ currency: 'USD', amount });
const day = (year: number, month: number, date: number) => Date.UTC(year, month - 1, date, 12);

describe('50 outputs are free, then prepaid credits are used, and the rest is billed by volume', () => {
  let accountId: string;
  let billed: bigint;

  test('an open month is computed as if it were closed now', async () => {
    scrip.setNow(day(2031, 1, 10));
    accountId = await scrip.open('aspose-cloud');
    await charge(accountId, 'document.convert', 50n);
    await scrip.billing.purchase({
      ...withRequestId(accountId),
      packId: 'prepaid-1000',
      payment: { $case: 'paymentReference', value: 'order-1' },
    });
    await charge(accountId, 'document.upload');
    await charge(accountId, 'ocr.recognize', 900n);
    billed = (await charge(accountId, 'document.convert', 12_100n)).entrySeq;
    const statement = await statementOf(accountId, '2031-01');
    expect(statement).toEqual({
      accountId,
      month: '2031-01',
      planId: 'aspose-cloud',
      closedAt: undefined,
      afterSeq: 0n,
      lastSeq: billed,
      usage: [
        { operation: 'document.convert', count: 12_150n, credits: 12_150n, refunded: 0n },
        { operation: 'document.upload', count: 1n, credits: 0n, refunded: 0n },
        { operation: 'ocr.recognize', count: 900n, credits: 900n, refunded: 0n },
      ],
      creditsUsed: [
        { category: Grant_Category.PAID, credits: 1_000n },
        { category: Grant_Category.ALLOWANCE, credits: 50n },
      ],
      overage: 12_000n,
      owed: 0n,
      owedPaid: 0n,
      overageRates: {
        mode: OverageRates_Mode.VOLUME,
        currency: 'USD',
        tiers: [
          { upTo: 9_999n, unitPrice: '0.020' },
          { upTo: 99_999n, unitPrice: '0.015' },
          { upTo: undefined, unitPrice: '0.010' },
        ],
      },
      overageLines: [{ tier: 2, quantity: 12_000n, unitPrice: '0.015', amount: usd('180.00') }],
      adjustments: [],
      total: usd('180.00'),
      otherTotals: [],
    });
    expect(await closedStatements(accountId)).toEqual([]);
    const { plan } = await scrip.plans.getPlan({ planId: 'aspose-cloud' });
    expect(plan?.terms?.overageRates).toEqual(statement.overageRates);
  });

  test('a month is closed once, by the first sweep after its end, with an event', async () => {
    const open = await statementOf(accountId, '2031-01');
    scrip.setNow(Date.UTC(2031, 1, 1));
    await scrip.service.sweep();
    await scrip.service.sweep();
    const [closed, ...others] = await closedStatements(accountId);
    expect(others).toEqual([]);
    expect(closed).toEqual({ ...open, closedAt: expect.any(Date) });
    expect(defined(closed?.closedAt).getTime()).toBeGreaterThanOrEqual(Date.UTC(2031, 1, 1));
    expect(
      await execute(
        scrip.databaseUrl,
        `select data from events where account_id = $1 and type = 'statement.closed'`,
        [accountId],
      ),
    ).toEqual([{ data: { month: '2031-01', overage: '12000', currency: 'USD', total: '180.00' } }]);
  });

  test('a refund in the next month is an adjustment of exactly its price', async () => {
    scrip.setNow(day(2031, 2, 10));
    await charge(accountId, 'document.convert', 51n);
    await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: billed,
      credits: 1_001n,
    });
    const closed = await statementOf(accountId, '2031-01');
    expect([closed.overage, closed.total]).toEqual([12_000n, usd('180.00')]);
    const open = await statementOf(accountId, '2031-02');
    expect(open).toMatchObject({
      overage: 1n,
      adjustments: [{ month: '2031-01', credits: 1_001n, amount: usd('-15.02') }],
      total: usd('-15.00'),
    });
    expect((await balanceOf(scrip, accountId)).overage).toBe(1n);
  });

  test('a refund that drops out of a cheaper tier does not make the month more expensive', async () => {
    scrip.setNow(day(2031, 3, 10));
    await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: billed,
      credits: 2_999n,
    });
    // 8,000 credits would cost 160.00, more than the 150.00 for 10,000.
    const march = await statementOf(accountId, '2031-03');
    expect(march.adjustments).toEqual([
      { month: '2031-01', credits: 2_999n, amount: usd('-14.98') },
    ]);
    scrip.setNow(day(2031, 4, 10));
    await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: billed,
      all: true,
    });
    const april = await statementOf(accountId, '2031-04');
    // The whole price of the overage is given back; the rest of the refund was prepaid.
    expect(april.adjustments).toEqual([
      { month: '2031-01', credits: 8_000n, amount: usd('-150.00') },
    ]);
    expect(
      (await closedStatements(accountId)).map(({ month, total }) => [month, total?.amount]),
    ).toEqual([
      ['2031-03', '-14.98'],
      ['2031-02', '-15.00'],
      ['2031-01', '180.00'],
    ]);
  });
});

describe('usage by operation', () => {
  test('follows the order of the reserved usages, up to the committed credits', async () => {
    scrip.setNow(day(2031, 5, 10));
    const accountId = await scrip.open('graduated');
    const { reservation } = await scrip.billing.reserve({
      ...withRequestId(accountId),
      usages: { items: [pages(5n, 3n), { operation: 'job.look' }, pages(1n)] },
    });
    const { reservationId } = defined(reservation);
    await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId,
      credits: 11n,
      final: false,
    });
    expect((await statementOf(accountId, '2031-05')).usage).toEqual([
      { operation: 'job.pages', count: 2n, credits: 11n, refunded: 0n },
    ]);
    await scrip.billing.commit({ ...withRequestId(accountId), reservationId, all: true });
    await scrip.billing.charge({ ...withRequestId(accountId), credits: 7n });
    expect(await statementOf(accountId, '2031-05')).toMatchObject({
      usage: [
        { operation: 'job.look', count: 1n, credits: 0n, refunded: 0n },
        { operation: 'job.pages', count: 4n, credits: 32n, refunded: 0n },
        { operation: '', count: 0n, credits: 7n, refunded: 0n },
      ],
      overage: 39n,
      overageLines: [
        { tier: 1, quantity: 10n, amount: { amount: '10.05' } },
        { tier: 2, quantity: 29n, amount: { amount: '14.50' } },
      ],
      total: { currency: 'EUR', amount: '24.55' },
    });
  });

  test('excludes what was refunded within the month', async () => {
    scrip.setNow(day(2031, 5, 20));
    const accountId = await scrip.open('graduated');
    await grant(scrip, accountId, 10n, { category: Grant_Category.PROMOTIONAL });
    const { entrySeq: seq } = await scrip.billing.charge({
      ...withRequestId(accountId),
      usages: { items: [pages(4n), { operation: 'job.look' }, pages(6n)] },
    });
    await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq,
      credits: 13n,
    });
    await scrip.billing.refund({ reason: 'a test', ...withRequestId(accountId), seq, credits: 1n });
    expect(await statementOf(accountId, '2031-05')).toMatchObject({
      usage: [
        { operation: 'job.look', count: 1n, credits: 0n, refunded: 0n },
        { operation: 'job.pages', count: 2n, credits: 6n, refunded: 14n },
      ],
      creditsUsed: [{ category: Grant_Category.PROMOTIONAL, credits: 6n }],
      overage: 0n,
      overageLines: [],
      adjustments: [],
      total: { currency: 'EUR', amount: '0.00' },
    });
  });

  test('belongs to the month of the commit, late or not', async () => {
    scrip.setNow(Date.UTC(2031, 4, 31, 23, 50));
    const accountId = await scrip.open('graduated');
    const reserve = async (many: bigint) =>
      defined(
        (
          await scrip.billing.reserve({
            ...withRequestId(accountId),
            usages: { items: [pages(many)] },
          })
        ).reservation,
      ).reservationId;
    const [over, late] = [await reserve(3n), await reserve(4n)];
    scrip.setNow(Date.UTC(2031, 5, 1, 0, 2));
    await scrip.billing.commit({ ...withRequestId(accountId), reservationId: over, all: true });
    scrip.setNow(Date.UTC(2031, 5, 1, 0, 8));
    const committed = await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId: late,
      all: true,
    });
    expect(committed.reservation?.late).toBe(true);
    expect(await statementOf(accountId, '2031-05')).toMatchObject({ usage: [], overage: 0n });
    expect(await statementOf(accountId, '2031-06')).toMatchObject({
      usage: [{ operation: 'job.pages', count: 2n, credits: 14n, refunded: 0n }],
      overage: 14n,
    });
    // Refunded in the month of the commit, after the month of the reservation.
    await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: committed.entrySeq,
      all: true,
    });
    expect(await statementOf(accountId, '2031-06')).toMatchObject({
      usage: [{ operation: 'job.pages', count: 2n, credits: 6n, refunded: 8n }],
      overage: 6n,
    });
  });
});

describe('a month', () => {
  test('without usage is closed too, also after several months without a sweep', async () => {
    scrip.setNow(day(2032, 1, 10));
    const accountId = await scrip.open('graduated');
    scrip.setNow(Date.UTC(2032, 3, 1));
    await scrip.service.sweep();
    const eur = { currency: 'EUR', amount: '0.00' };
    expect(await closedStatements(accountId)).toMatchObject(
      ['2032-03', '2032-02', '2032-01'].map((month) => ({ month, usage: [], total: eur })),
    );
  });

  test('is closed before its statement is shown, without a sweep', async () => {
    scrip.setNow(day(2032, 5, 10));
    const accountId = await scrip.open('graduated');
    scrip.setNow(Date.UTC(2032, 5, 1));
    expect((await statementOf(accountId, '2032-05')).closedAt).toBeInstanceOf(Date);
    scrip.setNow(Date.UTC(2032, 6, 1));
    expect(await closedStatements(accountId)).toHaveLength(2);
  });

  test('has no total if the plan has no overage rates', async () => {
    scrip.setNow(day(2032, 7, 10));
    const accountId = await scrip.open('counted');
    const { entrySeq: seq } = await charge(accountId, 'job.one', 5n);
    scrip.setNow(day(2032, 8, 10));
    await scrip.billing.refund({ reason: 'a test', ...withRequestId(accountId), seq, all: true });
    const [july, august] = [
      await statementOf(accountId, '2032-07'),
      await statementOf(accountId, '2032-08'),
    ];
    expect(july).toMatchObject({ overage: 5n, overageLines: [], adjustments: [] });
    expect([july.overageRates, july.total]).toEqual([undefined, undefined]);
    expect(august.adjustments).toEqual([{ month: '2032-07', credits: 5n, amount: undefined }]);
  });

  test('of a prepaid plan is never closed, and is computed for each call', async () => {
    scrip.setNow(day(2032, 9, 10));
    const accountId = await scrip.open('perfectparser');
    await scrip.billing.charge({ ...withRequestId(accountId), credits: 3n });
    scrip.setNow(day(2032, 11, 10));
    await scrip.service.sweep();
    expect(await closedStatements(accountId)).toEqual([]);
    const september = await statementOf(accountId, '2032-09');
    expect(september).toMatchObject({
      planId: 'perfectparser',
      usage: [{ operation: '', count: 0n, credits: 3n }],
      creditsUsed: [{ category: Grant_Category.PROMOTIONAL, credits: 3n }],
      overage: 0n,
    });
    expect([september.closedAt, september.total]).toEqual([undefined, undefined]);
  });

  test('after the account was closed is closed only if something is owed', async () => {
    scrip.setNow(day(2033, 1, 10));
    const accountId = await scrip.open('graduated');
    const { entrySeq: seq } = await scrip.billing.charge({
      ...withRequestId(accountId),
      credits: 20n,
    });
    await scrip.accounts.closeAccount(withRequestId(accountId));
    scrip.setNow(day(2033, 5, 10));
    await scrip.service.sweep();
    expect((await closedStatements(accountId)).map(({ month }) => month)).toEqual(['2033-01']);
    await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq,
      credits: 10n,
    });
    scrip.setNow(day(2033, 9, 10));
    await scrip.service.sweep();
    expect(await closedStatements(accountId)).toMatchObject([
      {
        month: '2033-05',
        planId: 'graduated',
        adjustments: [{ month: '2033-01', credits: 10n, amount: { amount: '-5.00' } }],
        total: { currency: 'EUR', amount: '-5.00' },
      },
      { month: '2033-01', total: { amount: '15.05' } },
    ]);
    const due = 'select statement_due_at from accounts where account_id = $1';
    expect(await execute(scrip.databaseUrl, due, [accountId])).toEqual([
      { statement_due_at: null },
    ]);
  });
});

describe('requests', () => {
  test('for months before the account was opened, in the future or invalid fail', async () => {
    scrip.setNow(day(2034, 3, 10));
    const accountId = await scrip.open('graduated');
    for (const month of ['2034-02', '2034-04', '', '2034-3', '2034-13', '2034-03-01'])
      expect(
        await errorOf(scrip.statements.getStatement({ accountId, month })),
        month,
      ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['month'] });
  });

  test('for unknown accounts fail', async () => {
    const accountId = 'nobody';
    const got = scrip.statements.getStatement({ accountId, month: '2034-03' });
    expect((await errorOf(got)).reason).toBe('ACCOUNT_NOT_FOUND');
    const listed = scrip.statements.listStatements({ accountId });
    expect((await errorOf(listed)).reason).toBe('ACCOUNT_NOT_FOUND');
  });

  test('list closed statements page by page', async () => {
    scrip.setNow(day(2035, 1, 10));
    const accountId = await scrip.open('graduated');
    scrip.setNow(day(2035, 6, 10));
    const months: string[] = [];
    let pageToken = '';
    do {
      const page = await scrip.statements.listStatements({ accountId, pageSize: 2, pageToken });
      expect(page.statements.length).toBeLessThanOrEqual(2);
      months.push(...page.statements.map(({ month }) => month));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(months).toEqual(['2035-05', '2035-04', '2035-03', '2035-02', '2035-01']);
    const forged = { accountId, pageToken: 'e30' };
    expect((await errorOf(scrip.statements.listStatements(forged))).fields).toEqual(['page_token']);
  });
});

test('more credits in a month than an int64 has are stated as the largest, and exactly in CSV', async () => {
  const month = '2037-05';
  scrip.setNow(day(2037, 5, 10));
  const accountId = await scrip.open('counted');
  const most = 9_000_000_000_000_000_000n;
  for (const more of [0n, 1n]) {
    await grant(scrip, accountId, most);
    const id = withRequestId(accountId);
    const { entrySeq: seq } = await scrip.billing.charge({ ...id, credits: most + more });
    await scrip.billing.refund({
      ...{ ...withRequestId(accountId), seq, credits: 1n, reason: 'a test' },
    });
    await scrip.billing.charge({ ...withRequestId(accountId), credits: 1n });
  }
  const largest = 9_223_372_036_854_775_807n;
  const expected = {
    usage: [{ operation: '', count: 0n, credits: largest, refunded: 2n }],
    creditsUsed: [{ category: Grant_Category.PAID, credits: largest }],
    overage: 1n,
  };
  expect(await statementOf(accountId, month)).toMatchObject(expected);
  scrip.setNow(day(2037, 6, 10));
  await charge(accountId, 'job.one');
  expect(await closedStatements(accountId)).toMatchObject([{ month, ...expected }]);
  const csv: Uint8Array[] = [];
  for await (const { content } of scrip.statements.exportStatements({
    ...{ of: { $case: 'accountId', value: accountId }, fromMonth: month },
    format: ExportStatementsRequest_Format.CSV,
  }))
    csv.push(content);
  expect(Buffer.concat(csv).toString()).toContain('credits,PAID,,18000000000000000000,');
});
