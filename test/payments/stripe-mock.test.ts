/**
 * The parameters of our requests, against Stripe's own description of its API: stripe-mock refuses
 * unknown and invalid ones. It has no state, so other tests cover the effects of the requests. Runs where
 * STRIPE_MOCK_URL is set.
 */
import Stripe from 'stripe';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import type { Purchase } from '../../src/ledger/purchase.ts';
import { openSession } from '../../src/payments/checkout.ts';
import { fetchSnapshot } from '../../src/payments/payment-snapshot.ts';
import { connectStripe } from '../../src/payments/stripe.ts';
import { Observers } from '../../src/telemetry/observers.ts';
import { Tracing } from '../../src/telemetry/tracing.ts';

/** A pending purchase of a starter pack. */
const purchaseOf = (change: Partial<Purchase> = {}): Purchase => ({
  accountId: 'acme',
  purchaseId: '01900000-0000-7000-8000-000000000000',
  packId: 'starter',
  title: 'Starter',
  credits: 100n,
  quantity: 1,
  price: { currency: 'USD', amount: '5.00' },
  validity: null,
  method: 'CHECKOUT',
  state: 'PENDING',
  paymentReference: null,
  caller: 'test',
  requestId: 'request-1',
  labels: {},
  checkout: {
    successUrl: 'https://shop.example/thanks?session={CHECKOUT_SESSION_ID}',
    cancelUrl: 'https://shop.example/cart',
    customerEmail: 'buyer@example.com',
  },
  savedMethod: null,
  session: null,
  paymentIntentId: null,
  failureCode: '',
  grantId: null,
  createdAt: Date.UTC(2026, 0, 10),
  paidAt: null,
  amountPaid: null,
  amountRefunded: '0',
  disputeState: 'NONE',
  resolution: null,
  creditsClawedBack: 0n,
  creditsUnrecovered: 0n,
  creditsOwed: 0n,
  syncVersion: 0,
  nextCheckAt: Date.UTC(2026, 0, 10),
  ...change,
});

const url = process.env['STRIPE_MOCK_URL'] ?? '';

function connected(): Stripe {
  const read = readConfig({ STRIPE_SECRET_KEY: 'sk_test_123', STRIPE_API_BASE: url });
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return (
    connectStripe(read.config, new Tracing(), new Observers()) ?? expect.fail('there is no key')
  );
}

describe.skipIf(url === '')('stripe-mock accepts our requests for', () => {
  test('sessions', async () => {
    const stripe = connected();
    const opened = await openSession(stripe, purchaseOf({ method: 'CHECKOUT' }), null);
    expect(opened).toMatchObject({ sessionId: expect.stringMatching(/^cs_/) });
    const snapshot = await fetchSnapshot(stripe, purchaseOf({ method: 'CHECKOUT' }), {
      sessionId: 'cs_1',
    });
    expect(snapshot).toMatchObject({ session: { sessionId: expect.any(String) } });
  });

  test('payment intents', async () => {
    const stripe = connected();
    const intent = await stripe.paymentIntents.create(
      {
        amount: 500,
        currency: 'usd',
        customer: 'cus_1',
        payment_method: 'pm_1',
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        description: 'Starter',
        metadata: { account_id: 'a' },
      },
      { idempotencyKey: 'x' },
    );
    await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_1', off_session: true });
    const snapshot = await fetchSnapshot(stripe, purchaseOf({ method: 'TOP_UP' }), {
      paymentIntentId: 'pi_1',
    });
    expect(snapshot).toMatchObject({ paymentIntentId: expect.any(String) });
  });

  test('disputes', async () => {
    const { data } = await connected().disputes.list({ payment_intent: 'pi_1', limit: 100 });
    expect(data[0]?.status).toEqual(expect.any(String));
  });

  test('nothing with an unknown parameter', async () => {
    const wrong = { mode: 'payment', sucess_url: 'https://x.example/' } as never;
    await expect(connected().checkout.sessions.create(wrong)).rejects.toBeInstanceOf(
      Stripe.errors.StripeInvalidRequestError,
    );
  });
});
