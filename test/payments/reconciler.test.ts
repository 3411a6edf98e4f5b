/** Pending purchases that no webhook settles are settled by the reconciler. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { DAY, defined, HOUR, MINUTE } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { buyByCheckout, CHECKOUT, expectLedger, purchaseNow } from './given.ts';
import { deliver, StripeFake } from './stripe-fake.ts';

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({
    env: { ...stripe.env, PURCHASE_CHECK_AFTER_MS: '600000', PURCHASE_CHECK_MAX: '3' },
  });
  stripe.clock = scrip.now;
});
afterEach(() => {
  stripe.intercept = () => undefined;
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const check = () => scrip.service.checkPurchases();
const fetches = () => stripe.calls.filter((call) => call.startsWith('GET')).length;

/** A purchase whose session was never opened, because of an outage; `retry` repeats the call. */
async function withoutSession(): Promise<{ accountId: string; retry: () => Promise<string> }> {
  const accountId = await scrip.open('verts');
  const request = { accountId, requestId: requestId(), packId: 'starter', payment: CHECKOUT };
  stripe.intercept = () => 'hang up';
  await errorOf(scrip.billing.purchase(request));
  stripe.intercept = () => undefined;
  const retry = async () => defined((await scrip.billing.purchase(request)).purchase).checkoutUrl;
  return { accountId, retry };
}

const onlyPurchase = async (accountId: string) =>
  defined((await scrip.billing.listPurchases({ accountId })).purchases[0]);

describe('the reconciler', () => {
  test('grants all purchases that were paid without a webhook, and fetches each once', async () => {
    const purchases = await Promise.all(
      Array.from({ length: 8 }, async () => buyByCheckout(scrip, await scrip.open('verts'))),
    );
    for (const { purchaseId } of purchases) stripe.pay(stripe.sessionOf(purchaseId).id);
    await check();
    for (const purchase of purchases)
      expect(
        (await purchaseNow(scrip, purchase)).state,
        'younger than PURCHASE_CHECK_AFTER_MS',
      ).toBe(Purchase_State.PENDING);
    scrip.advance(11 * MINUTE);
    const before = fetches();
    await check();
    expect(fetches() - before).toBe(8);
    for (const purchase of purchases)
      await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
    await check();
    expect(fetches() - before).toBe(8);
  });

  test('run by two replicas at the same time fetches each purchase once', async () => {
    const other = await startTestService({ databaseUrl: scrip.databaseUrl, env: stripe.env });
    try {
      const purchases = await Promise.all(
        Array.from({ length: 12 }, async () => buyByCheckout(scrip, await scrip.open('verts'))),
      );
      for (const { purchaseId } of purchases) stripe.pay(stripe.sessionOf(purchaseId).id);
      scrip.advance(11 * MINUTE);
      other.setNow(scrip.now());
      const before = fetches();
      await Promise.all([check(), other.service.checkPurchases()]);
      expect(fetches() - before).toBe(12);
      for (const purchase of purchases)
        await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
    } finally {
      await other.stop();
    }
  });

  test('opens a session that was never opened, and a retry returns its URL', async () => {
    const { accountId, retry } = await withoutSession();
    scrip.advance(11 * MINUTE);
    await check();
    const { purchaseId, checkoutUrl } = await onlyPurchase(accountId);
    expect(checkoutUrl).toBe(stripe.sessionOf(purchaseId).url);
    expect(await retry()).toBe(checkoutUrl);
  });

  test('checks a purchase less and less often, and once more after its session has expired', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const { id } = stripe.sessionOf(purchase.purchaseId);
    for (let minutes = 0; minutes < 23 * 60; minutes += 10) {
      scrip.advance(10 * MINUTE);
      await check();
    }
    const times = stripe.calls.filter((call) => call.endsWith(id)).length;
    expect(times).toBeGreaterThan(4);
    expect(times).toBeLessThan(14);
    stripe.expire(id);
    scrip.advance(HOUR + 2 * MINUTE);
    await check();
    expect((await purchaseNow(scrip, purchase)).state).toBe(Purchase_State.EXPIRED);
  });

  test('expires a purchase without a session after a day, and grants it if it is paid after all', async () => {
    const { accountId, retry } = await withoutSession();
    scrip.advance(DAY);
    await check();
    const purchase = await onlyPurchase(accountId);
    expect(purchase.state).toBe(Purchase_State.EXPIRED);
    expect((await errorOf(retry())).reason).toBe('CHECKOUT_FAILED');
    // A session of this purchase was opened at Stripe, but the response never arrived.
    const metadata = { account_id: accountId, purchase_id: purchase.purchaseId };
    const { accountId: helper } = await buyByCheckout(scrip, await scrip.open('verts'));
    const { purchaseId } = await onlyPurchase(helper);
    const session = stripe.pay(stripe.sessionOf(purchaseId).id);
    const lost = { ...session, id: 'cs_lost', metadata };
    stripe.sessions.set('cs_lost', lost);
    const port = scrip.service.webhookPort;
    expect(await deliver(port, stripe.event('checkout.session.completed', lost))).toBe(200);
    expect((await onlyPurchase(accountId)).state).toBe(Purchase_State.PAID);
    await expectLedger(scrip, accountId, ['CHECKOUT', 'PAYMENT', 'PURCHASE']);
  });

  test('postpones a purchase that it cannot fetch, and settles the others', async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(async () => buyByCheckout(scrip, await scrip.open('verts'))),
    );
    const [first, second] = [defined(one), defined(two)];
    for (const { purchaseId } of [first, second]) stripe.pay(stripe.sessionOf(purchaseId).id);
    const blocked = stripe.sessionOf(first.purchaseId).id;
    stripe.intercept = (call) => (call.endsWith(blocked) ? 'hang up' : undefined);
    scrip.advance(11 * MINUTE);
    await check();
    expect((await purchaseNow(scrip, first)).state).toBe(Purchase_State.PENDING);
    expect((await purchaseNow(scrip, second)).state).toBe(Purchase_State.PAID);
    stripe.intercept = () => undefined;
    scrip.advance(2 * MINUTE);
    await check();
    expect((await purchaseNow(scrip, first)).state).toBe(Purchase_State.PAID);
  });
});
