/** Purchases while the database is away. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { defined, MINUTE, openWithCredits } from '../accounts.ts';
import { blockConnections, captureLog } from '../disruptions.ts';
import { requestId, startTestService } from '../service.ts';
import { buyByCheckout, purchaseNow } from './given.ts';
import { StripeFake } from './stripe-fake.ts';

let stripe: StripeFake;
beforeAll(async () => {
  stripe = await new StripeFake().start();
});
afterAll(async () => {
  await stripe.stop();
});

describe('the reconciler', () => {
  test('calls a database that is gone no bug, and settles the purchases later', async () => {
    const { log, lines } = captureLog('debug');
    const own = await startTestService({
      env: { ...stripe.env, PURCHASE_CHECK_AFTER_MS: '600000', PURCHASE_CHECK_MAX: '5' },
      log,
    });
    try {
      const purchases = await Promise.all(
        Array.from({ length: 5 }, async () => buyByCheckout(own, await own.open('verts'))),
      );
      for (const { purchaseId } of purchases) stripe.pay(stripe.sessionOf(purchaseId).id);
      own.setNow(stripe.clock() + 11 * MINUTE);
      // All five are claimed, and those that are checked first wait for Stripe when the database goes away.
      const asked = Promise.withResolvers<void>();
      const gone = Promise.withResolvers<undefined>();
      stripe.intercept = (call, moment) => {
        if (!call.startsWith('GET') || moment === 'after') return undefined;
        asked.resolve();
        return gone.promise;
      };
      const checked = own.service.checkPurchases();
      await asked.promise;
      const unblock = await blockConnections(own.databaseUrl);
      gone.resolve(undefined);
      await checked.catch(() => {});
      await unblock();
      const logged = lines.map(({ msg }) => msg);
      expect(logged).toContain('purchase not checked; it will be repeated');
      expect(logged).not.toContain('bug');
      own.advance(11 * MINUTE);
      await own.service.checkPurchases();
      for (const purchase of purchases)
        expect((await purchaseNow(own, purchase)).state).toBe(Purchase_State.PAID);
    } finally {
      await own.stop();
    }
  });
});

test('a top-up that was charged when the database went away is bought once', async () => {
  const own = await startTestService({ env: stripe.env });
  try {
    own.setNow(stripe.clock());
    const accountId = await openWithCredits(own, 600n);
    const named = () => ({ accountId, requestId: requestId() });
    const setting = { packId: 'starter', threshold: 500n, coolDown: { seconds: 3_600n, nanos: 0 } };
    const autoTopUp = { ...setting, monthlyCap: 3, customer: 'cus_1', paymentMethod: 'pm_1' };
    await own.accounts.updateAccount({ ...named(), autoTopUp: { autoTopUp } });
    await own.billing.charge({ ...named(), credits: 200n });
    let unblock: (() => Promise<void>) | undefined;
    stripe.intercept = async (call, moment) => {
      if (moment === 'after' && call.endsWith('confirm') && !unblock)
        unblock = await blockConnections(own.databaseUrl);
      return undefined;
    };
    await own.service.topUp();
    await defined(unblock)();
    stripe.intercept = () => undefined;
    own.advance(5 * MINUTE);
    await own.service.topUp();
    const charges = [...stripe.charges.values()];
    expect(charges.filter(({ metadata }) => metadata['account_id'] === accountId).length).toBe(1);
    const { purchases } = await own.billing.listPurchases({ accountId });
    expect(purchases).toMatchObject([{ state: Purchase_State.PAID }]);
  } finally {
    await own.stop();
  }
});
