/** Stripe's webhooks: repeated, reordered, late, forged, too old, and during outages. */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Purchase } from '../../src/gen/billing/v1/ledger.ts';
import {
  Entry_Kind,
  Purchase_DisputeState,
  Purchase_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { balanceOf, DAY, defined, MINUTE, newestEntry, storedRows } from '../accounts.ts';
import { blockConnections } from '../disruptions.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { buyByCheckout, expectLedger, purchaseNow } from './given.ts';
import { deliver, StripeFake, signatureOf, type Webhook } from './stripe-fake.ts';

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

const send = (webhook: Webhook, path?: string) => deliver(scrip.service.webhookPort, webhook, path);
const sessionId = ({ purchaseId }: Purchase) => stripe.sessionOf(purchaseId).id;
const intentId = ({ purchaseId }: Purchase) => stripe.intentOf(purchaseId).id;
const completed = (session: object) => stripe.event('checkout.session.completed', session);
const now = (purchase: Purchase) => purchaseNow(scrip, purchase);

/** A purchase of 1,000 credits, paid and granted. */
async function paid(): Promise<Purchase> {
  const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
  expect(await send(completed(stripe.pay(sessionId(purchase))))).toBe(200);
  return await now(purchase);
}

const spend = ({ accountId }: Purchase, credits: bigint) =>
  scrip.billing.charge({ accountId, requestId: requestId(), credits });

const remainingOf = async ({ accountId }: Purchase) =>
  (await balanceOf(scrip, accountId)).remaining;

describe('a paid checkout', () => {
  test('is granted once, valid from the moment it is paid', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('perfectparser'));
    scrip.advance(DAY / 2);
    const webhook = completed(stripe.pay(sessionId(purchase)));
    expect(await send(webhook)).toBe(200);
    const after = await now(purchase);
    const paidAt = defined(after.paidAt);
    expect(paidAt.getTime() - defined(after.createdAt).getTime()).toBeGreaterThanOrEqual(DAY / 2);
    const expiresAt = new Date(paidAt);
    expiresAt.setUTCFullYear(paidAt.getUTCFullYear() + 1);
    expect(after).toMatchObject({
      state: Purchase_State.PAID,
      checkoutUrl: '',
      remaining: 100n,
      expiresAt,
      disputeState: Purchase_DisputeState.NONE,
    });
    await expectLedger(scrip, purchase.accountId, ['GRANT', 'CHECKOUT', 'PURCHASE']);
  });

  test('is granted once, however often its webhooks are delivered, one by one and at once', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const webhook = completed(stripe.pay(sessionId(purchase)));
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(webhook)));
    expect(new Set(answers)).toEqual(new Set([200]));
    for (const _ of [1, 2]) expect(await send(webhook)).toBe(200);
    expect(await remainingOf(purchase)).toBe(1_000n);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test('is granted once by two replicas that receive its webhooks at the same time', async () => {
    const other = await startTestService({ databaseUrl: scrip.databaseUrl, env: stripe.env });
    try {
      const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
      const webhook = completed(stripe.pay(sessionId(purchase)));
      const ports = [scrip.service.webhookPort, other.service.webhookPort];
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => deliver(ports[i % 2] ?? null, webhook)),
      );
      expect(new Set(answers)).toEqual(new Set([200]));
      await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
    } finally {
      await other.stop();
    }
  });

  test('by a method that takes days is granted when the money arrives', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const id = sessionId(purchase);
    expect(await send(completed(stripe.payLater(id)))).toBe(200);
    expect(await now(purchase)).toMatchObject({ state: Purchase_State.PENDING });
    const arrived = stripe.event('checkout.session.async_payment_succeeded', stripe.arrive(id));
    expect(await send(arrived)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test('by a method that takes days fails when the payment fails, and says why', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const id = sessionId(purchase);
    stripe.payLater(id);
    const bounced = stripe.event('checkout.session.async_payment_failed', stripe.bounce(id));
    expect(await send(bounced)).toBe(200);
    expect(await now(purchase)).toMatchObject({
      state: Purchase_State.FAILED,
      failureCode: 'insufficient_funds',
    });
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT']);
  });

  test('is not failed by one declined card: the customer may try another', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const id = sessionId(purchase);
    stripe.declineCard(id);
    const declined = stripe.event(
      'payment_intent.payment_failed',
      stripe.intentOf(purchase.purchaseId),
    );
    expect(await send(declined)).toBe(200);
    await scrip.service.checkPurchases();
    expect(await now(purchase)).toMatchObject({ state: Purchase_State.PENDING });
    expect(await send(completed(stripe.pay(id)))).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test('that expires has no URL any more', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const expired = stripe.event('checkout.session.expired', stripe.expire(sessionId(purchase)));
    expect(await send(expired)).toBe(200);
    const after = await now(purchase);
    expect(after).toMatchObject({ state: Purchase_State.EXPIRED, checkoutUrl: '' });
  });

  test('has the same state after its webhooks in any order', async () => {
    const orders = [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
      [2, 0, 3, 1],
    ];
    for (const order of orders) {
      const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
      const id = sessionId(purchase);
      const webhooks = [
        completed(stripe.payLater(id)),
        stripe.event('checkout.session.async_payment_succeeded', stripe.arrive(id)),
        stripe.event('charge.refunded', stripe.refund(intentId(purchase), 100)),
        stripe.event('charge.dispute.created', stripe.dispute(intentId(purchase))),
      ];
      for (const index of order) {
        expect(await send(defined(webhooks[index]))).toBe(200);
        expect(await send(defined(webhooks[index]))).toBe(200);
      }
      const after = await now(purchase);
      expect(after).toMatchObject({
        state: Purchase_State.PAID,
        disputeState: Purchase_DisputeState.OPEN,
        creditsClawedBack: 1_000n,
        creditsUnrecovered: 0n,
        remaining: 0n,
        amountRefunded: { amount: '1.00' },
      });
      await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE', 'CLAW_BACK']);
    }
  });

  test('is granted by an entry that names the caller of Purchase', async () => {
    const purchase = await paid();
    expect(await newestEntry(scrip, purchase.accountId)).toMatchObject({
      kind: Entry_Kind.PURCHASE,
      caller: 'test',
      reference: purchase.purchaseId,
      grantId: purchase.grantId,
    });
  });
});

describe('a webhook is refused', () => {
  const forgeries: readonly [string, (webhook: Webhook) => Webhook][] = [
    [
      'signed with another secret',
      ({ body }) => ({ body, signature: signatureOf(body, scrip.now(), 'whsec_of_another') }),
    ],
    ['not signed', ({ body }) => ({ body, signature: '' })],
    [
      'signed with an empty secret',
      ({ body }) => ({ body, signature: signatureOf(body, scrip.now(), '') }),
    ],
    ['with a malformed signature', ({ body }) => ({ body, signature: 't=1,v1=00' })],
    [
      'with another body than the signed one',
      ({ body, signature }) => ({ body: body.replace('complete', 'complete '), signature }),
    ],
    [
      'signed too long ago',
      ({ body }) => ({ body, signature: signatureOf(body, scrip.now() - 6 * MINUTE) }),
    ],
    [
      'signed too long ago, with a forged timestamp',
      ({ body }) => {
        const old = signatureOf(body, scrip.now() - 6 * MINUTE);
        return { body, signature: old.replace(/t=\d+/, `t=${Math.floor(scrip.now() / 1_000)}`) };
      },
    ],
  ];

  test.each(forgeries)('that is %s, and nothing is fetched', async (_, forge) => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const genuine = completed(stripe.pay(sessionId(purchase)));
    const rows = await storedRows(scrip, purchase.accountId);
    const calls = stripe.calls.length;
    expect(await send(forge(genuine))).toBe(400);
    expect(await storedRows(scrip, purchase.accountId)).toBe(rows);
    expect(stripe.calls.length).toBe(calls);
    expect(await send(genuine)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test('in its claims: only what Stripe confirms is granted', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const session = stripe.sessionOf(purchase.purchaseId);
    const claim = completed({ ...session, status: 'complete', payment_status: 'paid' });
    expect(await send(claim)).toBe(200);
    expect(await now(purchase)).toMatchObject({ state: Purchase_State.PENDING });
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT']);
  });

  test('at another path or by another method', async () => {
    const webhook = stripe.event('customer.created', { id: 'cus_1' });
    expect(await send(webhook, '/')).toBe(404);
    const url = `http://127.0.0.1:${scrip.service.webhookPort}/webhooks/stripe`;
    expect((await fetch(url)).status).toBe(405);
  });

  test('that is too large, before all of it has arrived', async () => {
    const body = 'x'.repeat(2 * 1024 * 1024);
    const sent = send({ body, signature: signatureOf(body, scrip.now()) });
    expect(await sent.catch(() => 'cut off')).toSatisfy((end) => [413, 'cut off'].includes(end));
  });

  test('that does not say its length, once it is too large', async () => {
    const status = await new Promise<string>((resolve, reject) => {
      const socket = connect(scrip.service.webhookPort ?? 0, '127.0.0.1', () => {
        socket.write(
          'POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nstripe-signature: t=1,v1=00\r\n' +
            'transfer-encoding: chunked\r\n\r\n',
        );
        const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
        for (let i = 0; i < 20; i++) socket.write(chunk);
      });
      socket.once('data', (data) => resolve(String(data).split('\r\n')[0] ?? ''));
      socket.once('error', reject);
      socket.setTimeout(25_000, () => reject(new Error('no response')));
    });
    expect(status).toContain(' 413 ');
  });
});

describe('the listener', () => {
  test('cuts off a client that sends slowly, and serves others meanwhile', async () => {
    const socket = connect(scrip.service.webhookPort ?? 0, '127.0.0.1');
    let cutOff = '';
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      cutOff = code;
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n');
    // A byte now and then: the limit is for the whole request, not for silence.
    const dripping = setInterval(() => socket.write('x'), 100);
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    expect(await send(stripe.event('customer.created', { id: 'cus_1' }))).toBe(200);
    await closed;
    clearInterval(dripping);
    // A byte that is on its way when the listener closes resets the connection, and can take the answer with it.
    expect(answer || cutOff).toMatch(/^HTTP\/1.1 408 |^ECONNRESET$/);
  });

  test.each([
    ['127.0.0.1', 'by default, wherever calls are received', { HOST: '127.0.0.2' }],
    ['127.0.0.2', 'if that is configured', { STRIPE_WEBHOOK_HOST: '127.0.0.2' }],
  ])('listens on %s %s', async (host, _, env) => {
    const own = await startTestService({ env: { ...stripe.env, ...env } });
    const statusAt = (address: string) =>
      fetch(`http://${address}:${own.service.webhookPort}/webhooks/stripe`).then(
        ({ status }) => status,
        () => 'refused',
      );
    const addresses = ['127.0.0.1', '127.0.0.2'];
    const answers = await Promise.all(addresses.map(statusAt));
    expect(answers).toEqual(addresses.map((address) => (address === host ? 405 : 'refused')));
    await own.stop();
  });

  test('is not there without a secret', async () => {
    const own = await startTestService({ env: { ...stripe.env, STRIPE_WEBHOOK_SECRET: '' } });
    expect(own.service.webhookPort).toBeNull();
    await own.stop();
  });
});

describe('a webhook is accepted and ignored', () => {
  test.each([
    ['of another type', 'customer.created', { id: 'cus_1', object: 'customer' }],
    [
      'of a session without our metadata',
      'checkout.session.completed',
      { id: 'cs_1', metadata: {} },
    ],
    [
      'of a purchase that is not ours',
      'checkout.session.completed',
      { id: 'cs_1', metadata: { account_id: 'x', purchase_id: randomUUID() } },
    ],
    [
      'with a malformed purchase id',
      'checkout.session.completed',
      { id: 'cs_1', metadata: { account_id: 'x', purchase_id: "'; drop" } },
    ],
    ['of a refund without a payment', 'charge.refunded', { id: 'ch_1', payment_intent: null }],
  ])('that is %s', async (_, type, object) => {
    expect(await send(stripe.event(type, object))).toBe(200);
  });
});

describe('a webhook is postponed', () => {
  test('while the database is unavailable, and takes effect when Stripe delivers it again', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const webhook = completed(stripe.pay(sessionId(purchase)));
    const restore = await blockConnections(scrip.databaseUrl);
    expect(await send(webhook)).toBe(503);
    await restore();
    expect(await send(webhook)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test.each([
    ['unreachable', 'hang up' as const],
    ['failing', { status: 500, body: { error: { type: 'api_error', message: 'x' } } }],
  ])('while Stripe is %s', async (_, end) => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const webhook = completed(stripe.pay(sessionId(purchase)));
    stripe.intercept = () => end;
    expect(await send(webhook)).toBe(503);
    stripe.intercept = () => undefined;
    expect(await send(webhook)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test('and logged as a bug when Stripe sends an impossible response', async () => {
    const purchase = await paid();
    const dispute = stripe.dispute(intentId(purchase));
    stripe.intercept = (call) =>
      call.endsWith('/disputes') ? { status: 200, body: {} } : undefined;
    const webhook = stripe.event('charge.dispute.created', dispute);
    expect(await send(webhook)).toBe(500);
    stripe.intercept = () => undefined;
    expect(await send(webhook)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE', 'CLAW_BACK', 'PAYMENT']);
  });

  test('while as many as are processed at the same time are in progress', async () => {
    const CONCURRENCY_MAX = 64;
    const purchases = await Promise.all(
      Array.from({ length: CONCURRENCY_MAX }, async () =>
        buyByCheckout(scrip, await scrip.open('verts')),
      ),
    );
    const webhooks = purchases.map((purchase) => completed(stripe.pay(sessionId(purchase))));
    const released = Promise.withResolvers<undefined>();
    const allHeld = Promise.withResolvers<void>();
    let held = 0;
    stripe.intercept = (_call, moment) => {
      if (moment === 'before') held += 1;
      if (held === CONCURRENCY_MAX) allHeld.resolve();
      return released.promise;
    };
    const answers = Promise.all(webhooks.map((webhook) => send(webhook)));
    await allHeld.promise;
    expect(await send(stripe.event('customer.created', {}))).toBe(503);
    released.resolve(undefined);
    expect(new Set(await answers)).toEqual(new Set([200]));
    expect(await send(stripe.event('customer.created', {}))).toBe(200);
  });
});

describe('money that is returned', () => {
  test('takes back its share of the credits, as far as they are not spent', async () => {
    const purchase = await paid();
    const { amount } = stripe.chargeOf(intentId(purchase));
    await spend(purchase, 700n);
    const refunded = stripe.event('charge.refunded', stripe.refund(intentId(purchase), amount / 2));
    for (const _ of [1, 2]) expect(await send(refunded)).toBe(200);
    expect(await now(purchase)).toMatchObject({
      state: Purchase_State.PAID,
      remaining: 0n,
      creditsClawedBack: 300n,
      creditsUnrecovered: 200n,
      price: { amount: '5.00' },
      amountRefunded: { currency: 'USD', amount: '2.50' },
    });
    await expectLedger(scrip, purchase.accountId, [
      'CHECKOUT',
      'PURCHASE',
      'CHARGE',
      'CLAW_BACK',
      'PAYMENT',
    ]);
  });

  test('by a refund that failed reinstates the credits', async () => {
    const purchase = await paid();
    stripe.refund(intentId(purchase), 125);
    expect(await send(stripe.event('charge.refunded', stripe.chargeOf(intentId(purchase))))).toBe(
      200,
    );
    expect(await remainingOf(purchase)).toBe(750n);
    stripe.refund(intentId(purchase), -125);
    const failed = { id: 're_1', object: 'refund', payment_intent: intentId(purchase) };
    expect(await send(stripe.event('refund.failed', failed))).toBe(200);
    expect(await remainingOf(purchase)).toBe(1_000n);
    await expectLedger(scrip, purchase.accountId, [
      'CHECKOUT',
      'PURCHASE',
      'CLAW_BACK',
      'PAYMENT',
      'REINSTATE',
      'PAYMENT',
    ]);
  });

  test('in a dispute reinstates the credits if it is won, and not if it is lost', async () => {
    for (const [status, remaining, kinds] of [
      [
        'won',
        600n,
        ['CHECKOUT', 'PURCHASE', 'CHARGE', 'CLAW_BACK', 'PAYMENT', 'REINSTATE', 'PAYMENT'],
      ],
      ['lost', 0n, ['CHECKOUT', 'PURCHASE', 'CHARGE', 'CLAW_BACK', 'PAYMENT', 'PAYMENT']],
    ] as const) {
      const purchase = await paid();
      await spend(purchase, 400n);
      const dispute = stripe.dispute(intentId(purchase));
      expect(await send(stripe.event('charge.dispute.created', dispute))).toBe(200);
      expect(await remainingOf(purchase)).toBe(0n);
      dispute.status = status;
      const closed = stripe.event('charge.dispute.closed', dispute);
      for (const _ of [1, 2]) expect(await send(closed)).toBe(200);
      expect(await remainingOf(purchase)).toBe(remaining);
      await expectLedger(scrip, purchase.accountId, kinds);
    }
  });

  test('by no more than an inquiry takes nothing back', async () => {
    const purchase = await paid();
    const inquiry = stripe.dispute(intentId(purchase), 'warning_needs_response');
    expect(await send(stripe.event('charge.dispute.created', inquiry))).toBe(200);
    expect(await now(purchase)).toMatchObject({
      disputeState: Purchase_DisputeState.NONE,
      remaining: 1_000n,
    });
  });

  test('before the payment was known grants the credits and takes them back', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    stripe.pay(sessionId(purchase));
    const charge = stripe.refund(intentId(purchase), 500);
    expect(await send(stripe.event('charge.refunded', charge))).toBe(200);
    expect(await now(purchase)).toMatchObject({ state: Purchase_State.PAID, remaining: 0n });
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PURCHASE', 'CLAW_BACK']);
  });
});
