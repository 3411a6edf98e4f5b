/** Grants are voided and changed, and accounts suspended: what a person does about it, and what the pages say. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../../src/client.ts';
import {
  RunningWork,
  VoidGrantRequest_Returned,
} from '../../../src/gen/billing/v1/account_service.ts';
import { Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';
import { DAY, defined, entriesOf } from '../../accounts.ts';
import { requestId } from '../../service.ts';
import { type SignedInService, startSignedIn } from '../signed-in.ts';
import { CHROMIUM, DESKTOP, type Look, launch, PHONE, Visit } from './chromium.ts';

const RULES = `
  - { id: staff:bea, roles: [product-service, support, billing-admin, observer, operator] }
  - { id: staff:sam, roles: [support, observer] }
  - { id: header:mover, roles: [importer] }
roles:
  importer: { methods: [SetShadowMode] }
`;
const NOW = Date.parse('2026-11-10T12:00:00Z');

const LOOKS = [
  { name: 'desktop, light', viewport: DESKTOP, colorScheme: 'light' },
  { name: 'desktop, dark', viewport: DESKTOP, colorScheme: 'dark' },
  { name: 'phone, light', viewport: PHONE, colorScheme: 'light' },
  { name: 'phone, dark', viewport: PHONE, colorScheme: 'dark' },
] as const;

let scrip: SignedInService;
let browser: Browser;

async function visitOf(person: string, look: Look = {}): Promise<Visit> {
  const origin = `http://localhost:${scrip.service.adminPort}`;
  const visit = await Visit.open(browser, origin, look);
  await visit.signIn(await scrip.key.sign({ sub: person }));
  return visit;
}

/**
 * An account with three grants: 100 that expire first, of which a reservation holds 30; 60 that never expire; and 500
 * that are not effective yet.
 */
async function openWithGrants() {
  const accountId = await scrip.open('verts');
  const named = () => ({ accountId, requestId: requestId() });
  const grant = (credits: bigint, terms: { effectiveAt?: Date; expiresAt?: Date }) =>
    scrip.accounts.grantCredits({
      ...named(),
      credits,
      category: Grant_Category.PROMOTIONAL,
      reason: 'a campaign',
      ...terms,
    });
  await grant(100n, { expiresAt: new Date(NOW + 30 * DAY) });
  await grant(60n, {});
  await grant(500n, { effectiveAt: new Date(NOW + 10 * DAY) });
  const { reservation } = await scrip.billing.reserve({ ...named(), credits: 30n });
  return { accountId, named, reservationId: defined(reservation).reservationId };
}

const focused = (visit: Visit): Promise<unknown> =>
  visit.page.evaluate('document.activeElement.outerHTML.slice(0, 200)');

const voidOf = (visit: Visit, grantId: number) =>
  visit.page.getByRole('button', { name: `Void… credits of grant ${grantId}` });

describe.skipIf(!CHROMIUM)('grants', () => {
  beforeAll(async () => {
    const started = startSignedIn(RULES, { frozenAt: NOW, env: { ADMIN_PORT: '0' } });
    [scrip, browser] = await Promise.all([started, launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await scrip?.stop();
  });

  describe.each(LOOKS)('$name', (look) => {
    test('one of which jobs hold a part is voided, with what they give back', async () => {
      const { accountId, named, reservationId } = await openWithGrants();
      const before = await entriesOf(scrip, accountId);
      const visit = await visitOf('bea', look);
      const { page } = visit;
      await visit.go(`accounts/${accountId}`);
      await voidOf(visit, 1).click();
      const dialog = page.getByRole('dialog');
      await visit.shows('Available 130 → 60 −70');
      await visit.shows('Remaining 160 → 90 −70');
      await visit.shows('Left of grant #1 100 → 30 −70');
      await visit.shows('what they give back can be spent again.');
      await dialog.getByLabel('What jobs give back').selectOption('is voided, too');
      await visit.shows('30 stay reserved: jobs may spend them. Of what they give back, up to 30');
      expect(await visit.violations()).toEqual([]);
      expect(await visit.tooWide()).toBeLessThanOrEqual(0);

      const button = dialog.getByRole('button', { name: 'Void 100' });
      expect(await button.isDisabled()).toBe(true);
      await dialog.getByLabel('Reason').fill('granted twice, ticket 9');
      await button.dblclick();
      await visit.shows('Voided 70 credits of grant #1');
      await visit.shows('30 more are voided if jobs give them back. 60 are available now.');
      const entries = await entriesOf(scrip, accountId);
      expect(entries).toHaveLength(before.length + 1);
      const entry = defined(entries.at(-1));
      expect([entry.caller, entry.details.get('reason')]).toEqual([
        'staff:bea',
        'granted twice, ticket 9',
      ]);
      await dialog.getByRole('button', { name: 'Close' }).click();
      await visit.shows('70 voided 30 voided if given back');

      await scrip.billing.release({ ...named(), reservationId });
      await visit.go(`accounts/${accountId}/history`);
      await visit.shows('70 credits of grant #1 voided; up to 30 more as jobs give them back');
      await visit.shows('30 of what came back voided at once');
      expect(await visit.violations()).toEqual([]);
      expect(await visit.tooWide()).toBeLessThanOrEqual(0);
      await visit.go(`charges/entry/${encodeURIComponent(`${accountId}/${entry.seq}`)}`);
      await visit.shows('Void grant 70');
      await visit.shows('up to 30 more as jobs give them back');
      await visit.shows('granted twice, ticket 9');
      await visit.go(`charges/reservation/${reservationId}`);
      await visit.shows('30 of what came back voided at once');
      expect(await visit.violations()).toEqual([]);
      await visit.close();
    });

    test('the page of an account in shadow mode says since when and by whom', async () => {
      const { accountId, named } = await openWithGrants();
      const mover = connect(`127.0.0.1:${scrip.service.port}`, { caller: 'mover' });
      await mover.accounts.setShadowMode({ ...named(), enabled: true, reason: 'cut-over' });
      mover.close();
      const visit = await visitOf('bea', look);
      await visit.go(`accounts/${accountId}`);
      await visit.shows('In shadow mode since 2026-11-10 12:00:00');
      await visit.shows('by mover');
      await visit.shows('Another system charges');
      expect(await visit.violations()).toEqual([]);
      await visit.close();
    });

    test('the page of a suspended account says why, since when and by whom', async () => {
      const { accountId, named } = await openWithGrants();
      const running = RunningWork.STOP;
      await scrip.accounts.suspendAccount({ ...named(), running, reason: 'a chargeback' });
      const visit = await visitOf('bea', look);
      await visit.go(`accounts/${accountId}`);
      await visit.shows(`Account ${accountId} suspended`);
      await visit.shows('Suspended since 2026-11-10 12:00:00');
      await visit.shows('by test a chargeback');
      await visit.shows('New work is refused; jobs that have reserved can neither commit nor');
      expect(await visit.page.getByRole('button', { name: 'Grant credits…' }).count()).toBe(1);
      expect(await visit.violations()).toEqual([]);
      expect(await visit.tooWide()).toBeLessThanOrEqual(0);
      await visit.close();
    });
  });

  describe('in one visit', () => {
    let bea: Visit;
    // Her visits of above have ended: a person has no more than ten sessions.
    beforeAll(async () => {
      bea = await visitOf('bea');
    });
    afterAll(() => bea?.close());

    test('by keyboard: a part is voided, and what jobs hold stays theirs', async () => {
      const { accountId } = await openWithGrants();
      const { keyboard } = await bea.go(`accounts/${accountId}`);
      await voidOf(bea, 1).focus();
      await keyboard.press('Enter');
      await bea.shows('Left of grant #1 100 → 30 −70');
      await keyboard.press('Escape');
      await bea.page.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await focused(bea)).toContain('Void…');

      await keyboard.press('Enter');
      await bea.shows('Left of grant #1 100 → 30 −70');
      await bea.page.getByLabel('How many').focus();
      await keyboard.press('ArrowDown');
      await keyboard.press('Tab');
      await keyboard.type('71');
      await bea.shows('A whole number from 1 to 70.');
      await keyboard.press('Backspace');
      await keyboard.press('Backspace');
      await keyboard.type('12');
      await bea.shows('Available 130 → 118 −12');
      await keyboard.press('Tab');
      await keyboard.press('Tab');
      await keyboard.type('by keyboard');
      await keyboard.press('Tab');
      await keyboard.press('Tab');
      await keyboard.press('Enter');
      await bea.shows('Voided 12 credits of grant #1');
      const { grants } = await scrip.accounts.listGrants({ accountId });
      const grant = grants.find(({ grantId }) => grantId === 1n);
      expect(grant).toMatchObject({ remaining: 88n, reserved: 30n, voided: 12n, voidOnReturn: 0n });
    });

    test('one that is not effective yet is voided, and the balance stays', async () => {
      const { accountId } = await openWithGrants();
      const page = await bea.go(`accounts/${accountId}`);
      await page.getByText('All grants, with those that are spent or expired').click();
      await voidOf(bea, 3).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('How many').selectOption('a part');
      await dialog.getByLabel('Credits, at most 500').fill('100');
      await bea.shows('To come with grant #3 500 → 400 −100');
      await bea.shows('The grant is not effective yet: the balance stays as it is.');
      await dialog.getByLabel('Reason').fill('too many');
      await dialog.getByRole('button', { name: 'Void 100' }).click();
      await bea.shows('Voided 100 credits of grant #3');
      await dialog.getByRole('button', { name: 'Close' }).click();
      await bea.shows('100 voided');
    });

    test('that jobs have spent meanwhile are not voided, and the page says so', async () => {
      const { accountId, named } = await openWithGrants();
      const page = await bea.go(`accounts/${accountId}`);
      await voidOf(bea, 1).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('How many').selectOption('a part');
      await dialog.getByLabel('Credits, at most 70').fill('70');
      await dialog.getByLabel('Reason').fill('a race');
      await scrip.billing.charge({ ...named(), credits: 1n });
      bea.expected.push(/status of 4\d\d/);
      await dialog.getByRole('button', { name: 'Void 70' }).click();
      await bea.shows('EXCEEDS_GRANT');
      await bea.shows('A whole number from 1 to 69.');
    });

    test('of which credits are still to be voided: a release says what does not come back', async () => {
      const { accountId, named } = await openWithGrants();
      await scrip.accounts.voidGrant({
        ...named(),
        grantId: 1n,
        all: true,
        returned: VoidGrantRequest_Returned.VOID,
        reason: 'a mistake',
      });
      await scrip.billing.raiseReservation({
        ...named(),
        reservationId: await reservationOf(accountId),
        credits: 5n,
      });
      const page = await bea.go(`accounts/${accountId}/reservations`);
      await page.getByRole('button', { name: 'Release…' }).click();
      await bea.shows('Available 55 → 60 +5');
      await bea.shows('30 of them are voided as they come back.');
    });

    test('with new terms show them, and the history what they were', async () => {
      const { accountId, named } = await openWithGrants();
      await scrip.accounts.updateGrant({
        ...named(),
        grantId: 2n,
        priority: 10,
        expiry: { expiresAt: new Date('2027-01-31T00:00:00Z') },
        operations: { onlyFor: { operations: ['file.inspect', 'image.resize'] } },
        reason: 'for inspections',
      });
      await bea.go(`accounts/${accountId}`);
      const row = bea.page.getByRole('row', { name: /#2/ });
      const text = (await row.innerText()).replace(/\s+/g, ' ');
      expect(text).toMatch(/2027-01-31 00:00:00 .* file\.inspect, image\.resize 10 /);
      // What is limited is no part of what is available for everything.
      await voidOf(bea, 2).click();
      await bea.shows('Available for file.inspect, image.resize 60 → 0 −60');
      await bea.go(`accounts/${accountId}/history?kind=KIND_UPDATE_GRANT`);
      await bea.shows(
        'grant #2: expires 2027-01-31 00:00:00 instead of never; priority 10 instead of 50; only for file.inspect, image.resize instead of all',
      );
      const seq = (await entriesOf(scrip, accountId)).length;
      await bea.go(`charges/entry/${encodeURIComponent(`${accountId}/${seq}`)}`);
      await bea.shows('priority 10 instead of 50');
      expect(await bea.violations()).toEqual([]);
    });

    test('an account that is resumed says nothing of it but in its history', async () => {
      const { accountId, named } = await openWithGrants();
      await scrip.accounts.suspendAccount({ ...named(), reason: 'a chargeback' });
      await scrip.accounts.resumeAccount({ ...named(), reason: 'it was paid' });
      await bea.go(`accounts/${accountId}/history`);
      await bea.shows('new work is refused; jobs that have reserved may go on');
      await bea.shows('it was paid');
      expect(await bea.text()).not.toContain('Suspended since');
    });
  });

  test('are not offered to be voided to who may not', async () => {
    const { accountId } = await openWithGrants();
    const sam = await visitOf('sam');
    await sam.go(`accounts/${accountId}`);
    await sam.page.getByRole('button', { name: 'Grant credits…' }).waitFor();
    expect(await sam.page.getByRole('button', { name: /^Void/ }).count()).toBe(0);
    await sam.close();
  });
});

async function reservationOf(accountId: string): Promise<string> {
  const { reservations } = await scrip.billing.listReservations({ accountId });
  return defined(reservations[0]).reservationId;
}
