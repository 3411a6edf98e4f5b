/** Purchase by checkout: the session at Stripe, the response to the caller, and retries. */

import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Purchase_Method, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf, DAY, defined, entriesOf, storedRows } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { buyByCheckout, CHECKOUT, purchaseNow } from './given.ts';
import { StripeFake } from './stripe-fake.ts';

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  stripe.clock = scrip.now;
});
afterEach(() => {
  stripe.intercept = () => undefined;
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const buy = (accountId: string, id = requestId(), payment: object = CHECKOUT.value) =>
  scrip.billing.purchase({
    accountId,
    requestId: id,
    packId: 'starter',
    payment: { $case: 'checkout', value: { ...CHECKOUT.value, ...payment } },
    labels: mapOf({ shop: 'eu' }),
  });

const replayed = (accountId: string, id: string) => {
  const trailers: unknown[] = [];
  const request = { accountId, requestId: id, packId: 'starter', payment: CHECKOUT };
  return scrip.billing
    .purchase(
      { ...request, labels: mapOf({ shop: 'eu' }) },
      { onTrailers: (metadata) => trailers.push(...metadata.get('idempotent-replayed')) },
    )
    .then((response) => ({ response, replayed: trailers[0] === 'true' }));
};

describe('Purchase by checkout', () => {
  test('returns a pending purchase and the URL of a session for exactly its price', async () => {
    const accountId = await scrip.open('verts');
    const { purchase, balance, entrySeq, grant } = await buy(accountId);
    const { purchaseId, checkoutUrl } = defined(purchase);
    const session = stripe.sessionOf(purchaseId);
    const metadata = { account_id: accountId, purchase_id: purchaseId, method: 'CHECKOUT' };
    expect(session).toMatchObject({
      url: checkoutUrl,
      metadata,
      payment_intent_data: metadata,
      currency: 'usd',
      title: 'Starter',
    });
    expect(purchase).toMatchObject({
      state: Purchase_State.PENDING,
      method: Purchase_Method.CHECKOUT,
      paymentReference: '',
      grantId: 0n,
      remaining: 0n,
      labels: mapOf({ shop: 'eu' }),
    });
    const [pack] = defined((await scrip.plans.getPlan({ planId: 'verts' })).plan).packs;
    expect(session.amount_total).toBe(Number(defined(pack?.price).amount.replace('.', '')));
    expect([balance?.remaining, entrySeq, grant]).toEqual([0n, 2n, undefined]);
    expect(await entriesOf(scrip, accountId, { afterSeq: 1n })).toMatchObject([
      {
        kind: Entry_Kind.CHECKOUT,
        purchaseId,
        moves: [],
        details: mapOf({
          pack_id: 'starter',
          title: 'Starter',
          quantity: '1',
          credits: '1000',
          amount: '5.00',
          currency: 'USD',
          validity: 'never',
          method: 'CHECKOUT',
          customer_email: 'buyer@example.com',
        }),
        labels: mapOf({ shop: 'eu' }),
      },
    ]);
  });

  test('of several packs asks for the price of all of them in one line', async () => {
    const accountId = await scrip.open('verts');
    const request = { accountId, requestId: requestId(), packId: 'starter', payment: CHECKOUT };
    const { purchase } = await scrip.billing.purchase({ ...request, quantity: 3 });
    expect(purchase).toMatchObject({
      quantity: 3,
      credits: 3_000n,
      price: { currency: 'USD', amount: '15.00' },
    });
    const session = stripe.sessionOf(defined(purchase).purchaseId);
    expect(session).toMatchObject({ amount_total: 1_500, currency: 'usd', title: '3 × Starter' });
  });

  test('repeated returns the same purchase, session and URL', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    const first = await buy(accountId, id);
    const { response, replayed: again } = await replayed(accountId, id);
    expect(response).toEqual({ ...first, replay: expect.anything() });
    expect(again).toBe(true);
    stripe.sessionOf(defined(first.purchase).purchaseId);
  });

  test('called many times at once makes one purchase with one session', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    const all = await Promise.all(Array.from({ length: 12 }, () => buy(accountId, id)));
    expect(new Set(all.map(({ purchase }) => purchase?.checkoutUrl)).size).toBe(1);
    stripe.sessionOf(defined(all[0]?.purchase).purchaseId);
  });

  test('under the same request id with another URL is refused', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    await buy(accountId, id);
    const other = errorOf(buy(accountId, id, { cancelUrl: 'https://elsewhere.example/' }));
    expect((await other).reason).toBe('REQUEST_ID_REUSED');
  });

  test.each([
    ['unreachable', () => 'hang up' as const],
    ['failing', () => ({ status: 500, body: { error: { type: 'api_error', message: 'x' } } })],
    ['behind a proxy that fails', () => ({ status: 502, body: { message: 'Bad gateway' } })],
    ['too busy', () => ({ status: 429, body: { error: { type: 'rate_limit', message: 'x' } } })],
    [
      'refusing our key',
      () => ({ status: 401, body: { error: { type: 'invalid_request_error', message: 'x' } } }),
    ],
  ])('while Stripe is %s fails, and a retry returns the URL', async (_, intercept) => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    stripe.intercept = (_call, moment) => (moment === 'before' ? intercept() : undefined);
    const fault = await errorOf(buy(accountId, id));
    expect(fault).toMatchObject({
      code: status.UNAVAILABLE,
      reason: 'PAYMENT_PROVIDER_UNAVAILABLE',
      metadata: {},
    });
    expect(fault.retryMs).toBeGreaterThan(0);
    stripe.intercept = () => undefined;
    const { response, replayed: again } = await replayed(accountId, id);
    expect(response.purchase?.checkoutUrl).toMatch(/^https:\/\/checkout\.stripe\.example\//);
    expect(again).toBe(true);
    const { purchases } = await scrip.billing.listPurchases({ accountId });
    expect(purchases.length).toBe(1);
  });

  test('whose response from Stripe was lost finds the session that was opened, and opens no second one', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    let answers = 0;
    stripe.intercept = (_call, moment) => {
      if (moment === 'before') return undefined;
      answers += 1;
      return answers <= 3 ? 'hang up' : undefined;
    };
    expect((await errorOf(buy(accountId, id))).reason).toBe('PAYMENT_PROVIDER_UNAVAILABLE');
    const { purchase } = await buy(accountId, id);
    expect(stripe.sessionOf(defined(purchase).purchaseId).url).toBe(purchase?.checkoutUrl);
  });

  test('that Stripe refuses fails for good', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    stripe.intercept = (_call, moment) =>
      moment === 'before'
        ? {
            status: 400,
            body: { error: { type: 'invalid_request_error', code: 'url_invalid', message: 'x' } },
          }
        : undefined;
    const failed = {
      code: status.FAILED_PRECONDITION,
      reason: 'CHECKOUT_FAILED',
      metadata: { state: 'FAILED', code: 'url_invalid' },
    };
    expect(await errorOf(buy(accountId, id))).toMatchObject(failed);
    stripe.intercept = () => undefined;
    const calls = stripe.calls.length;
    expect(await errorOf(buy(accountId, id))).toMatchObject(failed);
    expect(stripe.calls.length).toBe(calls);
    const { purchases } = await scrip.billing.listPurchases({ accountId });
    expect(purchases).toMatchObject([{ state: Purchase_State.FAILED, failureCode: 'url_invalid' }]);
  });

  test('gets no session once Stripe may have forgotten its idempotency key', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    stripe.intercept = () => 'hang up';
    await errorOf(buy(accountId, id));
    stripe.intercept = () => undefined;
    scrip.advance(DAY);
    expect(await errorOf(buy(accountId, id))).toMatchObject({
      reason: 'CHECKOUT_FAILED',
      metadata: { state: 'EXPIRED' },
    });
  });

  test.each([
    ['success_url', { successUrl: '' }, 'checkout.success_url'],
    ['success_url', { successUrl: 'shop.example/thanks' }, 'checkout.success_url'],
    ['success_url', { successUrl: 'javascript:alert(1)' }, 'checkout.success_url'],
    ['success_url', { successUrl: 'https://' }, 'checkout.success_url'],
    ['cancel_url', { cancelUrl: 'https://shop.example/a b' }, 'checkout.cancel_url'],
    ['cancel_url', { cancelUrl: `https://x.example/${'x'.repeat(2_040)}` }, 'checkout.cancel_url'],
    ['customer_email', { customerEmail: 'nobody' }, 'checkout.customer_email'],
    ['customer_email', { customerEmail: '' }, 'checkout.customer_email'],
    ['customer_email', { customerEmail: `${'x'.repeat(250)}@x.io` }, 'checkout.customer_email'],
  ])('refuses an invalid %s', async (_, payment, field) => {
    const accountId = await scrip.open('verts');
    const rows = await storedRows(scrip, accountId);
    expect(await errorOf(buy(accountId, requestId(), payment))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: [field],
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('is refused in a batch, and the other mutations are not', async () => {
    const accountId = await scrip.open('verts');
    const request = { accountId, packId: 'starter' };
    const { results } = await scrip.billing.batch({
      mutations: [
        {
          mutation: {
            $case: 'purchase',
            value: { ...request, requestId: requestId(), payment: CHECKOUT, labels: new Map() },
          },
        },
        {
          mutation: {
            $case: 'purchase',
            value: {
              ...request,
              requestId: requestId(),
              payment: { $case: 'paymentReference', value: 'order-1' },
              labels: new Map(),
            },
          },
        },
      ],
    });
    expect(results.map(({ result }) => result?.$case)).toEqual(['error', 'purchase']);
    expect(results[0]?.result?.value).toMatchObject({ reason: 'INVALID_FIELD' });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(1_000n);
  });

  test('has no transaction open during a call to Stripe', async () => {
    const accountId = await scrip.open('verts');
    let busy: unknown;
    stripe.intercept = async (_call, moment) => {
      if (moment === 'before')
        [busy] = await execute(
          scrip.databaseUrl,
          `select count(*)::int as sessions from pg_stat_activity
           where datname = current_database() and state like 'idle in transaction%'`,
        );
      return undefined;
    };
    await buyByCheckout(scrip, accountId);
    expect(busy).toEqual({ sessions: 0 });
  });
});

describe('without a Stripe secret key', () => {
  test('checkout fails and writes nothing, and everything else works', async () => {
    const own = await startTestService();
    try {
      const accountId = await own.open('verts');
      const rows = await storedRows(own, accountId);
      expect(await errorOf(buyByCheckout(own, accountId))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'CHECKOUT_NOT_CONFIGURED',
      });
      expect(await storedRows(own, accountId)).toBe(rows);
      const payment = { $case: 'paymentReference' as const, value: 'order-1' };
      const request = { accountId, requestId: requestId(), packId: 'starter', payment };
      const { purchase } = await own.billing.purchase(request);
      expect(await purchaseNow(own, defined(purchase))).toEqual(purchase);
      expect(own.service.webhookPort).toBeNull();
    } finally {
      await own.stop();
    }
  });
});
