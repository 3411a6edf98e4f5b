/**
 * The service is killed at each point of a purchase and started again. It then completes the purchase:
 * one checkout session, one grant per payment, none lost.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { defined } from '../accounts.ts';
import { CHECKOUT, expectLedger } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase } from '../postgres.ts';
import { requestId } from '../service.ts';
import { killing } from './killing.ts';
import { end, type Replica, SOON, startReplica } from './replica.ts';

let stripe: StripeFake;
let databaseUrl: string;
let replica: Replica;
let accountId: string;

beforeAll(async () => {
  stripe = await new StripeFake().start();
  databaseUrl = await createDatabase(inject('postgresUrl'));
  replica = await start();
});
beforeEach(async () => {
  accountId = `acct-${requestId()}`;
  await replica.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
});
afterEach(() => {
  stripe.intercept = () => undefined;
});
afterAll(async () => {
  await end(replica);
  await stripe.stop();
});

/** Its reconciler does nothing in these tests, unless another interval is given. */
const start = (reconcilerIntervalMs = 3_600_000) =>
  startReplica({
    ...stripe.env,
    DATABASE_URL: databaseUrl,
    PURCHASE_CHECK_INTERVAL_MS: String(reconcilerIntervalMs),
  });

const { killAtWrite, killAtCall, killAtWriteAfter, killOnce, killed } = killing(() => ({
  stripe,
  databaseUrl,
  replica,
  accountId,
}));

async function restart(reconcilerIntervalMs?: number) {
  await killed();
  replica = await start(reconcilerIntervalMs);
}

const CREATE_SESSION = /^POST \/v1\/checkout\/sessions$/;
const GET_SESSION = /^GET \/v1\/checkout\/sessions\//;

type KillPoint = readonly [when: string, arrange: () => Promise<void> | void];

const whileOrdering: readonly KillPoint[] = [
  ['before the purchase is written', killAtWrite],
  ['after the purchase was written', () => killAtCall(CREATE_SESSION, 'before')],
  [
    'after Stripe created the session, before it answers',
    () => killAtCall(CREATE_SESSION, 'after'),
  ],
  ['after Stripe answered, before the session is written', () => killAtWriteAfter(CREATE_SESSION)],
  ['after the session was written', () => void killOnce('session_id is not null')],
];

const whileProcessingPayment: readonly KillPoint[] = [
  ['before Stripe is asked', () => killAtCall(GET_SESSION, 'before')],
  ['before Stripe answers', () => killAtCall(GET_SESSION, 'after')],
  ['after Stripe answered, before the grant is written', () => killAtWriteAfter(GET_SESSION)],
  ['after the grant was written', () => void killOnce("state = 'PAID'")],
];

const buy = (id: string) =>
  replica.billing.purchase({ accountId, requestId: id, packId: 'starter', payment: CHECKOUT });

const purchases = async () => (await replica.billing.listPurchases({ accountId })).purchases;

/** The customer pays, and Stripe delivers until it is answered 2xx, and once more. */
async function payAndDeliver(purchaseId: string) {
  const session = stripe.pay(stripe.sessionOf(purchaseId).id);
  const webhook = stripe.event('checkout.session.completed', session);
  for (const _ of [1, 2]) expect(await deliver(replica.webhookPort, webhook)).toBe(200);
}

describe('a service killed while it creates a purchase', () => {
  test.each(whileOrdering)('%s: one purchase, one session, paid once', async (_, arrange) => {
    const id = requestId();
    await arrange();
    const lost = await buy(id).catch(() => null);
    await restart();
    const again = defined((await buy(id)).purchase);
    if (lost) expect(again).toEqual(lost.purchase);
    expect(again.checkoutUrl).toBe(stripe.sessionOf(again.purchaseId).url);
    expect((await purchases()).length).toBe(1);
    await payAndDeliver(again.purchaseId);
    await expectLedger({ databaseUrl }, accountId, ['CHECKOUT', 'PURCHASE']);
  });

  test('the reconciler creates the session if the caller never retries', async () => {
    killAtCall(CREATE_SESSION, 'after');
    await buy(requestId()).catch(() => null);
    // The killed replica has not claimed the purchase: it is due now.
    await restart(100);
    await expect.poll(async () => (await purchases())[0]?.checkoutUrl, SOON).toMatch(/^https:/);
    const [purchase] = await purchases();
    await payAndDeliver(defined(purchase).purchaseId);
    await expectLedger({ databaseUrl }, accountId, ['CHECKOUT', 'PURCHASE']);
    await end(replica);
    replica = await start();
  });
});

describe('a service killed while it processes a payment', () => {
  test.each(whileProcessingPayment)('%s: the next delivery grants it once', async (_, arrange) => {
    const { purchaseId } = defined((await buy(requestId())).purchase);
    const session = stripe.pay(stripe.sessionOf(purchaseId).id);
    const webhook = stripe.event('checkout.session.completed', session);
    await arrange();
    await deliver(replica.webhookPort, webhook).catch(() => 0);
    await restart();
    for (const _again of [1, 2]) expect(await deliver(replica.webhookPort, webhook)).toBe(200);
    expect(await purchases()).toMatchObject([{ state: Purchase_State.PAID, remaining: 1_000n }]);
    await expectLedger({ databaseUrl }, accountId, ['CHECKOUT', 'PURCHASE']);
  });
});
