/** GetUsage: what accounts used, summed by what the caller asks for. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VoidGrantRequest_Returned as Returned } from '../../src/gen/billing/v1/account_service.ts';
import {
  GetUsageRequest_Dimension as By,
  type GetUsageRequest,
  type GetUsageResponse,
  GetUsageRequest_Granularity as Per,
  type UsageSum,
} from '../../src/gen/billing/v1/statement_service.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, defined, grant, HOUR, MINUTE, newestEntry } from '../accounts.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const START = Date.UTC(2031, 4, 10, 12, 30);

const PLAN = planIn(`
plan_id: docs
title: Documents
terms:
  reservation: { ttl: 15m, max_ttl: 1h, grace: 1h }
packs: []
operations:
  read:
    title: Reads pages
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 1000 } }
    components: [{ kind: per_unit, label: Pages, quantity: pages, credits: 2 }]
  look:
    title: Looks
    billable: false
`);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [PLAN], frozenAt: START });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });
  await scrip.stop();
});

const named = (accountId: string) => ({ accountId, requestId: requestId() });
const pages = (count: bigint, times = 1n) => ({
  items: [{ operation: 'read', quantities: mapOf({ pages: count }), count: times }],
});
const of = (accountId: string) => ({ of: { $case: 'accountId', value: accountId } }) as const;

async function open(credits = 1_000n): Promise<string> {
  const accountId = await scrip.open('docs');
  await grant(scrip, accountId, credits);
  return accountId;
}

const charge = (accountId: string, count: bigint, labels: Readonly<Record<string, string>> = {}) =>
  scrip.billing.charge({ ...named(accountId), usages: pages(count), labels: mapOf(labels) });

const usage = (
  accountId: string,
  request: Partial<GetUsageRequest> = {},
): Promise<GetUsageResponse> => scrip.statements.getUsage({ ...of(accountId), ...request });

/** Such as "read ×2 20 −4 pages 10": what a row says, without what is 0. */
const textOf = ({ operation, count, credits, refunded, quantities, ...row }: UsageSum): string =>
  [
    ...[row.accountId, operation, row.caller, row.planId && `v${row.rateCardVersion}`],
    ...[row.labelValue ?? '', row.otherLabelValues ? '(others)' : ''],
    ...[count > 0n ? `×${count}` : '', `${credits}`, refunded > 0n ? `−${refunded}` : ''],
    ...[...quantities].map(([name, total]) => `${name} ${total}`),
  ]
    .filter(Boolean)
    .join(' ');

const rowsOf = ({ rows }: GetUsageResponse) => rows.map(textOf);
const byOperation = { groupBy: [By.OPERATION] };

describe('a report of an account', () => {
  test('counts what was charged, at once', async () => {
    const accountId = await open();
    await scrip.billing.charge({ ...named(accountId), usages: pages(5n, 3n) });
    await scrip.billing.charge({ ...named(accountId), credits: 7n });
    await scrip.billing.charge({
      ...named(accountId),
      usages: { items: [{ operation: 'look', count: 4n }] },
    });
    const report = await usage(accountId, byOperation);
    expect(rowsOf(report)).toEqual(['7', 'look ×4 0', 'read ×3 30 pages 15']);
    expect(report.exactUpToSeq).toBe((await newestEntry(scrip, accountId)).seq);
    expect(report.exactBefore).toEqual(new Date(scrip.now()));
    expect(rowsOf(await usage(accountId))).toEqual(['×7 37 pages 15']);
  });

  test('is divided by caller and rate card version', async () => {
    const accountId = await open();
    await charge(accountId, 1n);
    const groupBy = [By.CALLER, By.RATE_CARD_VERSION];
    expect(rowsOf(await usage(accountId, { groupBy }))).toEqual(['test v1 ×1 2 pages 1']);
    const [row] = (await usage(accountId, { groupBy })).rows;
    expect(row).toMatchObject({ planId: 'docs', accountId: '', operation: '' });
  });

  test('is empty where nothing was used', async () => {
    expect(rowsOf(await usage(await open(), byOperation))).toEqual([]);
  });
});

describe('in usage', () => {
  test('a reservation counts nothing, and its commits without usages count those it was for', async () => {
    const accountId = await open();
    const reserved = await scrip.billing.reserve({ ...named(accountId), usages: pages(5n, 4n) });
    const { reservationId } = defined(reserved.reservation);
    expect(rowsOf(await usage(accountId, byOperation))).toEqual([]);
    const commit = { accountId, reservationId };
    await scrip.billing.commit({ ...commit, requestId: requestId(), credits: 15n, final: false });
    // 15 credits begin to pay for two of four times 5 pages.
    expect(rowsOf(await usage(accountId, byOperation))).toEqual(['read ×2 15 pages 10']);
    await scrip.billing.commit({ ...commit, requestId: requestId(), all: true });
    expect(rowsOf(await usage(accountId, byOperation))).toEqual(['read ×4 40 pages 20']);
  });

  test('a late commit counts in the hour in which it was made', async () => {
    const accountId = await open();
    const reserved = await scrip.billing.reserve({ ...named(accountId), usages: pages(5n) });
    const { reservationId } = defined(reserved.reservation);
    const reservedAt = scrip.now();
    scrip.advance(HOUR);
    await scrip.billing.commit({ ...named(accountId), reservationId, all: true });
    expect((await newestEntry(scrip, accountId)).late).toBe(true);
    const { rows } = await usage(accountId, { granularity: Per.HOUR, ...byOperation });
    expect(rows.map(textOf)).toEqual(['read ×1 10 pages 5']);
    expect(rows[0]?.startsAt).toEqual(hourOf(reservedAt + HOUR));
  });

  test('a refund counts in its own hour, under the operation that it gives back, and lowers nothing', async () => {
    const accountId = await open();
    const { entrySeq: seq } = await charge(accountId, 10n);
    scrip.advance(HOUR);
    const refund = { seq, reason: 'a test' };
    await scrip.billing.refund({ ...named(accountId), ...refund, credits: 4n });
    await scrip.billing.refund({ ...named(accountId), ...refund, credits: 6n });
    const { rows } = await usage(accountId, { granularity: Per.HOUR, ...byOperation });
    expect(rows.map(textOf)).toEqual(['read ×1 20 pages 10', 'read 0 −10']);
  });

  test('a void is no usage, and what comes back to be voided is a refund', async () => {
    const accountId = await open(100n);
    const { entrySeq: seq } = await charge(accountId, 10n);
    const reserved = await scrip.billing.reserve({ ...named(accountId), credits: 30n });
    await scrip.accounts.voidGrant({
      ...named(accountId),
      grantId: 1n,
      all: true,
      returned: Returned.VOID,
      reason: 'a test',
    });
    expect(rowsOf(await usage(accountId, byOperation))).toEqual(['read ×1 20 pages 10']);
    await scrip.billing.refund({ ...named(accountId), seq, all: true, reason: 'a test' });
    await scrip.billing.release({
      ...named(accountId),
      reservationId: defined(reserved.reservation).reservationId,
    });
    expect(rowsOf(await usage(accountId, byOperation))).toEqual(['read ×1 20 −20 pages 10']);
  });
});

const hourOf = (at: number) => new Date(at - (at % HOUR));

describe('the period', () => {
  let accountId: string;
  let at: number;
  beforeAll(async () => {
    accountId = await open();
    scrip.setNow(Date.UTC(2031, 5, 29, 22, 10));
    at = scrip.now();
    for (const wait of [0, HOUR, HOUR, DAY, DAY]) {
      scrip.advance(wait);
      await charge(accountId, 1n);
    }
  });
  const from = new Date(Date.UTC(2031, 5, 1));
  const startsOf = ({ rows }: GetUsageResponse) =>
    rows.map(({ startsAt, credits }) => `${startsAt?.toISOString().slice(0, 13)} ${credits}`);

  test.each<[string, Per, readonly string[]]>([
    [
      'hours',
      Per.HOUR,
      [
        '2031-06-29T22 2',
        '2031-06-29T23 2',
        '2031-06-30T00 2',
        '2031-07-01T00 2',
        '2031-07-02T00 2',
      ],
    ],
    ['days', Per.DAY, ['2031-06-29T00 4', '2031-06-30T00 2', '2031-07-01T00 2', '2031-07-02T00 2']],
    ['months', Per.MONTH, ['2031-06-01T00 6', '2031-07-01T00 4']],
    ['one row', Per.UNSPECIFIED, ['2031-06-01T00 10']],
  ])('is divided into %s', async (_, granularity, expected) => {
    expect(startsOf(await usage(accountId, { from, granularity }))).toEqual(expected);
  });

  test('includes its first hour, and not the hour of its end', async () => {
    const period = { from: hourOf(at + HOUR), to: hourOf(at + 2 * HOUR) };
    expect(startsOf(await usage(accountId, { ...period, granularity: Per.DAY }))).toEqual([
      '2031-06-29T23 2',
    ]);
  });

  test('is the present month if none is named', async () => {
    expect(startsOf(await usage(accountId))).toEqual(['2031-07-01T00 4']);
  });

  test.each([1, 2, 3])('is the same in pages of %i', async (pageSize) => {
    const request = { from, granularity: Per.HOUR, groupBy: [By.OPERATION, By.CALLER], pageSize };
    const rows: UsageSum[] = [];
    for (let pageToken = ''; ; ) {
      const page = await usage(accountId, { ...request, pageToken });
      rows.push(...page.rows);
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    expect(rows).toEqual((await usage(accountId, { ...request, pageSize: 100 })).rows);
    expect(rows).toHaveLength(5);
  });
});

describe('by label', () => {
  const byLabel = { groupBy: [By.LABEL], label: 'team' };

  test('every value has a row, and what has none is last', async () => {
    const accountId = await open();
    await charge(accountId, 1n, { team: 'b', job: '1' });
    await charge(accountId, 2n, { team: 'a', job: '2' });
    await charge(accountId, 3n, { job: '3' });
    const { rows, hasOtherLabels } = await usage(accountId, byLabel);
    expect(rows.map(textOf)).toEqual(['a ×1 4 pages 2', 'b ×1 2 pages 1', '×1 6 pages 3']);
    expect(rows.map(({ labelValue }) => labelValue)).toEqual(['a', 'b', undefined]);
    expect(hasOtherLabels).toBe(false);
  });

  test('values beyond the limit share a row', async () => {
    const accountId = await open();
    for (let job = 0; job < 203; job++)
      await scrip.billing.charge({
        ...named(accountId),
        credits: 1n,
        labels: mapOf({ job: `${job}` }),
      });
    const { rows } = await usage(accountId, { groupBy: [By.LABEL], label: 'job', pageSize: 500 });
    expect(rows).toHaveLength(201);
    expect(rows.at(-1)).toMatchObject({ otherLabelValues: true, credits: 3n });
  });

  test('labels beyond the limit are said to be there', async () => {
    const accountId = await open();
    for (const page of [0, 1]) {
      const labels = Array.from({ length: 12 }, (_, index) => [`l${page * 12 + index}`, 'x']);
      await charge(accountId, 1n, Object.fromEntries(labels));
    }
    const report = await usage(accountId, { groupBy: [By.LABEL], label: 'l23' });
    expect(rowsOf(report)).toEqual(['×2 4 pages 2']);
    expect(report.hasOtherLabels).toBe(true);
  });

  test('erased labels are gone, and what was used stays', async () => {
    const accountId = await open();
    await charge(accountId, 1n, { team: 'Ann' });
    expect(rowsOf(await usage(accountId, byLabel))).toEqual(['Ann ×1 2 pages 1']);
    await scrip.accounts.closeAccount(named(accountId));
    await scrip.accounts.eraseAccountData({ ...named(accountId), reason: 'a test' });
    expect(rowsOf(await usage(accountId, byLabel))).toEqual(['×1 2 pages 1']);
  });
});

test('reports of several accounts are exact when they are counted, and say so', async () => {
  const own = await startTestService({ plans: [PLAN], frozenAt: START });
  try {
    const [acme, globex] = [await own.open('docs'), await own.open('docs')].sort();
    for (const accountId of [defined(acme), defined(globex)]) {
      await grant(own, accountId, 100n);
      own.advance(MINUTE);
      await own.billing.charge({ ...named(accountId), usages: pages(1n) });
    }
    const request = { groupBy: [By.ACCOUNT] };
    const early = await own.statements.getUsage(request);
    expect([early.rows, early.exactUpToSeq]).toEqual([[], 0n]);
    expect(early.exactBefore).toEqual(new Date(START));
    await own.service.countUsage();
    const ofAll = await own.statements.getUsage(request);
    expect(rowsOf(ofAll)).toEqual([`${acme} ×1 2 pages 1`, `${globex} ×1 2 pages 1`]);
    expect(ofAll.exactBefore).toEqual(new Date(own.now()));
    const ofPlan = { of: { $case: 'planId', value: 'docs' } } as const;
    expect(rowsOf(await own.statements.getUsage(ofPlan))).toEqual(['×2 4 pages 2']);
  } finally {
    await own.stop();
  }
});

describe('refused is', () => {
  test.each<[string, Partial<GetUsageRequest>, string]>([
    ['a wrong account id', { of: { $case: 'accountId', value: 'a b' } }, 'account_id'],
    ['a wrong plan id', { of: { $case: 'planId', value: 'a b' } }, 'plan_id'],
    ['a beginning within an hour', { from: new Date(START) }, 'from'],
    ['an end within an hour', { to: new Date(Date.UTC(2031, 11, 1, 0, 30)) }, 'to'],
    ['an end before the beginning', { from: new Date(START + 200 * DAY - 30 * MINUTE) }, 'to'],
    ['more than 366 days', { from: new Date(Date.UTC(2030, 0, 1)) }, 'to'],
    ['a dimension that is not named', { groupBy: [By.UNSPECIFIED] }, 'group_by'],
    ['a dimension twice', { groupBy: [By.CALLER, By.CALLER] }, 'group_by'],
    ['a label without the dimension', { label: 'team' }, 'label'],
    ['the dimension without a label', { groupBy: [By.LABEL] }, 'label'],
    ['an unknown granularity', { granularity: 9 as Per }, 'granularity'],
    ['a page size below 0', { pageSize: -1 }, 'page_size'],
    ['a page token of another list', { pageToken: 'W10' }, 'page_token'],
  ])('%s', async (_, request, field) => {
    expect(await errorOf(scrip.statements.getUsage(request))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: [field],
    });
  });

  test.each<[string, Partial<GetUsageRequest>, string]>([
    ['an account that is not there', of('nobody'), 'ACCOUNT_NOT_FOUND'],
    ['a plan that is not there', { of: { $case: 'planId', value: 'none' } }, 'PLAN_NOT_FOUND'],
  ])('%s', async (_, request, reason) => {
    expect(await errorOf(scrip.statements.getUsage(request))).toMatchObject({ reason });
  });
});
