/** An account with 100,000 entries: its pages read a bounded part of them, and show a bounded number of rows. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWithCredits } from '../../accounts.ts';
import { named } from '../../operator/traced.ts';
import { type SignedInService, startSignedIn } from '../signed-in.ts';
import { CHROMIUM, launch, Visit } from './chromium.ts';

const BATCHES = 100;
const OF_A_BATCH = 1_000;

let scrip: SignedInService;
let browser: Browser;
let accountId: string;
let newest: number;

/** Charges of 1 credit; each thousandth is of 500, and has a reference. */
async function writeEntries() {
  const mutations = (batch: number) =>
    Array.from({ length: OF_A_BATCH }, (_, index) => ({
      mutation: {
        $case: 'charge' as const,
        value: {
          ...named(accountId),
          credits: index === 0 ? 500n : 1n,
          reference: index === 0 ? `batch-${batch}` : '',
        },
      },
    }));
  for (let batch = 0; batch < BATCHES; batch += 1)
    await scrip.billing.batch({ mutations: mutations(batch) });
}

describe.skipIf(!CHROMIUM)('a long history', () => {
  beforeAll(async () => {
    const started = startSignedIn('  - { id: staff:ann, roles: [observer, support] }');
    [scrip, browser] = await Promise.all([started, launch()]);
    accountId = await openWithCredits(scrip, 1_000_000n);
    await writeEntries();
    const { balance } = await scrip.billing.getBalance({ accountId });
    newest = Number(balance?.seq);
  });
  afterAll(async () => {
    await browser?.close();
    await scrip?.stop();
  });

  test('is shown page by page, and its chart by samples', async () => {
    expect(newest).toBeGreaterThan(100_000);
    const visit = await Visit.open(browser, `http://localhost:${scrip.service.adminPort}`);
    const { page } = visit;
    await visit.signIn(await scrip.key.sign({ sub: 'ann' }));
    let bytes = 0;
    let calls = 0;
    page.on('response', async (response) => {
      if (!response.url().includes('/rpc/')) return;
      calls += 1;
      bytes += Number((await response.headerValue('content-length')) ?? 0);
    });
    const seqs = async () =>
      (await page.locator('.seq').allInnerTexts()).map((text) => Number(text.replaceAll(',', '')));

    await visit.go(`accounts/${accountId}/history`);
    await visit.shows(`64 of the entries 1 to ${newest.toLocaleString('en-US')}`);
    expect(await seqs()).toEqual(Array.from({ length: 100 }, (_, index) => newest - index));
    expect(calls).toBeLessThan(100);
    expect(bytes).toBeLessThan(2_000_000);
    expect(Number(await page.evaluate("document.querySelectorAll('tr').length"))).toBeLessThan(300);

    await page.getByRole('link', { name: 'Older →' }).click();
    await visit.shows(`Entries ${(newest - 199).toLocaleString('en-US')} to`);
    await page.getByLabel('Go to entry').fill('50000');
    await page.getByRole('button', { name: 'Go', exact: true }).click();
    await visit.shows('Entries 49,951 to 50,050');
    await page.getByRole('link', { name: '← Newest' }).click();
    await visit.shows(`Entries ${(newest - 99).toLocaleString('en-US')} to`);

    // A range that is drawn over the chart is read by samples, too, and then as a whole.
    const over = page.locator('.chart .u-over');
    await over.scrollIntoViewIfNeeded();
    const chart = await over.boundingBox();
    if (!chart) throw new Error('there is no chart');
    const y = chart.y + chart.height / 2;
    await page.mouse.move(chart.x + chart.width * 0.4, y);
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width * 0.6, y, { steps: 4 });
    await page.mouse.up();
    await page.getByRole('button', { name: 'Show all entries' }).click();
    await visit.shows(`64 of the entries 1 to ${newest.toLocaleString('en-US')}`);
    await visit.close();
  });

  test('is looked through by a filter, a bounded part at a time', async () => {
    const visit = await Visit.open(browser, `http://localhost:${scrip.service.adminPort}`);
    const { page } = visit;
    await visit.signIn(await scrip.key.sign({ sub: 'ann' }));
    await visit.go(`accounts/${accountId}/history`);
    let calls = 0;
    page.on('request', (request) => {
      if (request.url().includes('rows=500')) calls += 1;
    });
    await page.getByLabel('Reference').fill('batch-50');
    await page.getByRole('button', { name: 'Filter' }).click();
    await visit.shows('No entry matches.');
    expect(calls).toBeLessThanOrEqual(20);
    await visit.shows(`The entries ${(newest - 9_999).toLocaleString('en-US')} to`);
    for (let turn = 0; turn < 4; turn += 1) {
      await page.getByRole('link', { name: 'Older →' }).click();
      await page.waitForURL(`**upto=${newest - 10_000 * (turn + 1)}**`);
      await visit.settled();
    }
    await visit.shows('batch-50');
    expect(await page.locator('.seq').count()).toBe(1);
    await visit.close();
  });
});
