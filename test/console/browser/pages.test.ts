/**
 * Every page on the data of the three seeds, on a phone and a desktop, light and dark: what it shows, that axe finds
 * nothing wrong, and that it is no wider than the screen.
 */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { grant } from '../../accounts.ts';
import { requestId } from '../../service.ts';
import { CHROMIUM, DESKTOP, launch, PATIENCE, PHONE, Visit } from './chromium.ts';
import { type DemoService, STUDIO, startDemo } from './demo-data.ts';

let demo: DemoService;
let browser: Browser;
let token: string;

// Programs of the page are texts: the types of tests know no DOM.
/** Cells of cards that have a title, and nothing after it. */
const EMPTY_CELLS = `[...document.querySelectorAll('tbody [data-title]:not([data-title=""])')]
  .filter((cell) => cell.checkVisibility() && cell.innerText.trim().replace('–', '') === '')
  .map((cell) => cell.dataset.title)`;
/** Short names that are on two lines. */
const BROKEN_WORDS = `[...document.querySelectorAll('td .whole, th .whole')]
  .filter((name) => name.checkVisibility() && new Set([...name.getClientRects()].map(({ top }) => top)).size > 1)
  .map((name) => name.innerText)`;

const LOOKS = [
  { name: 'desktop, light', viewport: DESKTOP, colorScheme: 'light' },
  { name: 'desktop, dark', viewport: DESKTOP, colorScheme: 'dark' },
  { name: 'phone, light', viewport: PHONE, colorScheme: 'light' },
  { name: 'phone, dark', viewport: PHONE, colorScheme: 'dark' },
] as const;

/** Pages, with texts that they show. */
const PAGES: Readonly<Record<string, () => readonly [path: string, ...texts: string[]]>> = {
  accounts: () => ['', 'All accounts', STUDIO, 'Aspose Cloud', 'PerfectParser', 'Verts'],
  'accounts of a plan': () => ['?plan=perfectparser', 'Accounts under PerfectParser'],
  'a result of no search': () => ['search?q=nothing-has-this', 'Nothing has this id.'],
  'a postpaid balance': () => [
    `accounts/${demo.demo.aspose}`,
    'Overage this month',
    'of 1,000,000 allowed',
    'low balance',
    'No grant has credits left.',
  ],
  'a balance of packs with expiries': () => [
    `accounts/${demo.demo.perfectparser}`,
    'Available 266',
    'burns next',
    '246 of 250',
    'low below 10: not reached',
  ],
  'a low balance': () => [
    `accounts/${demo.demo.verts}`,
    'Available 475',
    'low below 500: it is low',
    'Pause floor 490 of its own',
  ],
  'a balance of many kinds': () => [`accounts/${STUDIO}`, 'campaign-12', 'Studio North', 'gold'],
  history: () => [
    `accounts/${STUDIO}/history`,
    'Every entry from 1 to 72.',
    'Launch offer, campaign 12',
  ],
  'history of one kind': () => [
    `accounts/${STUDIO}/history?kind=KIND_REFUND`,
    'refund of 69',
    '+10',
  ],
  reservations: () => [
    `accounts/${STUDIO}/reservations`,
    'Holding credits',
    'job-4990',
    'job-4711',
  ],
  purchases: () => [`accounts/${STUDIO}/purchases`, 'Standard', '20.00 USD', 'reference'],
  'no purchases': () => [`accounts/${demo.demo.aspose}/purchases`, '1000 outputs'],
  statement: () => [
    `accounts/${demo.demo.aspose}/statements`,
    '3 credits of overage 0.06 USD',
    'document.convert',
    'Overage, tier 1',
    'calendar month in UTC',
  ],
  charge: () => [
    `charges/reservation/${demo.jobId}`,
    'complete',
    'Commit, in part 150',
    'Refund of 69 10',
    '42 s later',
    'The second film was cut short, ticket 1822',
    'open the trace',
    'Scale factor 50',
  ],
  'a charge that runs': () => [`charges/reservation/${demo.runningId}`, 'running', 'Release…'],
  'a charge from several grants': () => [
    `charges/entry/${encodeURIComponent(`${demo.demo.perfectparser}/11`)}`,
    '#5 40 #3 76 #4 4',
  ],
  plans: () => [
    'plans',
    '50 credits every month',
    'Postpaid: up to 1,000,000 credits of overage a month.',
    '20 welcome credits',
  ],
  plan: () => [
    'plans/verts',
    'Version 3 upcoming',
    'in 11 d',
    'image.watermark removed',
    'Before',
    'It would cost',
    'the account can pay it',
    'it can spend',
    '100,000',
  ],
  'a version of a plan': () => ['plans/verts?version=3', 'File inspection: 1', 'free of charge'],
  'a postpaid plan': () => [
    'plans/aspose-cloud',
    '0.020 USD up to 9,999',
    'rollover none',
    'overage included',
  ],
  live: () => [
    'live',
    'Database connections',
    'PAUSED_BELOW_FLOOR',
    'INSUFFICIENT_CREDITS',
    'Oldest reservation',
    'dead',
    'not run yet: npm run verify',
  ],
  'no such page of an account': () => [
    `accounts/${STUDIO}/entries/3`,
    'There is no such page of an account.',
  ],
  'no such page of a plan': () => ['plans/verts/3', 'There is no such page'],
  'no such page': () => ['nowhere', 'There is no such page'],
};

describe.skipIf(!CHROMIUM)('pages', () => {
  beforeAll(async () => {
    [demo, browser] = await Promise.all([startDemo(), launch()]);
    token = await demo.key.sign({ sub: 'ann' });
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.stop();
  });

  describe.each(LOOKS)('$name', ({ viewport, colorScheme }) => {
    let visit: Visit;
    beforeAll(async () => {
      visit = await Visit.open(browser, demo.origin, { viewport, colorScheme });
      await visit.signIn(token);
      // What is not found is an answer with an error, which the browser logs.
      visit.expected.push(/status of 404/);
    });
    afterAll(() => visit?.close());

    test.each(Object.keys(PAGES))('%s', async (name) => {
      const [path = '', ...texts] = PAGES[name]?.() ?? [];
      await visit.go(path);
      for (const text of texts) await visit.shows(text);
      expect(await visit.violations()).toEqual([]);
      expect(await visit.tooWide()).toBeLessThanOrEqual(0);
    });
  });

  test('of a phone have no title without a value, and no word is broken', async () => {
    const visit = await Visit.open(browser, demo.origin, { viewport: PHONE });
    await visit.signIn(token);
    for (const path of [`accounts/${STUDIO}/history`, 'live']) {
      await visit.go(path);
      await visit.page.locator('tbody tr').first().waitFor();
      expect(await visit.page.evaluate(EMPTY_CELLS)).toEqual([]);
      expect(await visit.page.evaluate(BROKEN_WORDS)).toEqual([]);
    }
    expect(await visit.page.locator('.search .key').isVisible()).toBe(false);
    await visit.page.setViewportSize(DESKTOP);
    expect(await visit.page.evaluate(BROKEN_WORDS)).toEqual([]);
    await visit.close();
  });

  test.each(LOOKS)('amounts of 19 digits are no wider than the screen: $name', async (look) => {
    const accountId = await demo.open('aspose-cloud');
    await grant(demo, accountId, 7_000_000_000_000_000_000n);
    const named = () => ({ accountId, requestId: requestId() });
    await demo.billing.charge({ ...named(), credits: 1_234_567_890_123_456_789n });
    const credits = 4_234_567_890_123_456_789n;
    const { reservation } = await demo.billing.reserve({ ...named(), credits });
    const visit = await Visit.open(browser, demo.origin, look);
    await visit.signIn(token);
    for (const path of [
      `accounts/${accountId}`,
      `accounts/${accountId}/history`,
      `accounts/${accountId}/reservations`,
      `accounts/${accountId}/statements`,
      `charges/reservation/${reservation?.reservationId}`,
    ]) {
      await visit.go(path);
      await visit.shows('234,567,890,123,456,789');
      expect([path, await visit.tooWide()]).toEqual([path, 0]);
    }
    await visit.close();
  });

  test('the colours are those that the switch says, and stay', async () => {
    const visit = await Visit.open(browser, demo.origin, { colorScheme: 'light' });
    await visit.signIn(token);
    const ground = () =>
      visit.page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
    const light = await ground();
    await visit.page.getByRole('button', { name: 'Dark' }).click();
    await expect.poll(ground, PATIENCE).not.toBe(light);
    const dark = await ground();
    await visit.go('plans');
    await expect.poll(ground, PATIENCE).toBe(dark);
    await visit.page.getByRole('button', { name: 'Automatic' }).click();
    await expect.poll(ground, PATIENCE).toBe(light);
    await visit.close();
  });

  test('times are in UTC, or in the zone of the browser', async () => {
    const visit = await Visit.open(browser, demo.origin, { timezoneId: 'Asia/Kolkata' });
    await visit.signIn(token);
    await visit.go(`accounts/${STUDIO}`);
    const opened = visit.page.locator('.facts time').first();
    const at = Date.parse((await opened.getAttribute('datetime')) ?? '');
    const text = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
    expect(await opened.innerText()).toContain(text(at));
    await visit.page.getByRole('button', { name: 'Local (UTC+05:30)' }).click();
    await visit.shows('Expires UTC+05:30');
    expect(await opened.innerText()).toContain(text(at + 5.5 * 3_600_000));
    await visit.close();
  });
});
