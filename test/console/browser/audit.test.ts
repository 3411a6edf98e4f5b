/** The page Live after audits: one that found nothing, and one of a ledger that somebody has changed. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';
import { createDatabase, execute } from '../../postgres.ts';
import { startProgram } from '../../process/replica.ts';
import { requestId, startTestService, type TestService } from '../../service.ts';
import { CHROMIUM, launch, Visit } from './chromium.ts';

let databaseUrl: string;
let scrip: TestService;
let browser: Browser;

/** As an operator runs it; then the service reads its figures, as it does every while. */
async function verify() {
  const { code, stdout } = await startProgram(['src/verify/main.ts'], { DATABASE_URL: databaseUrl })
    .ended;
  await scrip.service.readGauges();
  return { code, stdout };
}

describe.skipIf(!CHROMIUM)('the last verify', () => {
  beforeAll(async () => {
    databaseUrl = await createDatabase(inject('postgresUrl'));
    const started = startTestService({ databaseUrl, env: { ADMIN_PORT: '0' } });
    [scrip, browser] = await Promise.all([started, launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await scrip?.stop();
  });

  test('is shown: that it was right, and what it found', async () => {
    const accountId = await scrip.open('verts');
    await scrip.accounts.grantCredits({
      accountId,
      requestId: requestId(),
      credits: 100n,
      category: Grant_Category.PAID,
      reason: 'a test',
    });
    const visit = await Visit.open(browser, `http://localhost:${scrip.service.adminPort}`);
    await visit.go('live');
    await visit.shows('Last verify – not run yet: npm run verify');

    expect(await verify()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^verify: ok/) });
    await visit.shows('Last verify 0 disagreements last good');

    await execute(databaseUrl, 'update entries set credits = credits + 1 where credits = 100');
    expect(await verify()).toMatchObject({
      code: 1,
      stdout: expect.stringContaining(`account ${accountId}:`),
    });
    await expect
      .poll(() => visit.text(), { timeout: 60_000 })
      .toMatch(/Last verify [1-9]\d* disagreements? last good/);
    expect(await visit.page.locator('.tile.is-bad', { hasText: 'Last verify' }).count()).toBe(1);
    expect(await visit.violations()).toEqual([]);
    await visit.close();
  });
});
