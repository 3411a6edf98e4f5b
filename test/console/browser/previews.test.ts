/** What the dialog of an action says that it will do, where less comes back than is given back. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';
import { balanceOf, DAY, defined, grant, HOUR, UPSCALE } from '../../accounts.ts';
import { requestId } from '../../service.ts';
import { type SignedInService, startSignedIn } from '../signed-in.ts';
import { CHROMIUM, launch, Visit } from './chromium.ts';

const RULES = `
  - { id: staff:ann, roles: [product-service, support, billing-admin, observer, operator] }
`;
const RETURNED_VOID = 2;

describe.skipIf(!CHROMIUM)('a preview', () => {
  let scrip: SignedInService;
  let browser: Browser;
  let ann: Visit;
  let now: number;
  beforeAll(async () => {
    now = Date.now();
    [scrip, browser] = await Promise.all([
      startSignedIn(RULES, { frozenAt: now, env: { ADMIN_PORT: '0' } }),
      launch(),
    ]);
    ann = await Visit.open(browser, `http://localhost:${scrip.service.adminPort}`);
    ann.expected.push(/status of 401/);
  });
  afterAll(async () => {
    await ann?.close();
    await browser?.close();
    await scrip?.stop();
  });

  /**
   * An account whose grant 1 expires, grant 2 is for one operation, and grant 3 is for all. A usage takes 10 of each.
   */
  async function openWithGrants(): Promise<string> {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 10n, {
      category: Grant_Category.PROMOTIONAL,
      expiresAt: new Date(now + HOUR),
      priority: 1,
    });
    await grant(scrip, accountId, 10n, {
      onlyFor: { operations: ['image.upscale'] },
      priority: 2,
    });
    await grant(scrip, accountId, 15n);
    return accountId;
  }

  function later(ms: number) {
    now += ms;
    scrip.advance(ms);
  }

  /** Opens a page, signed in at this time: tokens and sessions end as time goes on. */
  async function visit(path: string) {
    const seconds = Math.floor(now / 1_000);
    await ann.page.context().clearCookies();
    await ann.signIn(await scrip.key.sign({ sub: 'ann', iat: seconds, exp: seconds + 3_600 }));
    await ann.go(path);
  }

  const usages = { items: [{ ...UPSCALE, count: 3n }] };

  async function reserveAll(accountId: string, seconds = 86_400n): Promise<string> {
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      usages,
      ttl: { seconds, nanos: 0 },
    });
    return defined(reservation).reservationId;
  }

  /** The figures of the dialog: before and after, by name. */
  async function figures(): Promise<Readonly<Record<string, readonly string[]>>> {
    const rows = await ann.page.getByRole('dialog').locator('.preview tbody tr').all();
    const texts = await Promise.all(rows.map((row) => row.locator('th, td').allInnerTexts()));
    return Object.fromEntries(
      texts.map(([name = '', before = '', after = '']) => [
        name,
        [before, after.replace('→ ', '')],
      ]),
    );
  }

  async function figuresNow(accountId: string) {
    const { available, remaining, reserved, limited } = await balanceOf(scrip, accountId);
    const some = limited.reduce((sum, one) => sum + one.available, 0n);
    return { available, remaining, reserved, some };
  }

  /** Does what the dialog offers, and compares. */
  async function actsAsSaid(accountId: string, button: RegExp) {
    const before = await figuresNow(accountId);
    const dialog = ann.page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('a test');
    await dialog.locator('.preview tbody tr').first().waitFor();
    const said = await figures();
    await dialog.getByRole('button', { name: button }).click();
    await dialog.getByRole('button', { name: 'Close' }).waitFor();
    const after = await figuresNow(accountId);
    const NAMES = {
      Available: 'available',
      'Available to some operations': 'some',
      Remaining: 'remaining',
      Reserved: 'reserved',
    } as const;
    for (const [name, figure] of Object.entries(NAMES)) {
      const pair = [before[figure], after[figure]].map(String);
      if (before[figure] !== after[figure] || said[name])
        expect([name, said[name]]).toEqual([name, pair]);
    }
    return said;
  }

  test('of a release leaves out what has expired, was voided, or is for some operations', async () => {
    const accountId = await openWithGrants();
    const reservationId = await reserveAll(accountId);
    await scrip.accounts.voidGrant({
      accountId,
      requestId: requestId(),
      grantId: 3n,
      all: true,
      returned: RETURNED_VOID,
      reason: 'a test',
    });
    later(2 * HOUR);
    await visit(`charges/reservation/${reservationId}?account=${accountId}`);
    await ann.page.getByRole('button', { name: 'Release…' }).click();
    const said = await actsAsSaid(accountId, /^Release 30/);
    expect(said).toEqual({
      Available: ['0', '0'],
      'Available to some operations': ['0', '10'],
      Remaining: ['30', '10'],
      Reserved: ['30', '0'],
    });
    await ann.shows('Released 30 credits');
  });

  test('of a release says what of an expired reservation is changed', async () => {
    const accountId = await openWithGrants();
    const reservationId = await reserveAll(accountId, 600n);
    await visit(`charges/reservation/${reservationId}?account=${accountId}`);
    later(601_000);
    await ann.page.getByRole('button', { name: 'Release…' }).click();
    await ann.shows('Released, it cannot be committed late.');
    await actsAsSaid(accountId, /^Release 0/);
    await ann.shows('Released 0 credits, entry');
  });

  test('of a refund leaves out what has expired or is for some operations', async () => {
    const accountId = await openWithGrants();
    const { entrySeq } = await scrip.billing.charge({ accountId, requestId: requestId(), usages });
    later(DAY);
    await visit(`charges/entry/${encodeURIComponent(`${accountId}/${entrySeq}`)}`);
    await ann.page.getByRole('button', { name: 'Refund…' }).click();
    await ann.shows('10 of them are of grants that have expired: they stay expired.');
    const said = await actsAsSaid(accountId, /^Refund 30/);
    expect(said['Available']).toEqual(['5', '15']);
  });

  test('of a refund of overage of an earlier month leaves the overage of this month', async () => {
    const accountId = await scrip.open('aspose-cloud');
    const { entrySeq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      usages: {
        items: [
          {
            operation: 'document.convert',
            quantities: new Map(),
            attributes: new Map(),
            count: 60n,
          },
        ],
      },
    });
    later(32 * DAY);
    await visit(`charges/entry/${encodeURIComponent(`${accountId}/${entrySeq}`)}`);
    await ann.page.getByRole('button', { name: 'Refund…' }).click();
    await ann.shows('10 of them are overage of an earlier month');
    const said = await actsAsSaid(accountId, /^Refund 60/);
    expect(said['Overage this month']).toBeUndefined();
  });

  test('of a grant is of the balance now, however long the page has been open', async () => {
    const accountId = await openWithGrants();
    await visit(`accounts/${accountId}`);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 5n });
    await ann.page.getByRole('button', { name: 'Grant credits…' }).click();
    await ann.page.getByRole('dialog').getByLabel('Credits').fill('100');
    await actsAsSaid(accountId, /^Grant 100/);
  });
});
