/** Writes the pictures of docs/console.md: `npm run console:screenshots`. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { requestId } from '../../service.ts';
import { launch, Visit } from './chromium.ts';
import { type DemoService, STUDIO, startDemo } from './demo-data.ts';

const FOLDER = process.env['SCREENSHOTS'];

const WIDE = { width: 1120, height: 800 };
const NARROW = { width: 360, height: 720 };

type Shot = {
  readonly name: string;
  readonly path: (demo: DemoService) => string;
  readonly viewport: { readonly width: number; readonly height: number };
  readonly colorScheme: 'light' | 'dark';
  /** What is done before. */
  readonly act?: (page: Page, visit: Visit, demo: DemoService) => Promise<void>;
};

async function fillGrant(page: Page, visit: Visit) {
  await page.getByRole('button', { name: 'Grant credits…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Credits').fill('250');
  await dialog.getByLabel('Reason').fill('Sorry for the outage of Tuesday, ticket 1830');
  await visit.shows('+250');
}

async function fillVoid(page: Page, visit: Visit, { billing }: DemoService) {
  const { grants } = await billing.getBalance({ accountId: STUDIO, includeGrants: true });
  const held = grants.find(({ reserved }) => reserved > 0n);
  await page
    .getByRole('button', { name: `credits of grant ${held?.grantId}`, exact: false })
    .click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('What jobs give back').selectOption('is voided, too');
  await dialog.getByLabel('Reason').fill('The campaign was for another account, ticket 1841');
  await visit.shows('stay reserved');
}

/** Jobs that come in waves, until the lines have some readings to show. */
async function callUntilLinesAreDrawn(page: Page, _: Visit, demo: DemoService) {
  const line = page.locator('.sparkline polyline').first();
  let wave = 0;
  const callAndLook = async () => {
    wave += 1;
    demo.setNow(Date.now());
    const calls = Array.from({ length: 20 + ((wave * 13) % 40) }, () =>
      demo.billing.charge({ accountId: STUDIO, requestId: requestId(), credits: 1n }),
    );
    await Promise.allSettled(calls);
    return (await line.count()) > 0 ? await line.getAttribute('points') : '';
  };
  await expect.poll(callAndLook, { timeout: 150_000, interval: 100 }).toMatch(/(\S+ ){34}/);
}

const SHOTS: readonly Shot[] = [
  {
    name: 'console-account',
    path: () => `accounts/${STUDIO}`,
    viewport: WIDE,
    colorScheme: 'light',
  },
  {
    name: 'console-history',
    path: () => `accounts/${STUDIO}/history`,
    viewport: WIDE,
    colorScheme: 'dark',
  },
  {
    name: 'console-charge',
    path: ({ jobId }) => `charges/reservation/${jobId}`,
    viewport: { ...WIDE, height: 900 },
    colorScheme: 'light',
  },
  {
    name: 'console-grant',
    path: () => `accounts/${STUDIO}`,
    viewport: WIDE,
    colorScheme: 'light',
    act: fillGrant,
  },
  {
    name: 'console-void',
    path: () => `accounts/${STUDIO}`,
    viewport: WIDE,
    colorScheme: 'light',
    act: fillVoid,
  },
  {
    name: 'console-live',
    path: () => 'live',
    viewport: WIDE,
    colorScheme: 'dark',
    act: callUntilLinesAreDrawn,
  },
  {
    name: 'console-phone',
    path: ({ demo }) => `accounts/${demo.perfectparser}`,
    viewport: NARROW,
    colorScheme: 'dark',
  },
];

test.skipIf(!FOLDER)('pictures for the documentation', async () => {
  const folder = FOLDER ?? '';
  await mkdir(folder, { recursive: true });
  const [demo, browser] = await Promise.all([startDemo(), launch()]);
  const token = await demo.key.sign({ sub: 'ann' });
  for (const { name, path, viewport, colorScheme, act } of SHOTS) {
    const visit = await Visit.open(browser, demo.origin, { viewport, colorScheme });
    await visit.signIn(token);
    const page = await visit.go(path(demo));
    await act?.(page, visit, demo);
    await visit.settled();
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await visit.close();
  }
  await browser.close();
  await demo.stop();
});
