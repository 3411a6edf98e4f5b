/** A sandbox in the browser: its clock is moved while the page is open. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { monthStart } from '../../../src/ledger/month.ts';
import { startSandbox, type TestSandbox } from '../../sandbox/sandbox-service.ts';
import { requestId } from '../../service.ts';
import { CHROMIUM, launch, PATIENCE, PHONE, Visit } from './chromium.ts';

let scrip: TestSandbox;
let browser: Browser;

/** The time that the banner shows. */
async function shownTime(visit: Visit): Promise<number> {
  const banner = await visit.page.getByLabel('Sandbox').innerText();
  const [, day, time] = /Its time is (\S+) (\S+) UTC/.exec(banner) ?? [];
  return Date.parse(`${day}T${time}Z`);
}

const isAbout = (at: number) => Math.abs(at - scrip.now()) < 60_000;

describe.skipIf(!CHROMIUM)('a sandbox', () => {
  beforeAll(async () => {
    [scrip, browser] = await Promise.all([startSandbox(undefined, { ADMIN_PORT: '0' }), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await scrip?.stop();
  });

  test('whose clock is moved shows its time, and the month that has closed', async () => {
    const accountId = 'metered';
    await scrip.accounts.openAccount({
      accountId,
      requestId: requestId(),
      planId: 'aspose-cloud',
    });
    // 50 are of the allowance of the month.
    const usages = { items: [{ operation: 'document.convert', count: 70n }] };
    await scrip.billing.charge({ accountId, requestId: requestId(), usages });
    const month = new Date(scrip.now()).toISOString().slice(0, 7);
    const origin = `http://localhost:${scrip.service.adminPort}`;
    const visit = await Visit.open(browser, origin, { viewport: PHONE });
    const statement = `accounts/${accountId}/statements?month=${month}`;
    await visit.go(statement);
    await visit.shows('20 credits of overage 0.40 USD');
    await visit.shows('it is closed when the month is over');
    expect(isAbout(await shownTime(visit))).toBe(true);

    const next = monthStart(scrip.now(), 1);
    await scrip.advanceTo(next);
    await expect.poll(() => shownTime(visit), PATIENCE).toBeGreaterThanOrEqual(next);
    expect(isAbout(await shownTime(visit))).toBe(true);
    await visit.go(statement);
    await visit.shows('State closed');
    await visit.shows('20 credits of overage 0.40 USD');
    expect(await visit.violations()).toEqual([]);
    expect(await visit.tooWide()).toBeLessThanOrEqual(0);
    // The allowance of the new month is there.
    await visit.go(`accounts/${accountId}`);
    await visit.shows('Available 50 the next call can take it');
    await visit.close();
  });
});
