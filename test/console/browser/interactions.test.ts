/** What a person does: by keyboard, with the search, with a calculator, and with actions that policy allows. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defined, entriesOf, grant } from '../../accounts.ts';
import { requestId, startTestService } from '../../service.ts';
import { CHROMIUM, launch, PATIENCE, PHONE, Visit } from './chromium.ts';
import { type DemoService, STUDIO, startDemo } from './demo-data.ts';

let demo: DemoService;
let browser: Browser;

/** A browser in which this person has signed in. */
async function visitOf(person: string, look = {}): Promise<Visit> {
  const visit = await Visit.open(browser, demo.origin, look);
  await visit.signIn(await demo.key.sign({ sub: person }));
  return visit;
}

// Programs of the page are texts: the types of tests know no DOM.
const setDay = (day: string) => `((field) => {
  field.value = '${day}';
  field.dispatchEvent(new Event('input', { bubbles: true }));
})(document.querySelector('input[type=date]'))`;

const focused = (visit: Visit): Promise<unknown> =>
  visit.page.evaluate('document.activeElement.outerHTML.slice(0, 200)');

describe.skipIf(!CHROMIUM)('a person', () => {
  let ann: Visit;
  beforeAll(async () => {
    [demo, browser] = await Promise.all([startDemo(), launch()]);
    ann = await visitOf('ann');
    ann.expected.push(/status of 404/);
  });
  afterAll(async () => {
    await ann?.close();
    await browser?.close();
    await demo?.stop();
  });

  describe('by keyboard', () => {
    test('skips to the content, and gets to the search with /', async () => {
      const { page } = ann;
      await ann.go('plans');
      await page.keyboard.press('Tab');
      expect(await focused(ann)).toContain('Skip to the content');
      await page.keyboard.press('Enter');
      expect(await focused(ann)).toContain('id="main"');
      await page.keyboard.press('/');
      expect(await focused(ann)).toContain('type="search"');
      await page.keyboard.type(STUDIO);
      await page.keyboard.press('Enter');
      await page.waitForURL(`**/console/accounts/${STUDIO}`);
      await ann.settled();
      expect(await focused(ann)).toContain('<h1');
      expect(await page.title()).toBe(`${STUDIO} · accounts · Scrip`);
    });

    test('goes through the tabs with arrows, and each has an address', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      await page.getByRole('tab', { name: 'Balance' }).focus();
      await page.keyboard.press('ArrowRight');
      await page.waitForURL('**/history');
      expect(await focused(ann)).toContain('tab-history');
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowLeft');
      await page.waitForURL('**/statements');
      await ann.shows('Usage by operation');
    });

    test('opens and leaves a dialog, and is where it was', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      await page.getByRole('button', { name: 'Grant credits…' }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      expect(await ann.violations()).toEqual([]);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await focused(ann)).toContain('Grant credits…');
    });
  });

  describe('finds', () => {
    const ids: Readonly<Record<string, () => string>> = {
      'an entry': () => `${STUDIO}/69`,
      'a reservation': () => demo.jobId,
      'a reference': () => demo.jobReference,
      'a trace': () => demo.jobTraceId,
      'a traceparent': () => `00-${demo.jobTraceId}-00f067aa0ba902b7-01`,
    };
    test.each(Object.keys(ids))('the charge of %s', async (name) => {
      await ann.go(`search?${new URLSearchParams({ q: ids[name]?.() ?? '' })}`);
      await ann.page.waitForURL(`**/console/charges/reservation/${demo.jobId}**`);
      await ann.shows('Commit, in part 150');
    });

    test('a request id and a purchase', async () => {
      const id = requestId();
      const { purchase } = await demo.billing.purchase({
        accountId: demo.demo.verts,
        requestId: id,
        packId: 'starter',
        payment: { $case: 'paymentReference', value: id },
      });
      for (const q of [id, defined(purchase).purchaseId]) {
        await ann.go(`search?q=${q}`);
        await ann.page.waitForURL(`**/charges/purchase/${defined(purchase).purchaseId}**`);
        await ann.shows('price 5.00 USD');
        expect(await ann.page.locator('a[href$="version=0"]').count()).toBe(0);
      }
    });

    test('several charges of one reference, and none is picked', async () => {
      const reference = 'nightly run';
      for (let time = 0; time < 3; time += 1)
        await demo.billing.charge({
          accountId: demo.demo.verts,
          requestId: requestId(),
          credits: 1n,
          reference,
        });
      await ann.go(`search?q=${encodeURIComponent(reference)}`);
      await ann.shows('has 3 results.');
      expect(
        await ann.page
          .getByRole('table')
          .getByRole('link', { name: /^entry/ })
          .count(),
      ).toBe(3);
      expect(await ann.violations()).toEqual([]);
    });

    test('an account whose id has every kind of character', async () => {
      const accountId = 'a/b?c#d%2Fe&f=g+..~"<i>';
      await demo.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
      await ann.go(`search?${new URLSearchParams({ q: accountId })}`);
      await ann.shows(`Account ${accountId}`);
      await ann.page.getByRole('tab', { name: 'History' }).click();
      await ann.shows('open account');
      await ann.page.reload();
      await ann.shows('open account');
    });

    test.each(['.', '..', '~.'])('the account %s', async (accountId) => {
      await demo.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
      await ann.go(`search?q=${accountId}`);
      await ann.page.getByRole('tab', { name: 'Purchases' }).click();
      await ann.shows(`Account ${accountId} open`);
    });
  });

  test('asks what something costs, on another version', async () => {
    const { page } = ann;
    await ann.go('plans/verts');
    await page.getByLabel('For the account').fill(STUDIO);
    await page.getByLabel('Operation').selectOption('image.upscale');
    await page.getByLabel('scale_factor').fill('16');
    await page.getByLabel('Count', { exact: true }).fill('100000');
    await ann.shows('It would cost 5,000,000 credits');
    await ann.shows('Packs that would cover it, best first: 50 × Enterprise for 12,500.00 USD');
    await page.getByLabel('scale_factor').fill('64');
    await ann.shows('must be from 2 to 16');
    await ann.go('plans/verts?version=1');
    await page.getByLabel('Operation').selectOption('image.watermark');
    await ann.shows('It would cost 3 credits');
    ann.expected.push(/status of 400/);
  });

  test('the chart says amounts to the last digit, also beyond 2^53', async () => {
    const { page } = ann;
    const accountId = await demo.open('verts');
    for (const credits of [9_007_199_254_740_993n, 1_000n]) {
      demo.advance(1_000);
      await grant(demo, accountId, credits);
    }
    await ann.go(`accounts/${accountId}/history`);
    const over = page.locator('.chart .u-over');
    const { x, y, width, height } = defined((await over.boundingBox()) ?? undefined);
    await page.mouse.move(x + width - 1, y + height / 2, { steps: 3 });
    await expect
      .poll(() => page.locator('.chart').innerText(), PATIENCE)
      .toMatch(/9,007,199,254,741,993/);
  });

  test('who copies an id has all of it', async () => {
    const { page } = ann;
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await ann.go(`accounts/${STUDIO}/reservations`);
    await page.getByRole('button', { name: `Copy ${demo.jobId}` }).click();
    await ann.shows('copied');
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(demo.jobId);
  });

  describe('acts', () => {
    let before: number;
    beforeEach(async () => {
      before = (await entriesOf(demo, STUDIO)).length;
    });

    test('grants credits: sees the effect before, gives a reason, and is named on the entry', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      const { balance } = await demo.billing.getBalance({ accountId: STUDIO });
      const available = defined(balance).available;
      await page.getByRole('button', { name: 'Grant credits…' }).click();
      const dialog = page.getByRole('dialog');
      const button = dialog.getByRole('button', { name: /^Grant/ });
      await dialog.getByLabel('Credits').fill('1,250');
      const [was, is] = [available, available + 1_250n].map((value) =>
        value.toLocaleString('en-US'),
      );
      await ann.shows(`Available ${was} → ${is} +1,250`);
      // Without a reason nothing can be done.
      expect(await button.isDisabled()).toBe(true);
      await dialog.getByLabel('Reason').fill('Sorry for the outage, ticket 17');
      expect(await ann.violations()).toEqual([]);
      await button.dblclick();
      await ann.shows('Granted 1,250 credits as grant');
      const entries = await entriesOf(demo, STUDIO);
      expect(entries).toHaveLength(before + 1);
      const entry = defined(entries.at(-1));
      expect(entry.caller).toBe('staff:ann');
      expect(entry.credits).toBe(1_250n);
      expect(entry.details.get('reason')).toBe('Sorry for the outage, ticket 17');
      await dialog.getByRole('button', { name: 'Close' }).click();
      await ann.shows(`Available ${is}`);
    });

    test('a retry after a lost answer has the same request id, and acts once', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      await page.getByRole('button', { name: 'Grant credits…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Credits').fill('7');
      await dialog.getByLabel('Reason').fill('a retry');
      ann.expected.push(/ERR_FAILED/);
      // The service acts, and the answer does not arrive.
      await page.route('**/GrantCredits', async (route) => {
        await route.fetch();
        await route.abort();
      });
      await dialog.getByRole('button', { name: 'Grant 7' }).click();
      await ann.shows('the service does not answer');
      await page.unroute('**/GrantCredits');
      await dialog.getByRole('button', { name: 'Try again' }).click();
      await ann.shows('Granted 7 credits');
      expect(await entriesOf(demo, STUDIO)).toHaveLength(before + 1);
    });

    test('who leaves a content and comes back to it has the same request id', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      await page.getByRole('button', { name: 'Grant credits…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Credits').fill('7');
      await dialog.getByLabel('Reason').fill('a reason');
      const id = () => dialog.locator('code').innerText();
      const first = await id();
      await dialog.getByLabel('Credits').fill('8');
      expect(await id()).not.toBe(first);
      await dialog.getByLabel('Credits').fill('7');
      expect(await id()).toBe(first);
    });

    test('while nobody knows whether it took effect, it can only be tried again', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      await page.getByRole('button', { name: 'Grant credits…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Credits').fill('9');
      await dialog.getByLabel('Reason').fill('an answer that came too late');
      ann.expected.push(/status of 504/);
      await page.route('**/GrantCredits', async (route) => {
        await route.fetch();
        await route.fulfill({
          status: 504,
          json: { error: { code: 'DEADLINE_EXCEEDED', reason: '', message: 'too late' } },
        });
      });
      await dialog.getByRole('button', { name: 'Grant 9' }).click();
      await ann.shows('It is not known whether it took effect.');
      for (const label of ['Credits', 'Reason'])
        expect(await dialog.getByLabel(label).isDisabled()).toBe(true);
      expect(await ann.violations()).toEqual([]);
      await page.unroute('**/GrantCredits');
      await dialog.getByRole('button', { name: 'Try again' }).click();
      await ann.shows('Granted 9 credits');
      expect(await entriesOf(demo, STUDIO)).toHaveLength(before + 1);
    });

    test('takes no year that is no instant', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}`);
      await page.getByRole('button', { name: 'Grant credits…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Credits').fill('5');
      for (const day of ['020261-12-31', '12026-01-01', '275760-09-13']) {
        await page.evaluate(setDay(day));
        await ann.shows('The expiry must be before the year 10000.');
      }
    });

    test('refunds a part: the grants that get it back are named', async () => {
      const { page } = ann;
      await ann.go(`charges/entry/${encodeURIComponent(`${demo.demo.perfectparser}/11`)}`);
      await page.getByRole('button', { name: 'Refund…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Credits, at most 120').fill('50');
      await ann.shows('Back to grant #4: 4, grant #3: 46.');
      await ann.shows('Available 266 → 316 +50');
      await dialog.getByLabel('Credits, at most 120').fill('121');
      await ann.shows('A whole number from 1 to 120.');
      await dialog.getByLabel('Credits, at most 120').fill('50');
      await dialog.getByLabel('Reason').fill('pages were blank');
      await dialog.getByRole('button', { name: 'Refund 50' }).click();
      await ann.shows('Refunded 50 credits');
      const entry = defined((await entriesOf(demo, demo.demo.perfectparser)).at(-1));
      expect(entry.details.get('reason')).toBe('pages were blank');
      const grants = entry.moves.map(({ to, credits }) => [to?.grantId, credits]);
      expect(grants).toEqual(
        expect.arrayContaining([
          [4n, 4n],
          [3n, 46n],
        ]),
      );
      await dialog.getByRole('button', { name: 'Close' }).click();
      await ann.shows('70 (120 charged, 50 refunded)');
    });

    test('where the button went with the action, the heading has the focus', async () => {
      const { page } = ann;
      const { reservation } = await demo.billing.reserve({
        accountId: demo.demo.perfectparser,
        requestId: requestId(),
        credits: 1n,
      });
      await ann.go(`charges/reservation/${defined(reservation).reservationId}`);
      await page.getByRole('button', { name: 'Release…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').fill('the job is gone');
      await dialog.getByRole('button', { name: 'Release 1' }).click();
      const close = dialog.getByRole('button', { name: 'Close' });
      await page.getByRole('button', { name: 'Release…' }).waitFor({ state: 'detached' });
      await close.click();
      await dialog.waitFor({ state: 'detached' });
      await expect.poll(() => focused(ann), PATIENCE).toContain('<h1');
    });

    test('releases a reservation; the reason is logged', async () => {
      const { page } = ann;
      await ann.go(`accounts/${STUDIO}/reservations`);
      await page
        .getByRole('row', { name: /job-4990/ })
        .getByRole('button', { name: 'Release…' })
        .click();
      const dialog = page.getByRole('dialog');
      await ann.shows('Reserved 370 → 70 −300');
      await dialog.getByLabel('Reason').fill('the job hangs since “two” hours');
      await dialog.getByRole('button', { name: 'Release 300' }).click();
      await ann.shows('Released 300 credits');
      const entry = defined((await entriesOf(demo, STUDIO)).at(-1));
      expect([entry.caller, entry.reservationId]).toEqual(['staff:ann', demo.runningId]);
      expect(demo.lines.map((line) => JSON.stringify(line)).join('\n')).toContain(
        'the job hangs since “two” hours',
      );
    });

    test('has an event delivered again', async () => {
      const { page } = ann;
      await ann.go('live');
      const dead = async () => {
        const { deliveries } = await demo.events.listDeliveries({ pageSize: 1_000 });
        return deliveries.filter(({ attempts }) => attempts > 0).length;
      };
      await expect.poll(dead, PATIENCE).toBeGreaterThan(0);
      await ann.page.reload();
      await page.getByRole('button', { name: 'Deliver again…' }).first().click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').fill('the endpoint is back');
      await dialog.getByRole('button', { name: 'Deliver again' }).click();
      await ann.shows('The delivery is pending, and due now.');
    });
  });

  describe('who may less', () => {
    test('Rita reads, and is offered no action', async () => {
      const rita = await visitOf('rita');
      for (const path of [
        `accounts/${STUDIO}`,
        `accounts/${STUDIO}/reservations`,
        `charges/reservation/${demo.jobId}`,
      ]) {
        await rita.go(path);
        expect(await rita.page.getByRole('button', { name: /…$/ }).count()).toBe(0);
      }
      await rita.go('live');
      await rita.shows('Your role does not see the figures of the service.');
      await rita.close();
    });

    test('Sam grants and refunds, and follows no charge', async () => {
      const sam = await visitOf('sam', { viewport: PHONE });
      await sam.go(`accounts/${STUDIO}`);
      await sam.page.getByRole('button', { name: 'Grant credits…' }).click();
      await sam.page.getByRole('dialog').waitFor();
      expect(await sam.tooWide()).toBeLessThanOrEqual(0);
      expect(await sam.violations()).toEqual([]);
      await sam.go(`charges/reservation/${demo.jobId}`);
      await sam.shows('Your role does not follow charges.');
      await sam.close();
    });

    test('a wrong token is refused with a reason, and who signs out sees nothing any more', async () => {
      const visit = await Visit.open(browser, demo.origin);
      visit.expected.push(/status of 401/);
      await visit.go(`accounts/${STUDIO}`);
      await visit.shows('Sign in');
      expect(await visit.text()).not.toContain('Studio North');
      expect(await visit.violations()).toEqual([]);
      await visit.page.getByLabel('Token').fill('no token');
      await visit.page.getByRole('button', { name: 'Sign in' }).click();
      await visit.page.getByRole('alert').waitFor();
      await visit.page.getByLabel('Token').fill(await demo.key.sign({ sub: 'ann' }));
      await visit.page.getByRole('button', { name: 'Sign in' }).click();
      await visit.shows('Studio North');
      await visit.page.getByRole('button', { name: 'Sign out' }).click();
      await visit.page.getByLabel('Token').waitFor();
      expect(await visit.text()).not.toContain('Studio North');
      await visit.close();
    });
  });

  test('the page Live shows the calls of the last seconds', async () => {
    await ann.go('live');
    const callAndLook = async () => {
      // The clock of the service stands still otherwise.
      demo.setNow(Date.now());
      const request = { accountId: STUDIO, requestId: requestId(), credits: 1_000_000n };
      await demo.billing.charge(request).catch(() => {});
      return await ann.text();
    };
    await expect
      .poll(callAndLook, PATIENCE)
      .toMatch(
        /Calls [\d.]+ \/s [\d.]+ \/s fail .* BillingService\/Charge .* INSUFFICIENT_CREDITS [\d.]+ \/s/,
      );
    expect(await ann.violations()).toEqual([]);
  });

  test('without a policy everybody on the machine reads, and nobody acts', async () => {
    const open = await startTestService({ env: { ADMIN_PORT: '0' } });
    const accountId = await open.open('perfectparser');
    const visit = await Visit.open(browser, `http://localhost:${open.service.adminPort}`);
    await visit.go(`accounts/${accountId}`);
    await visit.shows('Available 20');
    await visit.shows('read only');
    expect(await visit.page.getByRole('button', { name: /…$/ }).count()).toBe(0);
    await visit.close();
    await open.stop();
  });

  test('the page says what to do where the service does not answer', async () => {
    const visit = await visitOf('ann');
    visit.expected.push(/ERR_FAILED/);
    await visit.page.route('**/api/rpc/**', (route) => route.abort());
    await visit.page.goto(`${demo.origin}/console/accounts/${STUDIO}`);
    await visit.shows('the service does not answer');
    await visit.shows('Check that the service runs');
    await visit.page.unroute('**/api/rpc/**');
    await visit.page.getByRole('button', { name: 'Try again' }).click();
    await visit.shows('Studio North');
    await visit.close();
  });
});
