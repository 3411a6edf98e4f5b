/** What a person sees of a sandbox in a browser: the checkout page of its payment provider, and the console by its clock. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defined } from '../../accounts.ts';
import { DAY, startSandbox, type TestSandbox } from '../../sandbox/sandbox-service.ts';
import { CHROMIUM, launch, PATIENCE, Visit } from './chromium.ts';

const SHOP = 'https://shop.example/';
const accountId = 'acme';

let scrip: TestSandbox;
let browser: Browser;

describe.skipIf(!CHROMIUM)('a person in a sandbox', () => {
  beforeAll(async () => {
    [scrip, browser] = await Promise.all([startSandbox(undefined, { ADMIN_PORT: '0' }), launch()]);
    await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'perfectparser' });
  });
  afterAll(async () => {
    await browser?.close();
    await scrip?.stop();
  });

  test('has a card declined on the checkout page, then pays, and is led back to the shop', async () => {
    const { purchase } = await scrip.billing.purchase({
      accountId,
      requestId: 'buy',
      packId: 'starter',
      payment: { $case: 'checkout', value: { successUrl: SHOP, cancelUrl: SHOP } },
    });
    const page = await browser.newPage();
    await page.route(`${SHOP}**`, (route) => route.fulfill({ body: 'Thank you' }));
    await page.goto(defined(purchase).checkoutUrl);
    await page.getByRole('button', { name: 'Have the card declined' }).click(PATIENCE);
    await page.getByText('The card was declined.').waitFor(PATIENCE);
    await page.getByRole('button', { name: 'Pay 19.00 USD' }).click(PATIENCE);
    await page.waitForURL(SHOP, PATIENCE);
    await page.close();
    const remaining = async () =>
      (await scrip.billing.getBalance({ accountId })).balance?.remaining;
    await expect.poll(remaining, PATIENCE).toBe(120n);
  });

  test('reads how long ago something was by the clock of the sandbox', async () => {
    // Shortly before the end of the quarter of a minute in which texts about yesterday stay as they are.
    await scrip.advanceTo(Math.ceil((scrip.now() + 40 * DAY) / 60_000) * 60_000 + 11_000);
    const visit = await Visit.open(browser, `http://localhost:${scrip.service.adminPort}`);
    await visit.go(`accounts/${accountId}`);
    const text = await visit.text();
    expect(text).toMatch(/As of 20\d\d-\S+ \S+ /);
    expect(text).not.toMatch(/As of \S+ \S+ in \d\d s/);
    await visit.close();
  });
});
