/** Charging a saved payment method: one payment, whatever the number of attempts and replicas. */
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { Failure } from '../../src/failure.ts';
import { Purchase_Method, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { Payments } from '../../src/payments/payments.ts';
import { chargeSavedMethod } from '../../src/payments/saved-method.ts';
import { connectStripe } from '../../src/payments/stripe.ts';
import { Observers } from '../../src/telemetry/observers.ts';
import { Tracing } from '../../src/telemetry/tracing.ts';
import { DAY, defined } from '../accounts.ts';
import { type OtherReplica, startOtherReplica } from '../lanes/other-replica.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { expectLedger, purchaseNow } from './given.ts';
import { deliver, StripeFake } from './stripe-fake.ts';

const NO_TRACE = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), sampled: false };

let stripe: StripeFake;
let scrip: TestService;
let replica: OtherReplica;
let payments: Payments;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  stripe.clock = scrip.now;
  const read = readConfig(stripe.env);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  replica = await startOtherReplica(scrip);
  const connected =
    connectStripe(read.config, new Tracing(), new Observers()) ?? expect.fail('there is no key');
  const log = pino({ level: 'silent' });
  const { em, lanes } = replica;
  payments = new Payments({
    stripe: connected,
    em,
    lanes,
    clock: { now: scrip.now, isReliable: true },
    log,
  });
});
afterEach(() => {
  stripe.intercept = () => undefined;
});
afterAll(async () => {
  await replica.stop();
  await scrip.stop();
  await stripe.stop();
});

/** A pending top-up. */
async function topUp(paymentMethod = 'pm_good') {
  const accountId = await scrip.open('verts');
  const autoTopUp = { packId: 'starter', threshold: 1n, monthlyCap: 9, customer: 'cus_1' };
  await scrip.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    autoTopUp: { autoTopUp: { ...autoTopUp, paymentMethod } },
  });
  const started = await replica.lanes.execute(accountId, { kind: 'StartTopUp' }, NO_TRACE);
  if (started instanceof Failure) throw started;
  return { accountId, purchaseId: defined(started.purchaseId ?? undefined) };
}
const charge = ({ accountId, purchaseId }: Awaited<ReturnType<typeof topUp>>, attempt = 1) =>
  chargeSavedMethod(payments, accountId, purchaseId, attempt, scrip.now(), NO_TRACE);

const charges = (purchaseId: string) =>
  [...stripe.charges.values()].filter(({ metadata }) => metadata['purchase_id'] === purchaseId);

describe('a saved payment method', () => {
  test('is charged once for its purchase, which is granted', async () => {
    const purchase = await topUp();
    expect(await charge(purchase)).toEqual({ outcome: 'paid' });
    expect(await charge(purchase)).toEqual({ outcome: 'paid' });
    expect(charges(purchase.purchaseId)).toMatchObject([{ amount: 500, currency: 'usd' }]);
    expect(await purchaseNow(scrip, purchase)).toMatchObject({
      method: Purchase_Method.TOP_UP,
      state: Purchase_State.PAID,
      remaining: 1_000n,
    });
    await expectLedger(scrip, purchase.accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PURCHASE']);
  });

  test('is charged once by many concurrent attempts', async () => {
    const purchase = await topUp();
    const outcomes = await Promise.all([1, 2, 3, 4, 5].map((attempt) => charge(purchase, attempt)));
    expect(new Set(outcomes.map((o) => (o instanceof Failure ? o.reason : o.outcome)))).toEqual(
      new Set(['paid']),
    );
    expect(charges(purchase.purchaseId).length).toBe(1);
    await expectLedger(scrip, purchase.accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PURCHASE']);
  });

  test('that declines returns the code, and can be charged by the next attempt', async () => {
    const purchase = await topUp('pm_poor');
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const declined = { outcome: 'declined', code: 'insufficient_funds' };
    expect(await charge(purchase)).toEqual(declined);
    expect(await purchaseNow(scrip, purchase)).toMatchObject({
      state: Purchase_State.FAILED,
      failureCode: 'insufficient_funds',
    });
    stripe.methods.delete('pm_poor');
    // A repeated attempt has the same result at Stripe: it charges nothing.
    expect(await charge(purchase)).toEqual(declined);
    expect(await charge(purchase, 2)).toEqual({ outcome: 'paid' });
    await expectLedger(scrip, purchase.accountId, [
      'UPDATE_ACCOUNT',
      'CHECKOUT',
      'PAYMENT',
      'PURCHASE',
    ]);
  });

  test('whose bank wants to authenticate the customer requires action', async () => {
    const purchase = await topUp('pm_strict');
    stripe.methods.set('pm_strict', 'authentication_required');
    expect(await charge(purchase)).toEqual({ outcome: 'requires action' });
  });

  test('that takes days is pending until a webhook says that it is paid', async () => {
    const purchase = await topUp('pm_slow');
    stripe.methods.set('pm_slow', 'processing');
    expect(await charge(purchase)).toEqual({ outcome: 'pending' });
    stripe.methods.delete('pm_slow');
    const intent = stripe.intentOf(purchase.purchaseId);
    intent.status = 'requires_confirmation';
    expect(await charge(purchase, 2)).toEqual({ outcome: 'paid' });
    const webhook = stripe.event('payment_intent.succeeded', intent);
    expect(await deliver(scrip.service.webhookPort, webhook)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PURCHASE']);
  });

  test.each([
    ['the intent is created', /^POST \/v1\/payment_intents$/],
    ['it is charged', /confirm$/],
    ['it is fetched', /^GET/],
  ])('whose response is lost when %s is charged once', async (_, call) => {
    for (const lost of ['before', 'after'] as const) {
      const purchase = await topUp();
      stripe.intercept = (made, moment) =>
        moment === lost && call.test(made) ? 'hang up' : undefined;
      expect(await charge(purchase)).toMatchObject({ reason: 'PAYMENT_PROVIDER_UNAVAILABLE' });
      stripe.intercept = () => undefined;
      expect(await charge(purchase)).toEqual({ outcome: 'paid' });
      expect(charges(purchase.purchaseId).length).toBe(1);
      await expectLedger(scrip, purchase.accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PURCHASE']);
    }
  });

  test('that was charged by a process that died is settled by the reconciler', async () => {
    const purchase = await topUp();
    stripe.intercept = (made) => (made.startsWith('GET') ? 'hang up' : undefined);
    await charge(purchase);
    stripe.intercept = () => undefined;
    scrip.advance(DAY / 24);
    await scrip.service.checkPurchases();
    expect((await purchaseNow(scrip, purchase)).state).toBe(Purchase_State.PAID);
  });

  test('is not charged once Stripe may have forgotten the idempotency key', async () => {
    const purchase = await topUp();
    scrip.advance(DAY);
    expect(await charge(purchase)).toEqual({ outcome: 'declined', code: 'expired' });
    expect(charges(purchase.purchaseId)).toEqual([]);
    expect((await purchaseNow(scrip, purchase)).state).toBe(Purchase_State.EXPIRED);
  });
});

test('any number of concurrent syncs of a purchase fetches it twice', async () => {
  const purchase = await topUp();
  await charge(purchase);
  const before = stripe.calls.length;
  const { accountId, purchaseId } = purchase;
  const syncs = Array.from({ length: 20 }, () =>
    payments.sync(accountId, purchaseId, {}, NO_TRACE),
  );
  for (const synced of await Promise.all(syncs)) expect(synced).toMatchObject({ state: 'PAID' });
  expect(stripe.calls.length - before).toBe(2);
});
