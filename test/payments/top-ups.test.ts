/** Auto top-up, from the call that makes it due to the grant, with a fake Stripe over HTTP. */
import '../../src/telemetry/sdk.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AutoTopUp } from '../../src/gen/billing/v1/account_service.ts';
import { Purchase_Method, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, DAY, defined, entriesOf, HOUR, MINUTE, openWithCredits } from '../accounts.ts';
import { dataOf, eventsOf } from '../events/given.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { deliver, StripeFake } from './stripe-fake.ts';

/** Stripe's response during an outage. */
const OUTAGE = { status: 503, body: { error: { type: 'api_error', message: 'outage' } } };

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: { ...stripe.env, TOP_UP_MAX: '3' } });
  stripe.clock = scrip.now;
  scrip.setNow(Date.UTC(2027, 2, 10));
});
afterEach(async () => {
  stripe.intercept = () => undefined;
  stripe.methods.clear();
  // One test's accounts must not be charged in another. Closed accounts refuse the update.
  await Promise.all(enabled.splice(0).map((accountId) => set(accountId, null).catch(() => {})));
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const topUp = () => scrip.service.topUp();

/** Accounts that have an auto top-up. */
const enabled: string[] = [];

async function set(accountId: string, setting: Partial<AutoTopUp> | null = {}) {
  if (setting) enabled.push(accountId);
  const autoTopUp = {
    packId: 'starter',
    threshold: 500n,
    coolDown: { seconds: 3_600n, nanos: 0 },
    monthlyCap: 3,
    customer: 'cus_1',
    paymentMethod: 'pm_1',
    ...setting,
  };
  await scrip.accounts.updateAccount({
    accountId,
    requestId: requestId(),
    autoTopUp: setting ? { autoTopUp } : {},
  });
}

const charge = (accountId: string, credits: bigint) =>
  scrip.billing.charge({ accountId, requestId: requestId(), credits });

/** An account that has 600 credits, and a top-up below 500. */
async function openWithTopUp(setting: Partial<AutoTopUp> = {}): Promise<string> {
  const accountId = await openWithCredits(scrip, 600n);
  await set(accountId, setting);
  return accountId;
}

/** An account whose top-up is due. */
async function openWithTopUpDue(setting: Partial<AutoTopUp> = {}): Promise<string> {
  const accountId = await openWithTopUp(setting);
  await charge(accountId, 200n);
  return accountId;
}

/** Spends all of the account's credits, so that the next top-up is due as soon as its limits allow. */
const spendAll = async (accountId: string) =>
  charge(accountId, (await balanceOf(scrip, accountId)).available);

const accountNow = async (accountId: string) =>
  defined((await scrip.accounts.getAccount({ accountId })).account);

/** The account's purchases, the oldest first. */
const purchasesOf = async (accountId: string) =>
  [...(await scrip.billing.listPurchases({ accountId })).purchases].reverse();

const statesOf = async (accountId: string) =>
  (await purchasesOf(accountId)).map(({ state }) => state);

const chargesOf = (accountId: string) =>
  [...stripe.charges.values()].filter(({ metadata }) => metadata['account_id'] === accountId);

const intentsOf = (accountId: string) =>
  [...stripe.intents.values()].filter(({ metadata }) => metadata['account_id'] === accountId);

/** Expects the account's events to have these types. */
async function expectEvents(accountId: string, types: readonly string[]) {
  const typesNow = async () => (await eventsOf(scrip, { accountId })).map(({ type }) => type);
  await expect.poll(typesNow, { timeout: 60_000 }).toEqual(types);
}

/** No pack was bought, no top-up is in progress, and nothing was charged. */
async function expectNothingBought(accountId: string) {
  expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
  expect(chargesOf(accountId)).toEqual([]);
  expect((await balanceOf(scrip, accountId)).remaining).toBeLessThanOrEqual(600n);
}

describe('an account that falls below its threshold', () => {
  test('buys one pack with its saved payment method, and its balance recovers', async () => {
    const accountId = await openWithTopUp();
    await topUp();
    await expectNothingBought(accountId);
    await charge(accountId, 200n);
    await topUp();
    await topUp();
    expect(chargesOf(accountId)).toMatchObject([{ amount: 500, currency: 'usd' }]);
    expect(await purchasesOf(accountId)).toMatchObject([
      { packId: 'starter', method: Purchase_Method.TOP_UP, state: Purchase_State.PAID },
    ]);
    expect((await balanceOf(scrip, accountId)).available).toBe(1_400n);
    expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
    const bought = defined((await entriesOf(scrip, accountId)).at(-1));
    expect(bought).toMatchObject({ caller: 'scrip', requestId: '', credits: 1_000n });
    expect(bought.traceId).toMatch(/^[0-9a-f]{32}$/);
    await expectEvents(accountId, ['balance.low', 'purchase.completed', 'balance.recovered']);
  });

  test('only by what reservations hold is charged nothing', async () => {
    const accountId = await openWithTopUp();
    const held = { accountId, credits: 550n, ttl: { seconds: 3n, nanos: 0 } };
    await scrip.billing.reserve({ ...held, requestId: requestId() });
    await topUp();
    scrip.advance(MINUTE);
    await topUp();
    await expectNothingBought(accountId);
    expect(intentsOf(accountId)).toEqual([]);
  });

  test('buys as many packs as the gap needs, with one charge', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    await set(accountId, { threshold: 2_100n });
    await topUp();
    expect(chargesOf(accountId)).toMatchObject([{ amount: 1_000, currency: 'usd' }]);
    expect(await purchasesOf(accountId)).toMatchObject([
      { packId: 'starter', quantity: 2, credits: 2_000n, price: { amount: '10.00' } },
    ]);
    expect((await balanceOf(scrip, accountId)).available).toBe(2_600n);
  });

  test('by a refusal buys what was missing, if its owner wants that', async () => {
    const accountId = await openWithTopUp({ onRefusal: true });
    await charge(accountId, 601n).catch(() => {});
    await scrip.service.reportRefusals();
    await topUp();
    expect(chargesOf(accountId)).toMatchObject([{ amount: 500 }]);
    expect((await balanceOf(scrip, accountId)).available).toBe(1_600n);
  });

  test('because a grant expired is topped up, too', async () => {
    const accountId = await scrip.open('verts');
    await scrip.accounts.grantCredits({
      reason: 'a test',
      accountId,
      requestId: requestId(),
      credits: 600n,
      category: 2,
      expiresAt: new Date(scrip.now() + MINUTE),
    });
    await set(accountId);
    scrip.advance(2 * MINUTE);
    await scrip.service.sweep();
    await topUp();
    expect((await balanceOf(scrip, accountId)).available).toBe(1_000n);
  });

  test('without an auto top-up is charged nothing', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    await charge(accountId, 600n);
    await topUp();
    await expectNothingBought(accountId);
    expect(intentsOf(accountId)).toEqual([]);
  });

  test('and recovers before the top-up starts is charged nothing', async () => {
    const accountId = await openWithTopUpDue();
    await scrip.accounts.grantCredits({
      reason: 'a test',
      accountId,
      requestId: requestId(),
      credits: 200n,
      category: 2,
    });
    await topUp();
    await expectNothingBought(accountId);
  });

  test('buys its custom pack', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    const price = { currency: 'USD', amount: '42.50' };
    const pack = { packId: 'own', title: 'Own', credits: 9_000n, price };
    await scrip.accounts.offerPack({ accountId, requestId: requestId(), pack });
    await set(accountId, { packId: 'own' });
    await charge(accountId, 101n);
    await topUp();
    expect(chargesOf(accountId)).toMatchObject([{ amount: 4_250 }]);
    expect((await balanceOf(scrip, accountId)).available).toBe(9_499n);
  });

  test('is topped up in one run, whatever the number of batches', async () => {
    const accountIds = await Promise.all(Array.from({ length: 8 }, () => openWithTopUpDue()));
    await topUp();
    for (const accountId of accountIds) expect(chargesOf(accountId).length).toBe(1);
  });

  test('is charged once by two replicas that top up at the same time', async () => {
    const other = await startTestService({ databaseUrl: scrip.databaseUrl, env: stripe.env });
    try {
      other.setNow(scrip.now());
      const accountIds = await Promise.all(Array.from({ length: 6 }, () => openWithTopUpDue()));
      await Promise.all([topUp(), other.service.topUp(), topUp(), other.service.topUp()]);
      for (const accountId of accountIds) {
        expect(intentsOf(accountId).length).toBe(1);
        expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
      }
    } finally {
      await other.stop();
    }
  });
});

describe('the settings of an auto top-up', () => {
  test('start no second top-up before the cool-down is over', async () => {
    const accountId = await openWithTopUpDue({ coolDown: { seconds: 7_200n, nanos: 0 } });
    await topUp();
    await spendAll(accountId);
    scrip.advance(2 * HOUR - MINUTE);
    await topUp();
    expect(chargesOf(accountId).length).toBe(1);
    scrip.advance(2 * MINUTE);
    await topUp();
    expect(chargesOf(accountId).length).toBe(2);
  });

  test('start no more top-ups in a month than the cap, and again in the next month', async () => {
    scrip.setNow(Date.UTC(2027, 4, 20));
    const accountId = await openWithTopUpDue({ monthlyCap: 2 });
    for (let day = 0; day < 4; day++) {
      await topUp();
      await spendAll(accountId);
      scrip.advance(DAY);
    }
    expect(chargesOf(accountId).length).toBe(2);
    expect((await accountNow(accountId)).topUpDueAt).toEqual(new Date('2027-06-01'));
    scrip.setNow(Date.UTC(2027, 5, 1));
    await topUp();
    expect(chargesOf(accountId).length).toBe(3);
  });

  test('removed before a top-up starts buy nothing', async () => {
    const accountId = await openWithTopUpDue();
    await set(accountId, null);
    await topUp();
    await expectNothingBought(accountId);
    expect(intentsOf(accountId)).toEqual([]);
  });

  test.each<[string, (accountId: string) => Promise<unknown>]>([
    ['removed', (accountId) => set(accountId, null)],
    ['changed to another payment method', (accountId) => set(accountId, { paymentMethod: 'pm_2' })],
    ['changed to another pack', (accountId) => set(accountId, { packId: 'standard' })],
    [
      'of a closed account',
      (accountId) => scrip.accounts.closeAccount({ accountId, requestId: requestId() }),
    ],
  ])('%s withdraw a top-up that is in progress and not charged yet', async (_, change) => {
    for (const call of [/payment_intents$/, /confirm$/]) {
      const accountId = await openWithTopUpDue({ paymentMethod: 'pm_1' });
      stripe.intercept = (made, moment) =>
        moment === 'before' && call.test(made) ? OUTAGE : undefined;
      await topUp();
      stripe.intercept = () => undefined;
      await change(accountId);
      scrip.advance(6 * MINUTE);
      await topUp();
      await expectNothingBought(accountId);
      const [withdrawn] = await purchasesOf(accountId);
      expect(withdrawn).toMatchObject({
        state: Purchase_State.FAILED,
        failureCode: 'requested_by_customer',
      });
      const statuses = intentsOf(accountId).map(({ status }) => status);
      expect(statuses).toEqual(call.test('confirm') ? ['canceled'] : []);
      await expectEvents(accountId, ['balance.low']);
    }
  });

  test('removed during the charge grant what was paid', async () => {
    const accountId = await openWithTopUpDue();
    stripe.intercept = (made, moment) =>
      moment === 'after' && made.endsWith('confirm') ? OUTAGE : undefined;
    await topUp();
    stripe.intercept = () => undefined;
    await set(accountId, null);
    scrip.advance(6 * MINUTE);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
    expect(chargesOf(accountId).length).toBe(1);
  });

  test('removed between the intent and its charge charge nothing', async () => {
    const accountId = await openWithTopUpDue();
    let withdrawal: Promise<void> | undefined;
    stripe.intercept = (made, moment) => {
      if (moment === 'after' && made.endsWith('payment_intents') && !withdrawal) {
        // Another worker withdraws the purchase before the one that creates the intent gets its response.
        withdrawal = set(accountId, null).then(async () => {
          scrip.advance(6 * MINUTE);
          await topUp();
        });
        return withdrawal.then(() => undefined);
      }
      return undefined;
    };
    await topUp();
    await expectNothingBought(accountId);
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED]);
  });
});

describe('a payment that is declined', () => {
  test('ends the purchase with an event, and the next one follows after a backoff', async () => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const accountId = await openWithTopUpDue({ paymentMethod: 'pm_poor', monthlyCap: 1 });
    await topUp();
    const [first] = await purchasesOf(accountId);
    expect(first).toMatchObject({
      state: Purchase_State.FAILED,
      failureCode: 'insufficient_funds',
    });
    await expectEvents(accountId, ['balance.low', 'top_up.failed']);
    const [failed] = await eventsOf(scrip, { accountId, types: ['top_up.failed'] });
    expect(dataOf(defined(failed))).toMatchObject({
      purchase_id: first?.purchaseId,
      pack_id: 'starter',
      code: 'insufficient_funds',
    });
    const next = Date.parse(defined(failed?.data.get('next_attempt_at')));
    expect((await accountNow(accountId)).topUpDueAt?.getTime()).toBe(next);

    scrip.setNow(next - MINUTE);
    await topUp();
    expect((await purchasesOf(accountId)).length).toBe(1);
    scrip.setNow(next + MINUTE);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED, Purchase_State.FAILED]);
    const { topUpDueAt } = await accountNow(accountId);
    expect(Number(topUpDueAt) - scrip.now()).toBeGreaterThan(HOUR + 50 * MINUTE);

    stripe.methods.clear();
    scrip.setNow(Number(topUpDueAt) + 1_000);
    await topUp();
    expect((await statesOf(accountId)).at(-1)).toBe(Purchase_State.PAID);
    expect(chargesOf(accountId).length).toBe(1);
    await expectEvents(accountId, [
      'balance.low',
      'top_up.failed',
      'top_up.failed',
      'purchase.completed',
      'balance.recovered',
    ]);
  });

  test('is followed at once by a top-up with another payment method', async () => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const setting = { coolDown: { seconds: 60n, nanos: 0 } };
    const accountId = await openWithTopUpDue({ ...setting, paymentMethod: 'pm_poor' });
    await topUp();
    scrip.advance(2 * MINUTE);
    await topUp();
    expect((await purchasesOf(accountId)).length).toBe(1);
    await set(accountId, { ...setting, paymentMethod: 'pm_rich' });
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED, Purchase_State.PAID]);
  });

  test.each(['authentication_required', 'requires_action'] as const)(
    'because the bank wants to authenticate the customer (%s) has that code',
    async (end) => {
      stripe.methods.set('pm_strict', end);
      const accountId = await openWithTopUpDue({ paymentMethod: 'pm_strict' });
      await topUp();
      expect(await purchasesOf(accountId)).toMatchObject([
        { state: Purchase_State.FAILED, failureCode: 'authentication_required' },
      ]);
      expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
      await expectEvents(accountId, ['balance.low', 'top_up.failed']);
      const [failed] = await eventsOf(scrip, { accountId, types: ['top_up.failed'] });
      expect(failed?.data.get('code')).toBe('authentication_required');
    },
  );

  test('and paid after all is granted, and counts towards the cap', async () => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const accountId = await openWithTopUpDue({ paymentMethod: 'pm_poor', monthlyCap: 1 });
    await topUp();
    const intent = defined(intentsOf(accountId)[0]);
    const webhook = stripe.event('payment_intent.succeeded', stripe.payIntent(intent.id));
    for (const _ of [1, 2]) expect(await deliver(scrip.service.webhookPort, webhook)).toBe(200);
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
    await spendAll(accountId);
    scrip.advance(2 * HOUR);
    await topUp();
    expect((await purchasesOf(accountId)).length).toBe(1);
  });
});

describe('a payment that takes days', () => {
  /** A top-up in progress that is pending at Stripe. */
  async function startPending() {
    stripe.methods.set('pm_slow', 'processing');
    const accountId = await openWithTopUpDue({ paymentMethod: 'pm_slow' });
    await topUp();
    const { topUpPurchaseId: purchaseId } = await accountNow(accountId);
    const intent = defined(intentsOf(accountId)[0]);
    expect(purchaseId).not.toBe('');
    return { accountId, purchaseId, intent };
  }

  test('stays one top-up until it is paid, however often its lease expires', async () => {
    const { accountId, purchaseId, intent } = await startPending();
    for (let minutes = 0; minutes < 30; minutes += 6) {
      scrip.advance(6 * MINUTE);
      await topUp();
      expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: purchaseId });
    }
    stripe.payIntent(intent.id);
    scrip.advance(6 * MINUTE);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
    expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
  });

  test.each(['paid', 'declined'] as const)('is ended by the webhook that it is %s', async (how) => {
    const { accountId, intent } = await startPending();
    const intentNow = how === 'paid' ? stripe.payIntent(intent.id) : stripe.bounceIntent(intent.id);
    const type = how === 'paid' ? 'payment_intent.succeeded' : 'payment_intent.payment_failed';
    const webhook = stripe.event(type, intentNow);
    for (const _ of [1, 2]) expect(await deliver(scrip.service.webhookPort, webhook)).toBe(200);
    expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
    await expectEvents(accountId, [
      'balance.low',
      ...(how === 'paid' ? ['purchase.completed', 'balance.recovered'] : ['top_up.failed']),
    ]);
    scrip.advance(6 * MINUTE);
    await topUp();
    expect((await purchasesOf(accountId)).length).toBe(1);
  });

  test('is ended by the reconciler without a webhook', async () => {
    const { accountId, intent } = await startPending();
    stripe.payIntent(intent.id);
    scrip.advance(4 * MINUTE);
    await scrip.service.checkPurchases();
    expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('and fails is not charged a second time', async () => {
    const { accountId, intent } = await startPending();
    // By then Stripe has forgotten the idempotency key of the first attempt.
    scrip.advance(3 * DAY);
    stripe.bounceIntent(intent.id);
    stripe.forgetKeys();
    stripe.methods.clear();
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED]);
    expect(chargesOf(accountId)).toEqual([]);
  });
});

describe('an outage', () => {
  test.each([
    ['the intent is created', /payment_intents$/],
    ['the intent is charged', /confirm$/],
    ['the purchase is fetched', /^GET/],
  ])('of Stripe when %s is followed by one charge within 5 minutes', async (_, call) => {
    for (const lost of ['before', 'after'] as const) {
      const accountId = await openWithTopUpDue();
      stripe.intercept = (made, moment) =>
        moment === lost && call.test(made) ? OUTAGE : undefined;
      await topUp();
      stripe.intercept = () => undefined;
      const { topUpPurchaseId } = await accountNow(accountId);
      expect(topUpPurchaseId).not.toBe('');
      await topUp();
      expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId });
      scrip.advance(5 * MINUTE);
      await topUp();
      expect(chargesOf(accountId).length).toBe(1);
      expect(await purchasesOf(accountId)).toMatchObject([
        { purchaseId: topUpPurchaseId, state: Purchase_State.PAID },
      ]);
      await expectEvents(accountId, ['balance.low', 'purchase.completed', 'balance.recovered']);
    }
  });

  test('of Stripe ends the run: it is not called for every account', async () => {
    const accountIds = await Promise.all(Array.from({ length: 20 }, () => openWithTopUpDue()));
    const before = stripe.calls.length;
    stripe.intercept = () => OUTAGE;
    await topUp();
    expect(stripe.calls.length - before).toBeLessThanOrEqual(8);
    stripe.intercept = () => undefined;
    scrip.advance(5 * MINUTE);
    await topUp();
    for (const accountId of accountIds)
      expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('of a day expires the purchase, and the next top-up is another one', async () => {
    const accountId = await openWithTopUpDue();
    stripe.intercept = () => OUTAGE;
    await topUp();
    stripe.intercept = () => undefined;
    scrip.advance(DAY);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.EXPIRED]);
    scrip.advance(HOUR);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.EXPIRED, Purchase_State.PAID]);
    expect(chargesOf(accountId).length).toBe(1);
  });
});

describe('a replica that stops', () => {
  /** Starts a replica and stops it while Stripe charges; Stripe's response is sent after `respond`. */
  async function stopDuringCharge(
    graceMs: number,
    respond: (stopped: Promise<void>) => Promise<void>,
  ) {
    const accountId = await openWithTopUpDue();
    const env = { ...stripe.env, TOP_UP_INTERVAL_MS: '10', SHUTDOWN_GRACE_MS: String(graceMs) };
    const other = await startTestService({ databaseUrl: scrip.databaseUrl, env });
    const stopped = new Promise<void>((resolve, reject) => {
      stripe.intercept = async (made, moment) => {
        if (moment !== 'after' || !made.endsWith('confirm')) return undefined;
        const stopping = other.stop();
        stopping.then(resolve, reject);
        await respond(stopping);
        return undefined;
      };
    });
    other.setNow(scrip.now());
    await stopped;
    stripe.intercept = () => undefined;
    return accountId;
  }

  test('finishes the charge in progress', async () => {
    const accountId = await stopDuringCharge(60_000, async () => {});
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('leaves a charge that outlasts its grace period to the other replicas', async () => {
    const accountId = await stopDuringCharge(100, (stopped) => stopped);
    expect(await statesOf(accountId)).toEqual([Purchase_State.PENDING]);
    scrip.advance(5 * MINUTE);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
    expect(chargesOf(accountId).length).toBe(1);
  });
});

test('the ledger of all these accounts verifies', async () => {
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });
});
