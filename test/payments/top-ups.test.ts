/** Auto top-up from the call that makes it due to the grant, against Stripe, over real HTTP. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AutoTopUp } from '../../src/gen/billing/v1/account_service.ts';
import { Purchase_Method, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, DAY, defined, entriesOf, HOUR, MINUTE, openWithCredits } from '../accounts.ts';
import { blockConnections } from '../disruptions.ts';
import { eventsOf } from '../events/given.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { deliver, StripeFake } from './stripe-fake.ts';

/** What Stripe answers when it has trouble of its own. */
const AWAY = { status: 503, body: { error: { type: 'api_error', message: 'away' } } };

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: { ...stripe.env, TOP_UP_MAX: '3' } });
  stripe.clock = scrip.now;
  scrip.setNow(Date.UTC(2027, 2, 10));
});
afterEach(async () => {
  stripe.meddle = () => undefined;
  stripe.methods.clear();
  // What one test switched on is not charged in another; an account that is closed refuses.
  await Promise.all(on.splice(0).map((accountId) => set(accountId, null).catch(() => {})));
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const topUp = () => scrip.service.topUp();

/** Accounts that have an auto top-up. */
const on: string[] = [];

async function set(accountId: string, setting: Partial<AutoTopUp> | null = {}) {
  if (setting) on.push(accountId);
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
async function switchedOn(setting: Partial<AutoTopUp> = {}): Promise<string> {
  const accountId = await openWithCredits(scrip, 600n);
  await set(accountId, setting);
  return accountId;
}

/** One whose top-up is due. */
async function low(setting: Partial<AutoTopUp> = {}): Promise<string> {
  const accountId = await switchedOn(setting);
  await charge(accountId, 200n);
  return accountId;
}

/** Spends all the account has, so that the next top-up is due as soon as it may be. */
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

/** Types of the account's events, once there are so many. */
async function expectEvents(accountId: string, types: readonly string[]) {
  const told = async () => (await eventsOf(scrip, { accountId })).map(({ type }) => type);
  await expect.poll(told, { timeout: 5_000 }).toEqual(types);
}

/** No pack was bought, nothing is under way, and nobody paid. */
async function expectNothingBought(accountId: string) {
  expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
  expect(chargesOf(accountId)).toEqual([]);
  expect((await balanceOf(scrip, accountId)).remaining).toBeLessThanOrEqual(600n);
}

describe('an account that falls below its threshold', () => {
  test('buys one pack, with its saved payment method; the balance is low, and recovers', async () => {
    const accountId = await switchedOn();
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
    await expectEvents(accountId, [
      'balance.recovered',
      'balance.low',
      'purchase.completed',
      'balance.recovered',
    ]);
  });

  test('by what happens by itself is topped up, too', async () => {
    const accountId = await scrip.open('verts');
    await scrip.accounts.grantCredits({
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

  test('and was never switched on is charged nothing', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    await charge(accountId, 600n);
    await topUp();
    await expectNothingBought(accountId);
    expect(intentsOf(accountId)).toEqual([]);
  });

  test('and recovers before anyone looks is charged nothing', async () => {
    const accountId = await low();
    await scrip.accounts.grantCredits({
      accountId,
      requestId: requestId(),
      credits: 200n,
      category: 2,
    });
    await topUp();
    await expectNothingBought(accountId);
  });

  test('buys the pack that was offered to it alone', async () => {
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

  test('one of many is topped up in a run that takes them batch by batch', async () => {
    const accountIds = await Promise.all(Array.from({ length: 8 }, () => low()));
    await topUp();
    for (const accountId of accountIds) expect(chargesOf(accountId).length).toBe(1);
  });

  test('is charged once by two replicas that look at the same time', async () => {
    const other = await startTestService({ databaseUrl: scrip.databaseUrl, env: stripe.env });
    try {
      other.setNow(scrip.now());
      const accountIds = await Promise.all(Array.from({ length: 6 }, () => low()));
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

describe('the limits of its owner:', () => {
  test('no second one before the cool-down is over', async () => {
    const accountId = await low({ coolDown: { seconds: 7_200n, nanos: 0 } });
    await topUp();
    await spendAll(accountId);
    scrip.advance(2 * HOUR - MINUTE);
    await topUp();
    expect(chargesOf(accountId).length).toBe(1);
    scrip.advance(2 * MINUTE);
    await topUp();
    expect(chargesOf(accountId).length).toBe(2);
  });

  test('no more in a month than its cap, and again in the next', async () => {
    scrip.setNow(Date.UTC(2027, 4, 20));
    const accountId = await low({ monthlyCap: 2 });
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

  test('switched off before it starts, nothing is bought', async () => {
    const accountId = await low();
    await set(accountId, null);
    await topUp();
    await expectNothingBought(accountId);
    expect(intentsOf(accountId)).toEqual([]);
  });

  test.each<[string, (accountId: string) => Promise<unknown>]>([
    ['switched off', (accountId) => set(accountId, null)],
    ['given another payment method', (accountId) => set(accountId, { paymentMethod: 'pm_2' })],
    ['given another pack', (accountId) => set(accountId, { packId: 'standard' })],
    ['closed', (accountId) => scrip.accounts.closeAccount({ accountId, requestId: requestId() })],
  ])('%s while it is under way and not charged yet, it is withdrawn', async (_, change) => {
    for (const call of [/payment_intents$/, /confirm$/]) {
      const accountId = await low({ paymentMethod: 'pm_1' });
      stripe.meddle = (made, moment) => (moment === 'before' && call.test(made) ? AWAY : undefined);
      await topUp();
      stripe.meddle = () => undefined;
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
      await expectEvents(accountId, ['balance.recovered', 'balance.low']);
    }
  });

  test('switched off while Stripe was charging, what was paid is granted', async () => {
    const accountId = await low();
    stripe.meddle = (made, moment) =>
      moment === 'after' && made.endsWith('confirm') ? AWAY : undefined;
    await topUp();
    stripe.meddle = () => undefined;
    await set(accountId, null);
    scrip.advance(6 * MINUTE);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
    expect(chargesOf(accountId).length).toBe(1);
  });

  test('switched off between the intent and its charge, nothing is charged', async () => {
    const accountId = await low();
    let switchOff: Promise<void> | undefined;
    stripe.meddle = (made, moment) => {
      if (moment === 'after' && made.endsWith('payment_intents') && !switchOff) {
        // Another worker takes it back, and only then is the intent's maker answered.
        switchOff = set(accountId, null).then(async () => {
          scrip.advance(6 * MINUTE);
          await topUp();
        });
        return switchOff.then(() => undefined);
      }
      return undefined;
    };
    await topUp();
    await expectNothingBought(accountId);
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED]);
  });
});

describe('a payment that is declined', () => {
  test('ends the purchase, says so, backs off, and the next one recovers', async () => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const accountId = await low({ paymentMethod: 'pm_poor', monthlyCap: 1 });
    await topUp();
    const [first] = await purchasesOf(accountId);
    expect(first).toMatchObject({
      state: Purchase_State.FAILED,
      failureCode: 'insufficient_funds',
    });
    await expectEvents(accountId, ['balance.recovered', 'balance.low', 'top_up.failed']);
    const [failed] = await eventsOf(scrip, { accountId, types: ['top_up.failed'] });
    expect(failed?.data).toMatchObject({
      purchase_id: first?.purchaseId,
      pack_id: 'starter',
      code: 'insufficient_funds',
    });
    const next = Date.parse(defined(failed?.data['next_attempt_at']));
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
      'balance.recovered',
      'balance.low',
      'top_up.failed',
      'top_up.failed',
      'purchase.completed',
      'balance.recovered',
    ]);
  });

  test('is made good at once by another payment method', async () => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const setting = { coolDown: { seconds: 60n, nanos: 0 } };
    const accountId = await low({ ...setting, paymentMethod: 'pm_poor' });
    await topUp();
    scrip.advance(2 * MINUTE);
    await topUp();
    expect((await purchasesOf(accountId)).length).toBe(1);
    await set(accountId, { ...setting, paymentMethod: 'pm_rich' });
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED, Purchase_State.PAID]);
  });

  test.each(['authentication_required', 'requires_action'] as const)(
    'because the bank wants to see the customer (%s) is declined, with that code',
    async (end) => {
      stripe.methods.set('pm_strict', end);
      const accountId = await low({ paymentMethod: 'pm_strict' });
      await topUp();
      expect(await purchasesOf(accountId)).toMatchObject([
        { state: Purchase_State.FAILED, failureCode: 'authentication_required' },
      ]);
      expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
      await expectEvents(accountId, ['balance.recovered', 'balance.low', 'top_up.failed']);
      const [failed] = await eventsOf(scrip, { accountId, types: ['top_up.failed'] });
      expect(failed?.data['code']).toBe('authentication_required');
    },
  );

  test('and arrives after all is granted, and counts', async () => {
    stripe.methods.set('pm_poor', 'insufficient_funds');
    const accountId = await low({ paymentMethod: 'pm_poor', monthlyCap: 1 });
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
  /** Under way, and pending at Stripe. */
  async function underWay() {
    stripe.methods.set('pm_slow', 'processing');
    const accountId = await low({ paymentMethod: 'pm_slow' });
    await topUp();
    const { topUpPurchaseId: purchaseId } = await accountNow(accountId);
    const intent = defined(intentsOf(accountId)[0]);
    expect(purchaseId).not.toBe('');
    return { accountId, purchaseId, intent };
  }

  test('stays one top-up, however often it is handed out again, until it is paid', async () => {
    const { accountId, purchaseId, intent } = await underWay();
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

  test.each(['paid', 'declined'] as const)('is ended by the webhook that says %s', async (how) => {
    const { accountId, intent } = await underWay();
    const seen = how === 'paid' ? stripe.payIntent(intent.id) : stripe.bounceIntent(intent.id);
    const type = how === 'paid' ? 'payment_intent.succeeded' : 'payment_intent.payment_failed';
    const webhook = stripe.event(type, seen);
    for (const _ of [1, 2]) expect(await deliver(scrip.service.webhookPort, webhook)).toBe(200);
    expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
    await expectEvents(accountId, [
      'balance.recovered',
      'balance.low',
      ...(how === 'paid' ? ['purchase.completed', 'balance.recovered'] : ['top_up.failed']),
    ]);
    scrip.advance(6 * MINUTE);
    await topUp();
    expect((await purchasesOf(accountId)).length).toBe(1);
  });

  test('is ended by the reconciler where no webhook comes', async () => {
    const { accountId, intent } = await underWay();
    stripe.payIntent(intent.id);
    scrip.advance(4 * MINUTE);
    await scrip.service.checkPurchases();
    expect(await accountNow(accountId)).toMatchObject({ topUpPurchaseId: '' });
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('and bounces is not charged a second time behind its owner’s back', async () => {
    const { accountId, intent } = await underWay();
    // By then Stripe has forgotten the key of the first attempt.
    scrip.advance(3 * DAY);
    stripe.bounceIntent(intent.id);
    stripe.forgetKeys();
    stripe.methods.clear();
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.FAILED]);
    expect(chargesOf(accountId)).toEqual([]);
  });
});

describe('while it is away', () => {
  test.each([
    ['the intent is made', /payment_intents$/],
    ['it is charged', /confirm$/],
    ['it is looked at', /^GET/],
  ])(
    'Stripe loses what it was asked when %s: within 5 minutes it is asked again, and charges once',
    async (_, call) => {
      for (const lost of ['before', 'after'] as const) {
        const accountId = await low();
        stripe.meddle = (made, moment) => (moment === lost && call.test(made) ? AWAY : undefined);
        await topUp();
        stripe.meddle = () => undefined;
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
        await expectEvents(accountId, [
          'balance.recovered',
          'balance.low',
          'purchase.completed',
          'balance.recovered',
        ]);
      }
    },
  );

  test('Stripe is not asked for one account after the other', async () => {
    const accountIds = await Promise.all(Array.from({ length: 20 }, () => low()));
    const before = stripe.calls.length;
    stripe.meddle = () => AWAY;
    await topUp();
    expect(stripe.calls.length - before).toBeLessThanOrEqual(8);
    stripe.meddle = () => undefined;
    scrip.advance(5 * MINUTE);
    await topUp();
    for (const accountId of accountIds)
      expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('the database loses nothing of what Stripe charged', async () => {
    const accountId = await low();
    let bringBack: (() => Promise<void>) | undefined;
    stripe.meddle = async (made, moment) => {
      if (moment === 'after' && made.endsWith('confirm') && !bringBack)
        bringBack = await blockConnections(scrip.databaseUrl);
      return undefined;
    };
    await topUp();
    await defined(bringBack)();
    stripe.meddle = () => undefined;
    scrip.advance(5 * MINUTE);
    await topUp();
    expect(chargesOf(accountId).length).toBe(1);
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('what nobody charged for a day is ended, and the next one is another purchase', async () => {
    const accountId = await low();
    stripe.meddle = () => AWAY;
    await topUp();
    stripe.meddle = () => undefined;
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
  const env = () => ({ ...stripe.env, TOP_UP_INTERVAL_MS: '10', SHUTDOWN_GRACE_MS: '1000' });

  /** Stops a replica of its own at the moment at which it has asked Stripe to charge. */
  async function stopAtCharge(answer: (stopping: Promise<void>) => Promise<undefined>) {
    const accountId = await low();
    const other = await startTestService({ databaseUrl: scrip.databaseUrl, env: env() });
    const stopped = new Promise<void>((resolve, reject) => {
      stripe.meddle = async (made, moment) => {
        if (moment !== 'after' || !made.endsWith('confirm')) return undefined;
        const stopping = other.stop();
        stopping.then(resolve, reject);
        return await answer(stopping);
      };
    });
    other.setNow(scrip.now());
    await stopped;
    stripe.meddle = () => undefined;
    return accountId;
  }

  test('finishes the charge that is under way', async () => {
    const accountId = await stopAtCharge(async () => undefined);
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
  });

  test('leaves one that Stripe does not answer in time to the others', async () => {
    const accountId = await stopAtCharge(async (stopping) => {
      await stopping;
      return undefined;
    });
    expect(await statesOf(accountId)).toEqual([Purchase_State.PENDING]);
    scrip.advance(5 * MINUTE);
    await topUp();
    expect(await statesOf(accountId)).toEqual([Purchase_State.PAID]);
    expect(chargesOf(accountId).length).toBe(1);
  });
});

test('all that leaves books that agree', async () => {
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });
});
