/**
 * The service is killed between any two steps of a purchase, started again, and finishes it: one
 * session, one grant per payment, none lost.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { defined } from '../accounts.ts';
import { CHECKOUT, expectBooks } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase } from '../postgres.ts';
import { requestId } from '../service.ts';
import { killing } from './killing.ts';
import { end, logOf, type Replica, startReplica } from './replica.ts';

const SOON = { timeout: 30_000, interval: 20 };

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
  stripe.meddle = () => undefined;
});
afterAll(async () => {
  await end(replica);
  await stripe.stop();
});

const start = () =>
  startReplica({
    ...stripe.env,
    DATABASE_URL: databaseUrl,
    PURCHASE_CHECK_INTERVAL_MS: '100',
  });

function webhookPort(): number {
  const ready = logOf(replica.said.stdout).find(({ msg }) => msg === 'ready');
  return Number(ready?.['webhook_port']);
}

const { killAtWrite, killAtCall, killAtWriteAfter, killOnce, killed } = killing(() => ({
  stripe,
  databaseUrl,
  replica,
  accountId,
}));

async function startAgain() {
  await killed();
  replica = await start();
}

const OPENS = /^POST \/v1\/checkout\/sessions$/;
const LOOKS = /^GET \/v1\/checkout\/sessions\//;

type Step = readonly [name: string, arrange: () => Promise<void> | void];

const ordering: readonly Step[] = [
  ['before the purchase is written', killAtWrite],
  ['after the purchase was written', () => killAtCall(OPENS, 'before')],
  ['after the session was made, before Stripe answers', () => killAtCall(OPENS, 'after')],
  ['after Stripe answered, before the session is written', () => killAtWriteAfter(OPENS)],
  ['after the session was written', () => void killOnce('session_id is not null')],
];

const paying: readonly Step[] = [
  ['before Stripe is asked', () => killAtCall(LOOKS, 'before')],
  ['before Stripe answers', () => killAtCall(LOOKS, 'after')],
  ['after Stripe answered, before the grant is written', () => killAtWriteAfter(LOOKS)],
  ['after the grant was written', () => void killOnce("state = 'PAID'")],
];

const buy = (id: string) =>
  replica.billing.purchase({ accountId, requestId: id, packId: 'starter', payment: CHECKOUT });

const purchases = async () => (await replica.billing.listPurchases({ accountId })).purchases;

/** The customer pays, and Stripe delivers until it is answered 2xx, and once more. */
async function payAndDeliver(purchaseId: string) {
  const session = stripe.pay(stripe.sessionOf(purchaseId).id);
  const webhook = stripe.event('checkout.session.completed', session);
  for (const _ of [1, 2]) expect(await deliver(webhookPort(), webhook)).toBe(200);
}

describe('a service killed while a purchase is made', () => {
  test.each(ordering)('%s makes one of it, with one session, paid once', async (_, arrange) => {
    const id = requestId();
    await arrange();
    const lost = await buy(id).catch(() => null);
    await startAgain();
    const again = defined((await buy(id)).purchase);
    if (lost) expect(again).toEqual(lost.purchase);
    expect(again.checkoutUrl).toBe(stripe.sessionOf(again.purchaseId).url);
    expect((await purchases()).length).toBe(1);
    await payAndDeliver(again.purchaseId);
    await expectBooks({ databaseUrl }, accountId, ['PURCHASE']);
  });

  test('is given its session by the reconciler, though its caller never comes back', async () => {
    killAtCall(OPENS, 'after');
    await buy(requestId()).catch(() => null);
    await startAgain();
    await expect.poll(async () => (await purchases())[0]?.checkoutUrl, SOON).toMatch(/^https:/);
    const [purchase] = await purchases();
    await payAndDeliver(defined(purchase).purchaseId);
    await expectBooks({ databaseUrl }, accountId, ['PURCHASE']);
  });
});

describe('a service killed while a payment is taken in', () => {
  test.each(paying)('%s grants it once when it is delivered again', async (_, arrange) => {
    const { purchaseId } = defined((await buy(requestId())).purchase);
    const session = stripe.pay(stripe.sessionOf(purchaseId).id);
    const webhook = stripe.event('checkout.session.completed', session);
    await arrange();
    await deliver(webhookPort(), webhook).catch(() => 0);
    await startAgain();
    for (const _again of [1, 2]) expect(await deliver(webhookPort(), webhook)).toBe(200);
    expect(await purchases()).toMatchObject([{ state: Purchase_State.PAID, remaining: 1_000n }]);
    await expectBooks({ databaseUrl }, accountId, ['PURCHASE']);
  });
});
