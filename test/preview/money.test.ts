/** `npm run scrip -- plans preview` of plans that bill overage, on a database with figures that are known. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
const DEARER_TIERS = plan('billed', line('[{ price: "0.03" }]'));
const FILES = {
  tiers: DEARER_TIERS,
  prices: plan('billed', line(TIERS), 3),
  prepaid: plan('billed', ''),
  postpaid: plan('upfront', line('[{ price: "0.05" }]', 'volume', 'EUR'), 2, 30),
};

const JANUARY = Date.UTC(2031, 0, 10);
const FEBRUARY = Date.UTC(2031, 1, 10);

let scrip: TestService;
let directory: string;
beforeAll(async () => {
  scrip = await startTestService({ plans: [planIn(BILLED), planIn(plan('upfront', ''))] });
  directory = await mkdtemp(join(tmpdir(), 'scrip-preview-money-'));
  for (const [name, text] of Object.entries(FILES))
    await writeFile(join(directory, `${name}.yaml`), text);
  await live();
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
  const usages = [{ operation: 'job.pages', quantities: { pages } }];
  const charged = await scrip.billing.charge({ accountId, requestId: requestId(), usages });
  return charged.entrySeq;
}

const refund = (accountId: string, seq: bigint, credits: bigint) =>
  scrip.billing.refund({ accountId, requestId: requestId(), seq, credits });

/** A page costs a credit, and fifty credits are free. */
async function live() {
  scrip.setNow(JANUARY);
  await open('back', 'billed');
  const seq = await charge('back', 70n);
  await refund('back', seq, 5n);
  await open('idle', 'billed');
  await open('lapsed', 'billed', 100n, new Date(JANUARY + 5 * DAY));
  await charge('lapsed', 40n); // of the grant: the other 60 lapse in January
  await open('over', 'billed');
  await charge('over', 80n);
  await open('paid', 'billed', 20n);
  await charge('paid', 60n);
  await open('within', 'billed');
  await charge('within', 40n);
  await open('upfront', 'upfront', 30n);
  await charge('upfront', 60n);

  scrip.setNow(FEBRUARY);
  await refund('back', seq, 2n); // February's statement says so, January's does not
  await charge('over', 500n);
  await grant(scrip, 'within', 1_000n); // too late for January
}

const exec = promisify(execFile);

async function previewed(file: string, format: string, ...args: string[]) {
  return await exec(
    process.execPath,
    [MAIN, 'plans', 'preview', file, '--month', '2031-01', '--format', format, ...args],
    { cwd: directory, env: { PATH: process.env['PATH'], DATABASE_URL: scrip.databaseUrl } },
  );
}

const MONEY = 'overage_then,overage_now,estimated,bill_then,currency_then,bill_now,currency_now';

/** Account, credits then and now, and what comes of them in overage and money. */
async function told(file: string) {
  const { stdout, stderr } = await previewed(file, 'csv');
  const [head = '', ...lines] = stdout.trim().split('\n');
  expect(head.endsWith(`,refused_credits,${MONEY}`)).toBe(true);
  const rows = lines.map((text) => text.split(','));
  return {
    rows: rows.map((cells) => [cells[0], ...cells.slice(2, 4), ...cells.slice(10)]),
    stderr,
  };
}

const usd = (then: string, now: string) => [then, 'USD', now, 'USD'];
const NONE = usd('0.00', '0.00');
const ON_OTHER_TIERS = [
  ['back', '63', '63', '15', '15', 'no', ...usd('0.30', '0.45')],
  ['idle', '0', '0', '0', '0', 'no', ...NONE],
  ['lapsed', '40', '40', '0', '0', 'no', ...NONE],
  ['over', '80', '80', '30', '30', 'no', ...usd('0.60', '0.90')],
  ['paid', '60', '60', '0', '0', 'no', ...NONE],
  ['within', '40', '40', '0', '0', 'no', ...NONE],
];
const AT_OTHER_PRICES = [
  ['back', '63', '189', '15', '141', 'no', ...usd('0.30', '2.41')],
  ['idle', '0', '0', '0', '0', 'no', ...NONE],
  // 80 more; the fifty free ones were left, the lapsed ones were not
  ['lapsed', '40', '120', '0', '30', 'yes', ...usd('0.00', '0.60')],
  ['over', '80', '240', '30', '190', 'no', ...usd('0.60', '2.90')],
  // 120 more, and 10 were left
  ['paid', '60', '180', '0', '110', 'yes', ...usd('0.00', '2.10')],
  // 80 more, and 10 were left
  ['within', '40', '120', '0', '70', 'yes', ...usd('0.00', '1.40')],
];

test('other tiers bill the same overage otherwise', async () => {
  const { rows, stderr } = await told('tiers.yaml');
  expect(rows).toEqual(ON_OTHER_TIERS);
  expect(stderr).toContain('overage_then 45, overage_now 45, estimated 0\n');
  expect(stderr).toContain('billed in USD: 0.90 then, 1.35 now, difference 0.45\n');
});

test('a dearer operation takes accounts beyond what their grants had left', async () => {
  const { rows, stderr } = await told('prices.yaml');
  expect(rows).toEqual(AT_OTHER_PRICES);
  expect(stderr).toContain('overage_then 45, overage_now 541, estimated 3\n');
  expect(stderr).toContain('billed in USD: 0.90 then, 9.41 now, difference 8.51\n');
});

test('a plan that becomes postpaid bills what its grants would not have covered', async () => {
  const { stdout } = await previewed('postpaid.yaml', 'json');
  const document = JSON.parse(stdout);
  // 60 more for the pages and 20 less for nothing, and 20 were left
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

test('a plan that becomes prepaid bills nothing, and a table tells the totals', async () => {
  const { stdout } = await previewed('prepaid.yaml', 'table');
  const cells = stdout.split('\n').map((text) => text.trim().split(/ {2,}/));
  const over = cells.find(([name]) => name === 'over');
  expect(over?.slice(10)).toEqual(['30', '0', 'no', '0.60', 'USD']);
  const total = cells.find(([name]) => name === 'total of 6');
  expect(total?.slice(10)).toEqual(['45', '0', '0']);
  expect(stdout).toContain('\nbilled in USD: 0.90 then, 0.00 now, difference -0.90\n');
});

test('accounts of another plan are billed by the file, too', async () => {
  const { stdout } = await previewed('tiers.yaml', 'json', '--accounts-of', 'upfront');
  expect(JSON.parse(stdout).accounts).toMatchObject([
    { account_id: 'upfront', bill_then: null, bill_now: { currency: 'USD', amount: '0.00' } },
  ]);
});

test('a closed month is billed as its statement says, whatever the plan bills today', async () => {
  await scrip.service.sweep();
  const replica = await startTestService({
    databaseUrl: scrip.databaseUrl,
    plans: [planIn(DEARER_TIERS)],
  });
  await replica.stop();
  expect((await told('prices.yaml')).rows).toEqual(AT_OTHER_PRICES);
  expect((await told('tiers.yaml')).rows).toEqual(ON_OTHER_TIERS);
});
