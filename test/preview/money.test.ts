/** `npm run scrip -- plans preview` of plans that bill overage, on a database with known figures. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import { DAY, grant } from '../accounts.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

const TIERS = '[{ up_to: 100, price: "0.02" }, { price: "0.01" }]';
const line = (tiers: string, mode = 'graduated', currency = 'USD') =>
  `overage: { limit: 100000, mode: ${mode}, currency: ${currency}, tiers: ${tiers} }`;
const plan = (planId: string, overage: string, page = 1, allowance = 50) => `
plan_id: ${planId}
title: Metered
terms:
  allowance: { credits: ${allowance}, every: month, rollover: none }
  ${overage}
packs: []
operations:
  job.pages:
    title: Pages
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 500 } }
    components: [{ kind: per_unit, label: Page, quantity: pages, credits: ${page} }]
`;

const BILLED = plan('billed', line(TIERS));
const EXPENSIVE_TIERS = plan('billed', line('[{ price: "0.03" }]'));
const LATE_USAGE = 'late_usage: 3d\n';
const FILES = {
  tiers: EXPENSIVE_TIERS,
  prices: plan('billed', line(TIERS), 3),
  prepaid: plan('billed', ''),
  late: plan('late', `${LATE_USAGE}  ${line(TIERS)}`, 1, 10),
  postpaid: plan('upfront', line('[{ price: "0.05" }]', 'volume', 'EUR'), 2, 30),
};

const JANUARY = Date.UTC(2031, 0, 10);
const FEBRUARY = Date.UTC(2031, 1, 10);

let scrip: TestService;
let directory: string;
beforeAll(async () => {
  const plans = [BILLED, plan('upfront', ''), FILES.late].map((text) => planIn(text));
  scrip = await startTestService({ plans });
  directory = await mkdtemp(join(tmpdir(), 'scrip-preview-money-'));
  for (const [name, text] of Object.entries(FILES))
    await writeFile(join(directory, `${name}.yaml`), text);
  await useAccounts();
});
afterAll(async () => {
  await scrip.stop();
  await rm(directory, { recursive: true });
});

async function open(accountId: string, planId: string, paid = 0n, expiresAt?: Date) {
  await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId });
  if (paid > 0n) await grant(scrip, accountId, paid, expiresAt && { expiresAt });
}

async function charge(accountId: string, pages: bigint): Promise<bigint> {
  const usages = { items: [{ operation: 'job.pages', quantities: mapOf({ pages }) }] };
  const charged = await scrip.billing.charge({ accountId, requestId: requestId(), usages });
  return charged.entrySeq;
}

const refund = (accountId: string, seq: bigint, credits: bigint) =>
  scrip.billing.refund({ reason: 'a test', accountId, requestId: requestId(), seq, credits });

/** Charges the accounts in January and February. A page costs a credit, and fifty credits are free. */
async function useAccounts() {
  scrip.setNow(JANUARY);
  await open('refunded', 'billed');
  const seq = await charge('refunded', 70n);
  await refund('refunded', seq, 5n);
  await open('idle', 'billed');
  await open('expired', 'billed', 100n, new Date(JANUARY + 5 * DAY));
  await charge('expired', 40n); // of the grant: the other 60 expire in January
  await open('over', 'billed');
  await charge('over', 80n);
  await open('paid', 'billed', 20n);
  await charge('paid', 60n);
  await open('within', 'billed');
  await charge('within', 40n);
  await open('upfront', 'upfront', 30n);
  await charge('upfront', 60n);

  scrip.setNow(FEBRUARY);
  await refund('refunded', seq, 2n); // an adjustment on February's statement, not January's
  await charge('over', 500n);
  await grant(scrip, 'within', 1_000n); // too late for January
}

const exec = promisify(execFile);

async function runPreview(file: string, format: string, ...args: string[]) {
  return await exec(
    process.execPath,
    [MAIN, 'plans', 'preview', file, '--month', '2031-01', '--format', format, ...args],
    { cwd: directory, env: { PATH: process.env['PATH'], DATABASE_URL: scrip.databaseUrl } },
  );
}

const MONEY = 'overage_then,overage_now,estimated,bill_then,currency_then,bill_now,currency_now';

/** Each account's id, credits then and now, overage and bills; and what was printed on stderr. */
async function previewCsv(file: string) {
  const { stdout, stderr } = await runPreview(file, 'csv');
  const [head = '', ...lines] = stdout.trim().split('\n');
  expect(head.endsWith(`,refused_credits,${MONEY}`)).toBe(true);
  const rows = lines.map((text) => text.split(','));
  return {
    rows: rows.map((cells) => [cells[0], ...cells.slice(2, 4), ...cells.slice(10)]),
    stderr,
  };
}

const usd = (then: string, now: string) => [then, 'USD', now, 'USD'];
const NO_BILL = usd('0.00', '0.00');
const WITH_OTHER_TIERS = [
  ['expired', '40', '40', '0', '0', 'no', ...NO_BILL],
  ['idle', '0', '0', '0', '0', 'no', ...NO_BILL],
  ['over', '80', '80', '30', '30', 'no', ...usd('0.60', '0.90')],
  ['paid', '60', '60', '0', '0', 'no', ...NO_BILL],
  ['refunded', '63', '63', '15', '15', 'no', ...usd('0.30', '0.45')],
  ['within', '40', '40', '0', '0', 'no', ...NO_BILL],
];
const WITH_OTHER_PRICES = [
  // 80 more; the fifty free credits were available, the expired ones were not
  ['expired', '40', '120', '0', '30', 'yes', ...usd('0.00', '0.60')],
  ['idle', '0', '0', '0', '0', 'no', ...NO_BILL],
  ['over', '80', '240', '30', '190', 'no', ...usd('0.60', '2.90')],
  // 120 more, and 10 were available
  ['paid', '60', '180', '0', '110', 'yes', ...usd('0.00', '2.10')],
  ['refunded', '63', '189', '15', '141', 'no', ...usd('0.30', '2.41')],
  // 80 more, and 10 were available
  ['within', '40', '120', '0', '70', 'yes', ...usd('0.00', '1.40')],
];

test('other tiers give another bill for the same overage', async () => {
  const { rows, stderr } = await previewCsv('tiers.yaml');
  expect(rows).toEqual(WITH_OTHER_TIERS);
  expect(stderr).toContain('overage_then 45, overage_now 45, estimated 0\n');
  expect(stderr).toContain('billed in USD: 0.90 then, 1.35 now, difference 0.45\n');
});

test('higher prices give overage beyond the credits that were available', async () => {
  const { rows, stderr } = await previewCsv('prices.yaml');
  expect(rows).toEqual(WITH_OTHER_PRICES);
  expect(stderr).toContain('overage_then 45, overage_now 541, estimated 3\n');
  expect(stderr).toContain('billed in USD: 0.90 then, 9.41 now, difference 8.51\n');
});

test('a plan that becomes postpaid bills what grants would not have covered', async () => {
  const { stdout } = await runPreview('postpaid.yaml', 'json');
  const document = JSON.parse(stdout);
  // 60 more for the pages, 20 less of the allowance, and 20 were available
  const bill = { currency: 'EUR', amount: '3.00' };
  expect(document.accounts).toMatchObject([
    { account_id: 'upfront', overage_then: '0', overage_now: '60', estimated: true },
  ]);
  expect(document.accounts[0]).toMatchObject({ bill_then: null, bill_now: bill });
  expect(document.total).toMatchObject({
    overage_then: '0',
    overage_now: '60',
    estimated: '1',
    bills: [{ currency: 'EUR', bill_then: '0.00', bill_now: '3.00', difference: '3.00' }],
  });
});

test('a plan that becomes prepaid bills nothing, and the table ends with totals', async () => {
  const { stdout } = await runPreview('prepaid.yaml', 'table');
  const cells = stdout.split('\n').map((text) => text.trim().split(/ {2,}/));
  const over = cells.find(([name]) => name === 'over');
  expect(over?.slice(-4)).toEqual(['30', '0', '0.60', 'USD']);
  const total = cells.find(([name]) => name === 'total of 6');
  expect(total?.slice(-2)).toEqual(['45', '0']);
  expect(stdout).toContain('\nbilled in USD: 0.90 then, 0.00 now, difference -0.90\n');
});

test('--accounts-of bills the accounts of another plan by the file', async () => {
  const { stdout } = await runPreview('tiers.yaml', 'json', '--accounts-of', 'upfront');
  expect(JSON.parse(stdout).accounts).toMatchObject([
    { account_id: 'upfront', bill_then: null, bill_now: { currency: 'USD', amount: '0.00' } },
  ]);
});

test('late usage, and what is refunded of it, is of the month in which it happened', async () => {
  scrip.setNow(Date.UTC(2031, 2, 30));
  await open('late', 'late');
  scrip.setNow(Date.UTC(2031, 3, 2));
  await charge('late', 30n);
  const late = await scrip.billing.charge({
    accountId: 'late',
    requestId: requestId(),
    credits: 60n,
    usedAt: new Date(Date.UTC(2031, 2, 31)),
  });
  await refund('late', late.entrySeq, 5n);
  const overageIn = async (month: string) => {
    const { stdout } = await runPreview('late.yaml', 'json', '--month', month);
    return JSON.parse(stdout).accounts[0].overage_then;
  };
  expect([await overageIn('2031-03'), await overageIn('2031-04')]).toEqual(['50', '20']);
});

test('a closed month has the bill of its statement, even if the plan has other tiers now', async () => {
  await scrip.service.sweep();
  const replica = await startTestService({
    databaseUrl: scrip.databaseUrl,
    plans: [planIn(EXPENSIVE_TIERS)],
  });
  await replica.stop();
  expect((await previewCsv('prices.yaml')).rows).toEqual(WITH_OTHER_PRICES);
  expect((await previewCsv('tiers.yaml')).rows).toEqual(WITH_OTHER_TIERS);
});
