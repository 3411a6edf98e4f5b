/** Credits that are bought in any number, at rates per credit. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { balanceOf, defined, storedRows } from '../accounts.ts';
import { CHECKOUT, expectLedger, purchaseNow } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const PLAN = planIn(`
plan_id: by-credit
title: By credit
terms: {}
packs:
  - { pack_id: starter, title: Starter, credits: 100, price: 10.00 USD, validity: never }
custom_amounts:
  - pack_id: credits
    title: credit
    minimum: 100
    maximum: 100000
    rates:
      mode: graduated
      currency: USD
      tiers: [{ up_to: 1000, price: "0.02" }, { price: "0.0155" }]
    validity: 12 months
operations:
  page.read: { title: Read, billable: true, quantities: {}, components: [{ kind: flat, label: Page, credits: 1 }] }
`);

const NOW = Date.UTC(2026, 10, 20);

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env, plans: [PLAN], frozenAt: NOW });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const open = () => scrip.open('by-credit');
const buy = (accountId: string, more: object) =>
  scrip.billing.purchase({
    accountId,
    requestId: requestId(),
    packId: 'credits',
    payment: { $case: 'paymentReference', value: requestId() },
    ...more,
  });
const usd = (amount: string) => ({ currency: 'USD', amount });

describe('A custom amount', () => {
  test('is listed with its rates, by ListPacks and GetPlan', async () => {
    const { customAmounts, packs } = await scrip.accounts.listPacks({ accountId: await open() });
    expect(packs.map(({ pack }) => pack?.packId)).toEqual(['starter']);
    expect(customAmounts).toEqual([
      {
        packId: 'credits',
        title: 'credit',
        minimum: 100n,
        maximum: 100_000n,
        rates: {
          mode: 1,
          currency: 'USD',
          tiers: [
            { upTo: 1_000n, unitPrice: '0.02' },
            { upTo: undefined, unitPrice: '0.0155' },
          ],
        },
        validity: { length: { $case: 'months', value: 12 } },
      },
    ]);
    const { plan } = await scrip.plans.getPlan({ planId: 'by-credit' });
    expect(plan?.customAmounts).toEqual(customAmounts);
  });

  test('costs what EstimatePurchase says, tier by tier, and grants the credits asked for', async () => {
    const accountId = await open();
    const estimate = await scrip.billing.estimatePurchase({
      accountId,
      packId: 'credits',
      credits: 1_501n,
    });
    expect(estimate).toMatchObject({
      credits: 1_501n,
      price: usd('27.77'),
      pricePerCredit: usd('0.018500999'),
      lines: [
        { tier: 1, quantity: 1_000n, unitPrice: '0.02', amount: usd('20.00') },
        { tier: 2, quantity: 501n, unitPrice: '0.0155', amount: usd('7.77') },
      ],
    });
    const { purchase, grant } = await buy(accountId, { credits: 1_501n });
    expect(purchase).toMatchObject({
      packId: 'credits',
      title: '1501 × credit',
      quantity: 1,
      credits: 1_501n,
      price: usd('27.77'),
      pricePerCredit: estimate.pricePerCredit,
    });
    expect(grant).toMatchObject({ amount: 1_501n, expiresAt: estimate.expiresAt });
    await expectLedger(scrip, accountId, ['PURCHASE']);
  });

  test('is paid at the checkout in one line, and clawed back by the share that is refunded', async () => {
    const accountId = await open();
    const { purchase } = await buy(accountId, { credits: 1_500n, payment: CHECKOUT });
    const { purchaseId } = defined(purchase);
    const session = stripe.sessionOf(purchaseId);
    expect(session).toMatchObject({ amount_total: 2_775, currency: 'usd', title: '1500 × credit' });
    const tell = (type: string, object: object) =>
      deliver(scrip.service.webhookPort, stripe.event(type, object));
    stripe.pay(session.id);
    await tell('checkout.session.completed', stripe.session(session.id));
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 1_500n });
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1_000n });
    const refunded = stripe.refund(stripe.intentOf(purchaseId).id, 1_850);
    await tell('charge.refunded', refunded);
    // Two thirds of the money: 1,000 of the credits, of which 500 were left.
    expect(await purchaseNow(scrip, defined(purchase))).toMatchObject({
      creditsClawedBack: 500n,
      creditsUnrecovered: 500n,
      creditsOwed: 500n,
    });
  });

  test.each([
    ['without credits', {}, 'credits', 'is required: credits is sold by the credit, 100 to 100000'],
    ['below its minimum', { credits: 99n }, 'credits', 'must be 100 to 100000'],
    ['above its maximum', { credits: 100_001n }, 'credits', 'must be 100 to 100000'],
    ['with a quantity', { credits: 100n, quantity: 1 }, 'quantity', 'is of packs'],
    ['of a pack', { packId: 'starter', credits: 100n }, 'credits', 'must not be set: pack starter'],
  ])('%s is refused, and nothing is written', async (_, more, field, message) => {
    const accountId = await open();
    const rows = await storedRows(scrip, accountId);
    const expected = {
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      metadata: { field },
      message: expect.stringContaining(message),
    };
    expect(await errorOf(buy(accountId, more))).toMatchObject(expected);
    const asked = { accountId, packId: 'credits', ...more };
    expect(await errorOf(scrip.billing.estimatePurchase(asked))).toMatchObject(expected);
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });
});

describe('a refusal', () => {
  const charge = (accountId: string, credits: bigint) =>
    scrip.billing.charge({ accountId, requestId: requestId(), credits });

  test('offers the cheapest that covers, which can be bought as it says', async () => {
    const accountId = await open();
    const error = await errorOf(charge(accountId, 120n));
    expect(error.message).toMatch(
      /: 120 are missing; the best offer is 120 credits of custom amount credits for 2.40 USD$/,
    );
    expect(error.metadata).toEqual({
      ...{ required: '120', available: '0', shortfall: '120' },
      ...{ best_pack: 'credits', best_credits: '120', best_quantity: '1', best_price: '2.40 USD' },
    });
    const offers = defined(error.insufficientCredits?.offers);
    expect(offers).toMatchObject([
      {
        pack: { packId: 'credits', title: '120 × credit', credits: 120n, price: usd('2.40') },
        ...{ quantity: 1n, price: usd('2.40'), credits: 120n },
      },
      { pack: { packId: 'starter' }, quantity: 2n, price: usd('20.00'), credits: undefined },
    ]);
    const usages = { items: [{ operation: 'page.read', count: 120n }] };
    expect((await scrip.billing.estimate({ accountId, usages })).packs).toEqual(offers);
    const [{ pack, credits } = {}] = offers;
    await buy(accountId, { packId: pack?.packId, credits });
    expect((await charge(accountId, 120n)).balance?.available).toBe(0n);
  });

  test('offers none of it where one purchase cannot have so many', async () => {
    const error = await errorOf(charge(await open(), 100_001n));
    expect(error.metadata).toMatchObject({ best_pack: 'starter', best_quantity: '1001' });
    expect(error.metadata).not.toHaveProperty('best_credits');
  });
});

describe('EstimatePurchase', () => {
  test('tells the price of several packs, also of those offered to one account', async () => {
    const accountId = await open();
    const request = { accountId, packId: 'starter', quantity: 3 };
    expect(await scrip.billing.estimatePurchase(request)).toEqual({
      credits: 300n,
      price: usd('30.00'),
      pricePerCredit: usd('0.10'),
      lines: [],
      expiresAt: undefined,
    });
    const pack = { packId: 'own', title: 'Own', credits: 50n, price: usd('4.00') };
    await scrip.accounts.offerPack({ accountId, requestId: requestId(), pack });
    const own = await scrip.billing.estimatePurchase({ accountId, packId: 'own' });
    expect(own).toMatchObject({ credits: 50n, price: usd('4.00') });
  });

  test('names the nearest pack where there is none', async () => {
    const request = { accountId: await open(), packId: 'startr' };
    expect(await errorOf(scrip.billing.estimatePurchase(request))).toMatchObject({
      reason: 'PACK_NOT_FOUND',
      metadata: { pack_id: 'startr', nearest: 'starter' },
    });
  });

  test('is named where something is bought that there is not', async () => {
    const bought = async (packId: string) => errorOf(buy(await open(), { packId }));
    expect(await bought('credts')).toMatchObject({ metadata: { nearest: 'credits' } });
    expect((await bought('gold')).message).toMatch(/; there are starter, credits$/);
  });

  test('a pack cannot be offered under the id of a custom amount', async () => {
    const pack = { packId: 'credits', title: 'Own', credits: 50n, price: usd('4.00') };
    const request = { accountId: await open(), requestId: requestId(), pack };
    expect(await errorOf(scrip.accounts.offerPack(request))).toMatchObject({
      reason: 'PACK_EXISTS',
    });
  });
});
