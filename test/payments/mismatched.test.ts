/** Payments that differ from their orders, from Stripe's webhook to the operator's decision. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../src/client.ts';
import {
  Purchase_Resolution_Decision as Decision,
  Entry_Kind,
  type Purchase,
  Purchase_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf, DAY, defined, MINUTE, newestEntry, storedRows } from '../accounts.ts';
import { dataOf, eventsOf } from '../events/given.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { buyByCheckout, expectLedger, purchaseNow } from './given.ts';
import { deliver, StripeFake, type Webhook } from './stripe-fake.ts';

let stripe: StripeFake;
let scrip: TestService;
/** The same service, called by an operator. */
let operator: ReturnType<typeof connect>;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  stripe.clock = scrip.now;
  operator = connect(`127.0.0.1:${scrip.service.port}`, { caller: 'ops:anna' });
});
afterAll(async () => {
  operator.close();
  await scrip.stop();
  await stripe.stop();
});

const send = (webhook: Webhook) => deliver(scrip.service.webhookPort, webhook);
const sessionId = ({ purchaseId }: Purchase) => stripe.sessionOf(purchaseId).id;
const intentId = ({ purchaseId }: Purchase) => stripe.intentOf(purchaseId).id;
const completed = (session: object) => stripe.event('checkout.session.completed', session);
const now = (purchase: Purchase) => purchaseNow(scrip, purchase);

/** A starter pack, 1,000 credits for 5.00 USD, of which 4.00 were paid. */
async function mismatched(): Promise<Purchase> {
  const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
  expect(await send(completed(stripe.payOther(sessionId(purchase), 400)))).toBe(200);
  return await now(purchase);
}

const decide = (
  { accountId, purchaseId }: Purchase,
  decision: Decision,
  reason = 'agreed with the customer',
) =>
  operator.accounts.resolvePurchase({
    accountId,
    requestId: requestId(),
    purchaseId,
    decision,
    reason,
  });

/** The account's events about purchases. Every event gets its position a moment after it was written. */
async function purchaseEvents(accountId: string) {
  const [{ event_count: written } = {}] = await execute(
    scrip.databaseUrl,
    'select event_count::int from accounts where account_id = $1',
    [accountId],
  );
  const read = () => eventsOf(scrip, { accountId });
  await expect.poll(async () => (await read()).length, { timeout: 60_000 }).toBe(written);
  return (await read()).filter(({ type }) => /^(purchase|top_up)\./.test(type));
}

const typesOf = async ({ accountId }: Purchase) =>
  (await purchaseEvents(accountId)).map(({ type }) => type);

describe('a payment grants nothing', () => {
  test.each([
    ['of less than the price', 499, 'usd', '4.99'],
    ['of more than the price', 600, 'usd', '6.00'],
    ['in another currency', 500, 'eur', '5.00'],
    ['in a currency without decimals', 500, 'jpy', '500'],
  ])('%s: the purchase is MISMATCHED, and an event says so', async (_, units, code, amount) => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    const webhook = completed(stripe.payOther(sessionId(purchase), units, code));
    for (const _ of [1, 2]) expect(await send(webhook)).toBe(200);
    const currency = code.toUpperCase();
    expect(await now(purchase)).toMatchObject({
      state: Purchase_State.MISMATCHED,
      price: { currency: 'USD', amount: '5.00' },
      amountPaid: { currency, amount },
      grantId: 0n,
      paidAt: undefined,
      checkoutUrl: '',
      resolution: undefined,
    });
    const { accountId } = purchase;
    const states = [Purchase_State.MISMATCHED];
    const { purchases } = await scrip.billing.listPurchases({ accountId, states });
    expect(purchases).toHaveLength(1);
    const [event, ...more] = await purchaseEvents(accountId);
    expect(event?.type).toBe('purchase.mismatched');
    expect(event && dataOf(event)).toMatchObject({
      purchase_id: purchase.purchaseId,
      paid_amount: amount,
      paid_currency: currency,
    });
    expect(more).toEqual([]);
    await expectLedger(scrip, accountId, ['CHECKOUT', 'PAYMENT']);
  });

  test('that was not needed after a discount of 100 percent', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    expect(await send(completed(stripe.payNothing(sessionId(purchase))))).toBe(200);
    expect(await now(purchase)).toMatchObject({
      state: Purchase_State.MISMATCHED,
      amountPaid: { currency: 'USD', amount: '0.00' },
    });
    await decide(purchase, Decision.ACCEPTED, 'a present');
    expect(await now(purchase)).toMatchObject({ state: Purchase_State.PAID, remaining: 1_000n });
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT', 'PURCHASE']);
  });

  test('that the reconciler finds', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    stripe.payOther(sessionId(purchase), 1);
    scrip.advance(2 * MINUTE);
    await scrip.service.checkPurchases();
    expect(await now(purchase)).toMatchObject({ state: Purchase_State.MISMATCHED });
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT']);
  });

  test('after its webhooks in any order', async () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
      const webhooks = [
        completed(stripe.payOther(sessionId(purchase), 400)),
        stripe.event('charge.refunded', stripe.refund(intentId(purchase), 100)),
        stripe.event('charge.dispute.created', stripe.dispute(intentId(purchase))),
      ];
      for (const index of order) expect(await send(defined(webhooks[index]))).toBe(200);
      expect(await now(purchase)).toMatchObject({
        state: Purchase_State.MISMATCHED,
        amountRefunded: { currency: 'USD', amount: '1.00' },
        creditsClawedBack: 0n,
      });
      await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT']);
      expect(await typesOf(purchase)).toEqual([
        'purchase.mismatched',
        'purchase.refunded',
        'purchase.disputed',
      ]);
    }
  });

  test('as an auto top-up, which is switched off', async () => {
    const accountId = await scrip.open('verts');
    const autoTopUp = { packId: 'starter', threshold: 100n, monthlyCap: 1 };
    await scrip.accounts.updateAccount({
      accountId,
      requestId: requestId(),
      autoTopUp: { autoTopUp: { ...autoTopUp, customer: 'cus_1', paymentMethod: 'pm_1' } },
    });
    stripe.intercept = (call, moment) => {
      if (moment === 'before' && call.endsWith('/confirm'))
        for (const intent of stripe.intents.values())
          if (intent.metadata['account_id'] === accountId) intent.amount = 100;
      return undefined;
    };
    await scrip.service.topUp();
    stripe.intercept = () => undefined;
    const { purchases } = await scrip.billing.listPurchases({ accountId });
    expect(purchases).toMatchObject([
      { state: Purchase_State.MISMATCHED, amountPaid: { amount: '1.00' } },
    ]);
    const events = await purchaseEvents(accountId);
    expect(events.map(({ type }) => type)).toEqual(['purchase.mismatched', 'top_up.disabled']);
    expect(events[1] && dataOf(events[1])).toMatchObject({ reason: 'payment_mismatched' });
    const { account } = await scrip.accounts.getAccount({ accountId });
    expect(account).toMatchObject({ autoTopUp: undefined, topUpPurchaseId: '' });
    scrip.advance(40 * DAY);
    await scrip.service.topUp();
    expect((await scrip.billing.listPurchases({ accountId })).purchases).toHaveLength(1);
    await expectLedger(scrip, accountId, ['UPDATE_ACCOUNT', 'CHECKOUT', 'PAYMENT']);
  });
});

describe('an operator accepts the payment', () => {
  test('and the credits are granted as ordered; entry, event and purchase say who and why', async () => {
    const purchase = await mismatched();
    const answer = await decide(purchase, Decision.ACCEPTED);
    expect(answer).toMatchObject({
      purchase: { state: Purchase_State.PAID, remaining: 1_000n },
      balance: { remaining: 1_000n },
      grant: { amount: 1_000n },
      entrySeq: 4n,
    });
    expect(await now(purchase)).toMatchObject({
      amountPaid: { currency: 'USD', amount: '4.00' },
      resolution: {
        decision: Decision.ACCEPTED,
        caller: 'ops:anna',
        reason: 'agreed with the customer',
      },
    });
    expect(await newestEntry(scrip, purchase.accountId)).toMatchObject({
      caller: 'ops:anna',
      reference: purchase.purchaseId,
      purchaseId: purchase.purchaseId,
      details: expect.any(Map),
    });
    const details = Object.fromEntries((await newestEntry(scrip, purchase.accountId)).details);
    expect(details).toMatchObject({
      reason: 'agreed with the customer',
      amount: '5.00',
      amount_paid: '4.00',
      pack_id: 'starter',
      source: 'PURCHASE',
    });
    const events = await purchaseEvents(purchase.accountId);
    const resolved = events.find(({ type }) => type === 'purchase.resolved');
    expect(resolved && dataOf(resolved)).toEqual({
      purchase_id: purchase.purchaseId,
      pack_id: 'starter',
      decision: 'ACCEPTED',
      caller: 'ops:anna',
      reason: 'agreed with the customer',
    });
    expect(events.map(({ type }) => type)).toContain('purchase.completed');
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT', 'PURCHASE']);
  });

  test('again, and nothing changes; the opposite is refused', async () => {
    const purchase = await mismatched();
    const accept = {
      accountId: purchase.accountId,
      requestId: requestId(),
      purchaseId: purchase.purchaseId,
      decision: Decision.ACCEPTED,
      reason: 'agreed',
    };
    const first = await operator.accounts.resolvePurchase(accept);
    expect(await operator.accounts.resolvePurchase(accept)).toMatchObject({
      entrySeq: first.entrySeq,
    });
    const before = await storedRows(scrip, purchase.accountId);
    expect(await decide(purchase, Decision.ACCEPTED, 'another')).toMatchObject({
      entrySeq: 0n,
      purchase: { resolution: { reason: 'agreed' } },
      grant: { amount: 1_000n },
    });
    expect(await storedRows(scrip, purchase.accountId)).toBe(before);
    expect(await errorOf(decide(purchase, Decision.REJECTED))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'PURCHASE_NOT_MISMATCHED',
      metadata: { purchase_id: purchase.purchaseId, state: 'PAID' },
    });
    expect(await storedRows(scrip, purchase.accountId)).toBe(before);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT', 'PURCHASE']);
  });

  test('and later webhooks grant nothing more; a refund takes back its share of what was paid', async () => {
    const purchase = await mismatched();
    await decide(purchase, Decision.ACCEPTED);
    const paid = completed(stripe.session(sessionId(purchase)));
    for (const _ of [1, 2]) expect(await send(paid)).toBe(200);
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT', 'PURCHASE']);
    const refunded = stripe.event('charge.refunded', stripe.refund(intentId(purchase), 100));
    for (const _ of [1, 2]) expect(await send(refunded)).toBe(200);
    expect((await balanceOf(scrip, purchase.accountId)).remaining).toBe(750n);
    const rest = stripe.event('charge.refunded', stripe.refund(intentId(purchase), 300));
    expect(await send(rest)).toBe(200);
    expect((await balanceOf(scrip, purchase.accountId)).remaining).toBe(0n);
    await expectLedger(scrip, purchase.accountId, [
      'CHECKOUT',
      'PAYMENT',
      'PURCHASE',
      'CLAW_BACK',
      'PAYMENT',
      'CLAW_BACK',
      'PAYMENT',
    ]);
  });

  test('in euros, and a refund in euros is shown in euros', async () => {
    const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
    await send(completed(stripe.payOther(sessionId(purchase), 480, 'eur')));
    await decide(purchase, Decision.ACCEPTED);
    const refunded = stripe.event('charge.refunded', stripe.refund(intentId(purchase), 240));
    expect(await send(refunded)).toBe(200);
    expect(await now(purchase)).toMatchObject({
      amountRefunded: { currency: 'EUR', amount: '2.40' },
      creditsClawedBack: 500n,
    });
    await expectLedger(scrip, purchase.accountId, [
      'CHECKOUT',
      'PAYMENT',
      'PURCHASE',
      'CLAW_BACK',
      'PAYMENT',
    ]);
  });
});

describe('an operator rejects the payment', () => {
  test('and nothing is granted, whatever webhooks come afterwards', async () => {
    const purchase = await mismatched();
    const answer = await decide(purchase, Decision.REJECTED, 'refunded at Stripe');
    expect(answer).toMatchObject({
      purchase: { state: Purchase_State.REJECTED },
      entrySeq: 4n,
      grant: undefined,
    });
    expect(await newestEntry(scrip, purchase.accountId)).toMatchObject({
      kind: Entry_Kind.REJECT_PURCHASE,
      moves: [],
      caller: 'ops:anna',
      reference: purchase.purchaseId,
      purchaseId: purchase.purchaseId,
      details: mapOf({ reason: 'refunded at Stripe' }),
    });
    expect(await send(completed(stripe.session(sessionId(purchase))))).toBe(200);
    const refunded = stripe.event('charge.refunded', stripe.refund(intentId(purchase), 400));
    for (const _ of [1, 2]) expect(await send(refunded)).toBe(200);
    expect(await now(purchase)).toMatchObject({
      state: Purchase_State.REJECTED,
      amountRefunded: { currency: 'USD', amount: '4.00' },
      resolution: { decision: Decision.REJECTED, caller: 'ops:anna', reason: 'refunded at Stripe' },
    });
    expect(await decide(purchase, Decision.REJECTED)).toMatchObject({ entrySeq: 0n });
    expect(await errorOf(decide(purchase, Decision.ACCEPTED))).toMatchObject({
      reason: 'PURCHASE_NOT_MISMATCHED',
    });
    expect(await typesOf(purchase)).toEqual([
      'purchase.mismatched',
      'purchase.resolved',
      'purchase.refunded',
    ]);
    await expectLedger(scrip, purchase.accountId, [
      'CHECKOUT',
      'PAYMENT',
      'REJECT_PURCHASE',
      'PAYMENT', // a dispute, and nothing to take back
    ]);
  });

  test('while another accepts it: one of them is refused', async () => {
    const purchase = await mismatched();
    const both = await Promise.allSettled([
      decide(purchase, Decision.ACCEPTED),
      decide(purchase, Decision.REJECTED),
    ]);
    expect(both.map((end) => end.status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const { state } = await now(purchase);
    const decided = state === Purchase_State.PAID ? 'PURCHASE' : 'REJECT_PURCHASE';
    await expectLedger(scrip, purchase.accountId, ['CHECKOUT', 'PAYMENT', decided]);
  });
});

test('a purchase that was paid as ordered shows what was paid, and cannot be resolved', async () => {
  const purchase = await buyByCheckout(scrip, await scrip.open('verts'));
  expect(await send(completed(stripe.pay(sessionId(purchase))))).toBe(200);
  expect(await now(purchase)).toMatchObject({
    state: Purchase_State.PAID,
    amountPaid: { currency: 'USD', amount: '5.00' },
  });
  expect(await errorOf(decide(purchase, Decision.ACCEPTED))).toMatchObject({
    reason: 'PURCHASE_NOT_MISMATCHED',
  });
});

test.each([
  ['purchase_id', { purchaseId: 'p' }],
  ['decision', { decision: Decision.UNSPECIFIED }],
  ['reason', { reason: '' }],
  ['reason', { reason: 'x'.repeat(257) }],
])('a decision with an invalid %s is refused', async (field, change) => {
  const purchase = await mismatched();
  const { accountId, purchaseId } = purchase;
  const request = {
    accountId,
    requestId: requestId(),
    purchaseId,
    decision: Decision.REJECTED,
    reason: 'why',
    ...change,
  };
  expect(await errorOf(operator.accounts.resolvePurchase(request))).toMatchObject({
    code: status.INVALID_ARGUMENT,
    fields: [field],
  });
});
