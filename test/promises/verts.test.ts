/** The promises of Verts' page on credits, one test each, through gRPC. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../../src/gen/billing/v1/event_service.ts';
import {
  Criticality,
  Entry_Kind,
  Purchase_Method,
  Purchase_State,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { defined, entriesOf, MINUTE } from '../accounts.ts';
import { buyByCheckout, purchaseNow } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import { Customer, type Usage, usd } from './customer.ts';

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

/** A customer with the pack Standard: 5,000 credits. */
async function open(): Promise<Customer> {
  const customer = await Customer.open(scrip, 'verts');
  await customer.buy('standard');
  return customer;
}

const INSPECT: Usage = { operation: 'file.inspect' };
const resize = (pixels: bigint): Usage => ({
  operation: 'image.resize',
  quantities: mapOf({ output_pixels: pixels }),
});
const upscale = (factor: bigint, count = 1n): Usage => ({
  operation: 'image.upscale',
  quantities: mapOf({ scale_factor: factor }),
  count,
});
const convert = (format: string): Usage => ({
  operation: 'file.convert',
  attributes: mapOf({ output_format: format }),
});

/** Charges all but `credits` of the 5,000. */
const spendDownTo = async (customer: Customer, credits: bigint) =>
  await scrip.billing.charge({
    ...customer.mutation(),
    credits: (await customer.remaining()) - credits,
  });

/** Pays for a purchase at the Stripe mock, which sends its webhook. */
async function payAtCheckout(purchaseId: string) {
  const session = stripe.pay(stripe.sessionOf(purchaseId).id);
  const webhook = stripe.event('checkout.session.completed', session);
  expect(await deliver(scrip.service.webhookPort, webhook)).toBe(200);
}

test('credits are bought, and spent on operations on files', async () => {
  const customer = await Customer.open(scrip, 'verts');
  expect((await errorOf(customer.charge(INSPECT))).reason).toBe('INSUFFICIENT_CREDITS');
  await customer.buy('starter');
  await customer.charge(INSPECT, upscale(2n), convert('pdf'));
  expect(await customer.remaining()).toBe(1_000n - 17n);
});

describe('how credits work', () => {
  test('1: packs are bought in the dashboard or by API', async () => {
    const customer = await Customer.open(scrip, 'verts');
    await customer.buy('starter', 'invoice-17');
    await payAtCheckout((await buyByCheckout(scrip, customer.accountId, 'starter')).purchaseId);
    expect((await customer.purchases()).map(({ method, state }) => [method, state])).toEqual([
      [Purchase_Method.CHECKOUT, Purchase_State.PAID],
      [Purchase_Method.REFERENCE, Purchase_State.PAID],
    ]);
    expect(await customer.remaining()).toBe(2_000n);
  });

  test('2: every operation has a cost that depends on its complexity', async () => {
    const customer = await open();
    const simpleToComplex = [INSPECT, resize(1_000_000n), upscale(2n), upscale(16n)];
    const { lines } = await customer.estimate(...simpleToComplex);
    expect(lines.map(({ credits }) => credits)).toEqual([1n, 2n, 10n, 50n]);
  });

  test('3: credits are deducted when an operation succeeds, not before', async () => {
    const customer = await open();
    const job = await customer.reserve(upscale(4n));
    expect(await customer.remaining()).toBe(5_000n);
    await customer.commit(job);
    expect(await customer.remaining()).toBe(4_980n);
  });
});

describe('credit packs', () => {
  const TABLE = [
    ['starter', 'Starter', 1_000n, '5.00'],
    ['standard', 'Standard', 5_000n, '20.00'],
    ['professional', 'Professional', 25_000n, '75.00'],
    ['enterprise', 'Enterprise', 100_000n, '250.00'],
  ] as const;

  test.each(TABLE)('%s: %s, %s credits for $%s', async (packId, title, credits, amount) => {
    const customer = await Customer.open(scrip, 'verts');
    const { packs } = await scrip.accounts.listPacks({ accountId: customer.accountId });
    expect(packs.find(({ pack }) => pack?.packId === packId)?.pack).toMatchObject({
      title,
      credits,
      price: usd(amount),
    });
    const { purchase, balance } = await customer.buy(packId);
    expect([purchase?.price, balance?.remaining]).toEqual([usd(amount), credits]);
  });

  test('are no others', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'verts' });
    expect(plan?.packs.map(({ packId }) => packId)).toEqual(TABLE.map(([packId]) => packId));
  });
});

describe('operation costs', () => {
  test.each<[string, readonly [Usage, bigint][]]>([
    ['file inspection: 1 credit', [[INSPECT, 1n]]],
    [
      'image resize: 2 to 5 credits, by output size',
      [
        [resize(1n), 2n],
        [resize(100_000_000n), 5n],
      ],
    ],
    [
      'image upscale: 10 to 50 credits, by scale factor',
      [
        [upscale(2n), 10n],
        [upscale(16n), 50n],
      ],
    ],
    [
      'format conversion: 2 to 10 credits, by output format',
      [
        [convert('txt'), 2n],
        [convert('mp4'), 10n],
      ],
    ],
  ])('%s', async (_, ends) => {
    const customer = await open();
    for (const [usage, credits] of ends) expect(await customer.costOf(usage)).toBe(credits);
  });

  test('stay within these ranges, and never fall as the input grows', async () => {
    const customer = await open();
    const prices = async (usages: Usage[]) =>
      (await customer.estimate(...usages)).lines.map(({ credits }) => credits);
    const sizes = Array.from({ length: 1_000 }, (_, index) => BigInt(index + 1) * 100_000n);
    const factors = Array.from({ length: 15 }, (_, index) => BigInt(index + 2));
    for (const [priced, from, to] of [
      [await prices(sizes.map(resize)), 2n, 5n],
      [await prices(factors.map((factor) => upscale(factor))), 10n, 50n],
    ] as const) {
      expect(priced).toEqual(priced.toSorted((a, b) => Number(a - b)));
      expect([priced[0], priced.at(-1)]).toEqual([from, to]);
    }
    const { rateCard } = await scrip.plans.getPlan({ planId: 'verts' });
    const conversion = rateCard?.operations.find(({ operation }) => operation === 'file.convert');
    const converted = await prices(defined(conversion?.attributes[0]).values.map(convert));
    expect(converted.filter((credits) => credits < 2n || credits > 10n)).toEqual([]);
  });

  test('can be read before an operation: the charge is the same', async () => {
    const customer = await open();
    const usages = { items: [upscale(5n, 3n), convert('docx'), resize(4_000_001n), INSPECT] };
    const { credits, rateCardVersion } = await customer.estimate(...usages.items);
    expect(await customer.remaining()).toBe(5_000n);
    const charged = await scrip.billing.charge({ ...customer.mutation(), usages, rateCardVersion });
    expect(charged.credits).toBe(credits);
    expect(credits).toBe(3n * 35n + 8n + 4n + 1n);
  });
});

describe('managing credits', () => {
  test('the balance: 4,500 credits, no warning', async () => {
    const customer = await open();
    await customer.charge(upscale(16n, 10n));
    expect(await customer.balance()).toMatchObject({ remaining: 4_500n, lowBalance: false });
  });

  test('buying in the dashboard: packs are listed, and one is paid by invoice', async () => {
    const customer = await Customer.open(scrip, 'verts');
    const { packs } = await scrip.accounts.listPacks({ accountId: customer.accountId });
    expect(packs.map(({ custom }) => custom)).toEqual([false, false, false, false]);
    const { balance } = await customer.buy(defined(packs[1]?.pack).packId, 'invoice-18');
    expect(balance?.remaining).toBe(5_000n);
  });

  test('buying by API: a checkout is created, and its payment grants the pack once', async () => {
    const customer = await Customer.open(scrip, 'verts');
    const purchase = await buyByCheckout(scrip, customer.accountId, 'standard');
    expect(purchase).toMatchObject({ state: Purchase_State.PENDING, price: usd('20.00') });
    expect(purchase.checkoutUrl).toBe(stripe.sessionOf(purchase.purchaseId).url);
    expect(await customer.remaining()).toBe(0n);
    await payAtCheckout(purchase.purchaseId);
    const again = stripe.event('checkout.session.completed', stripe.sessionOf(purchase.purchaseId));
    expect(await deliver(scrip.service.webhookPort, again)).toBe(200);
    expect(await customer.remaining()).toBe(5_000n);
    expect((await purchaseNow(scrip, purchase)).state).toBe(Purchase_State.PAID);
  });

  test('the transaction history: every purchase and usage, with the balance after it', async () => {
    const customer = await open();
    await customer.charge(upscale(2n));
    await customer.commit(await customer.reserve(convert('pdf')));
    const entries = await customer.history();
    expect(
      entries.map(({ kind, credits, remainingAfter, caller }) => [
        kind,
        credits,
        remainingAfter,
        caller,
      ]),
    ).toEqual([
      [Entry_Kind.OPEN_ACCOUNT, 0n, 0n, 'test'],
      [Entry_Kind.PURCHASE, 5_000n, 5_000n, 'test'],
      [Entry_Kind.CHARGE, 10n, 4_990n, 'test'],
      [Entry_Kind.RESERVE, 6n, 4_990n, 'test'],
      [Entry_Kind.COMMIT, 6n, 4_984n, 'test'],
    ]);
    const rest = await entriesOf(scrip, customer.accountId, { afterSeq: 2n });
    expect(rest).toEqual(entries.slice(2));
  });
});

describe('a low balance', () => {
  test('is flagged in the balance below 500 credits, not at 500', async () => {
    const customer = await open();
    await spendDownTo(customer, 500n);
    expect((await customer.balance()).lowBalance).toBe(false);
    await customer.charge(INSPECT);
    expect((await customer.balance()).lowBalance).toBe(true);
    await customer.buy('starter');
    expect((await customer.balance()).lowBalance).toBe(false);
  });

  test('sends followers of events one alert until the balance has recovered', async () => {
    const customer = await open();
    const { accountId } = customer;
    const types = ['balance.low', 'balance.recovered'];
    const seen: Event[] = [];
    const following = (async () => {
      for await (const { events } of scrip.events.streamEvents({
        accountId,
        types,
        follow: true,
      })) {
        seen.push(...events);
        if (seen.length >= 3) return;
      }
    })();
    await spendDownTo(customer, 499n);
    await customer.charge(INSPECT);
    await customer.buy('starter');
    await spendDownTo(customer, 10n);
    await following;
    expect(seen.map(({ type, data }) => [type, Object.fromEntries(data)])).toEqual([
      ['balance.low', { level: '500', usable: '499', threshold: '500' }],
      ['balance.recovered', { level: '500', usable: '1498', threshold: '500' }],
      ['balance.low', { level: '500', usable: '10', threshold: '500' }],
    ]);
  });

  const TOP_UP = {
    packId: 'standard',
    threshold: 500n,
    monthlyCap: 2,
    customer: 'cus_1',
    paymentMethod: 'pm_1',
  };

  /** A customer with a low balance, with or without auto top-up. */
  async function customerWithLowBalance(autoTopUp: object): Promise<Customer> {
    const customer = await open();
    await scrip.accounts.updateAccount({ ...customer.mutation(), autoTopUp });
    await spendDownTo(customer, 499n);
    return customer;
  }

  const dueAt = async ({ accountId }: Customer) =>
    (await scrip.accounts.getAccount({ accountId })).account?.topUpDueAt;

  test('makes an automatic purchase due only if the customer switched it on', async () => {
    const without = await customerWithLowBalance({});
    expect([await dueAt(without), (await without.purchases()).length]).toEqual([undefined, 1]);
    const customer = await customerWithLowBalance({ autoTopUp: TOP_UP });
    const { account } = await scrip.accounts.getAccount({ accountId: customer.accountId });
    expect(account?.autoTopUp).toMatchObject(TOP_UP);
    expect(defined(account?.topUpDueAt).getTime()).toBeLessThanOrEqual(scrip.now());
  });

  test('causes an automatic purchase, paid with the saved payment method', async () => {
    const customer = await customerWithLowBalance({ autoTopUp: TOP_UP });
    await scrip.service.topUp();
    await expect.poll(() => customer.remaining()).toBe(5_499n);
    const [topUp, ...before] = await customer.purchases();
    expect(topUp).toMatchObject({
      method: Purchase_Method.TOP_UP,
      state: Purchase_State.PAID,
      price: usd('20.00'),
    });
    expect(stripe.intentOf(defined(topUp).purchaseId)).toMatchObject({ amount: 2_000 });
    await scrip.service.topUp();
    expect(await customer.purchases()).toHaveLength(before.length + 1);
  });

  test('pauses work that is not critical until credits are bought', async () => {
    const customer = await open();
    await scrip.accounts.updateAccount({ ...customer.mutation(), pauseFloor: { credits: 300n } });
    const reserve = (criticality: Criticality) =>
      scrip.billing.reserve({
        ...customer.mutation(),
        usages: { items: [upscale(2n)] },
        criticality,
      });
    await spendDownTo(customer, 299n);
    expect(await errorOf(reserve(Criticality.SHEDDABLE))).toMatchObject({
      reason: 'PAUSED_BELOW_FLOOR',
      metadata: { available: '299', floor: '300' },
    });
    expect((await reserve(Criticality.CRITICAL)).reservation?.held).toBe(10n);
    await customer.buy('starter');
    expect((await reserve(Criticality.SHEDDABLE)).reservation?.held).toBe(10n);
  });
});

describe('failed operations', () => {
  test('only success is charged: seven of ten jobs if three fail', async () => {
    const customer = await open();
    for (let job = 0; job < 10; job++) {
      const reserved = await customer.reserve(upscale(2n));
      await (job % 4 === 1 ? customer.release(reserved) : customer.commit(reserved));
    }
    expect(await customer.balance()).toMatchObject({ remaining: 4_930n, reserved: 0n });
  });

  test('before processing: nothing is deducted', async () => {
    const customer = await open();
    await customer.estimate(upscale(8n));
    expect(await customer.balance()).toMatchObject({ available: 5_000n, seq: 2n });
  });

  test('during processing: reserved or charged credits are returned', async () => {
    const customer = await open();
    await customer.release(await customer.reserve(upscale(8n)));
    expect(await customer.balance()).toMatchObject({ available: 5_000n, reserved: 0n });
    const { entrySeq: seq } = await customer.charge(upscale(8n));
    expect(
      (await scrip.billing.refund({ reason: 'a test', ...customer.mutation(), seq, all: true }))
        .refunded,
    ).toBe(35n);
    expect(await customer.remaining()).toBe(5_000n);
  });

  test('invalid input: nothing is deducted', async () => {
    const customer = await open();
    for (const bad of [upscale(17n), resize(0n), convert('exe'), { operation: 'image.paint' }])
      expect((await errorOf(customer.reserve(bad))).code).toBe(3);
    expect(await customer.balance()).toMatchObject({ available: 5_000n, seq: 2n });
  });
});

describe('asynchronous operations', () => {
  test('1: submitted: the job’s credits are held', async () => {
    const customer = await open();
    const { state, held } = await customer.reserve(upscale(8n));
    expect([state, held]).toEqual([Reservation_State.ACTIVE, 35n]);
    expect(await customer.balance()).toMatchObject({
      remaining: 5_000n,
      reserved: 35n,
      available: 4_965n,
    });
  });

  test('2: processing: they stay held, whatever else is requested', async () => {
    const customer = await open();
    const { reservationId } = await customer.reserve(upscale(8n));
    for (let minutes = 0; minutes < 180; minutes += 10) {
      const ttl = { seconds: 900n, nanos: 0 };
      await scrip.billing.extendReservation({ ...customer.mutation(), reservationId, ttl });
      scrip.advance(10 * MINUTE);
    }
    expect((await errorOf(customer.charge(upscale(16n, 100n)))).metadata).toMatchObject({
      available: '4965',
    });
    expect((await customer.balance()).reserved).toBe(35n);
  });

  test('3: success: they are committed', async () => {
    const customer = await open();
    const { committed, reservation } = await customer.commit(await customer.reserve(upscale(8n)));
    expect([committed, reservation?.state]).toEqual([35n, Reservation_State.COMMITTED]);
    const charged = { remaining: 4_965n, reserved: 0n, available: 4_965n };
    expect(await customer.balance()).toMatchObject(charged);
  });

  test('4: failure: they are released to the balance', async () => {
    const customer = await open();
    const { released, reservation } = await customer.release(await customer.reserve(upscale(8n)));
    expect([released, reservation?.state]).toEqual([35n, Reservation_State.RELEASED]);
    const returned = { remaining: 5_000n, reserved: 0n, available: 5_000n };
    expect(await customer.balance()).toMatchObject(returned);
  });
});

test('verify finds nothing', async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});

// Promises that are not for a billing service:
// - "Skip to main content" and the settings of the dashboard: navigation.
// - The HTTP paths and the bearer key of the examples: Verts' own API, which returns to its customers
//   what Scrip returns to it.
