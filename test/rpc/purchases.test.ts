/** GetPurchase, ListPurchases, and packs that are offered to one account. */

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf, DAY, defined, entriesOf, storedRows } from '../accounts.ts';
import { buyByCheckout, purchaseNow } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

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

const buy = async (accountId: string, packId: string) => {
  const payment = { $case: 'paymentReference' as const, value: requestId() };
  const request = { accountId, requestId: requestId(), packId, payment };
  return defined((await scrip.billing.purchase(request)).purchase);
};

describe('Purchase of several packs', () => {
  const ask = (accountId: string, quantity: number, id = requestId()) =>
    scrip.billing.purchase({
      accountId,
      requestId: id,
      packId: 'starter',
      quantity,
      payment: { $case: 'paymentReference', value: `invoice ${id}` },
    });

  test('grants them as one', async () => {
    const accountId = await scrip.open('verts');
    const { purchase, balance, grant } = await ask(accountId, 1_000);
    expect(purchase).toMatchObject({
      quantity: 1_000,
      credits: 1_000_000n,
      price: { amount: '5000.00' },
    });
    expect([balance?.available, grant?.amount]).toEqual([1_000_000n, 1_000_000n]);
    expect(await purchaseNow(scrip, defined(purchase))).toMatchObject({
      quantity: 1_000,
      pricePerCredit: { currency: 'USD', amount: '0.005' },
    });
  });

  test.each([0, -1, 1_001])('is refused for %i of them, and buys nothing', async (quantity) => {
    const accountId = await scrip.open('verts');
    expect(await errorOf(ask(accountId, quantity))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['quantity'],
    });
    expect((await scrip.billing.listPurchases({ accountId })).purchases).toEqual([]);
  });

  test('under the same request id is another request for another number', async () => {
    const accountId = await scrip.open('verts');
    const id = requestId();
    const { purchase } = await ask(accountId, 2, id);
    expect((await ask(accountId, 2, id)).purchase).toEqual(purchase);
    expect(await errorOf(ask(accountId, 3, id))).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
  });
});

describe('GetPurchase', () => {
  test('returns the unspent credits of a pack, its expiry and its price per credit', async () => {
    const accountId = await scrip.open('perfectparser');
    const purchase = await buy(accountId, 'starter');
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 50n });
    await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 10n });
    expect(await purchaseNow(scrip, purchase)).toEqual({
      ...purchase,
      remaining: 50n,
      pricePerCredit: { currency: 'USD', amount: '0.19' },
    });
  });

  test('returns no unspent credits for a spent or expired pack, settled or not', async () => {
    const accountId = await scrip.open('verts');
    const purchase = await buy(accountId, 'starter');
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1_000n });
    expect((await purchaseNow(scrip, purchase)).remaining).toBe(0n);
    const other = await scrip.open('perfectparser');
    const expiring = await buy(other, 'starter');
    scrip.advance(400 * DAY);
    const after = await purchaseNow(scrip, expiring);
    expect(after).toMatchObject({ remaining: 0n, expiresAt: expiring.expiresAt });
    await scrip.service.sweep();
    expect(await purchaseNow(scrip, expiring)).toEqual(after);
  });

  test('fails for purchases of other accounts', async () => {
    const { purchaseId } = await buy(await scrip.open('verts'), 'starter');
    const accountId = await scrip.open('verts');
    expect(await errorOf(scrip.billing.getPurchase({ accountId, purchaseId }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'PURCHASE_NOT_FOUND',
      metadata: { purchase_id: purchaseId },
    });
    const nobody = scrip.billing.getPurchase({ accountId: 'nobody', purchaseId });
    expect((await errorOf(nobody)).reason).toBe('ACCOUNT_NOT_FOUND');
    const bad = scrip.billing.getPurchase({ accountId, purchaseId: 'x' });
    expect(await errorOf(bad)).toMatchObject({ fields: ['purchase_id'] });
  });
});

describe('ListPurchases', () => {
  test('lists purchases in the given states, newest first, page by page', async () => {
    const accountId = await scrip.open('verts');
    const made: string[] = [];
    for (let i = 0; i < 5; i++) {
      scrip.advance(1_000);
      made.unshift((await buy(accountId, 'starter')).purchaseId);
    }
    scrip.advance(1_000);
    const pending = await buyByCheckout(scrip, accountId);
    const list = async (states: Purchase_State[]) => {
      const ids: string[] = [];
      let pageToken = '';
      do {
        const page = await scrip.billing.listPurchases({
          accountId,
          states,
          pageSize: 2,
          pageToken,
        });
        ids.push(...page.purchases.map(({ purchaseId }) => purchaseId));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      return ids;
    };
    expect(await list([])).toEqual([pending.purchaseId, ...made]);
    expect(await list([Purchase_State.PAID])).toEqual(made);
    expect(await list([Purchase_State.PENDING, Purchase_State.FAILED])).toEqual([
      pending.purchaseId,
    ]);
    const { purchases } = await scrip.billing.listPurchases({ accountId, pageSize: 1 });
    expect(purchases).toEqual([pending]);
  });

  test('refuses page tokens of other lists and unknown states', async () => {
    const accountId = await scrip.open('verts');
    for (let i = 0; i < 2; i++) await buy(accountId, 'starter');
    const page = await scrip.billing.listPurchases({ accountId, pageSize: 1 });
    const states = [Purchase_State.PAID];
    const other = scrip.billing.listPurchases({ accountId, states, pageToken: page.nextPageToken });
    expect(await errorOf(other)).toMatchObject({ fields: ['page_token'] });
    const unknown = scrip.billing.listPurchases({
      accountId,
      states: [Purchase_State.UNSPECIFIED],
    });
    expect(await errorOf(unknown)).toMatchObject({ fields: ['states'] });
    const nobody = scrip.billing.listPurchases({ accountId: 'nobody' });
    expect((await errorOf(nobody)).reason).toBe('ACCOUNT_NOT_FOUND');
  });
});

const OWN = {
  packId: 'negotiated',
  title: 'For Acme alone',
  credits: 50_000n,
  price: { currency: 'USD', amount: '1999.00' },
  validity: { length: { $case: 'months' as const, value: 24 } },
};

const offer = (accountId: string, change: object = {}) =>
  scrip.accounts.offerPack({ accountId, requestId: requestId(), pack: { ...OWN, ...change } });

const packsOf = async (accountId: string) => {
  const { packs } = await scrip.accounts.listPacks({ accountId });
  return packs.map(({ pack, custom }) => `${defined(pack).packId}${custom ? ' (custom)' : ''}`);
};

describe('a custom pack', () => {
  test('is offered, listed, bought and withdrawn for one account', async () => {
    const accountId = await scrip.open('verts');
    const plans = await packsOf(accountId);
    expect(await offer(accountId)).toEqual({ pack: OWN, entrySeq: 2n });
    expect(await packsOf(accountId)).toEqual([...plans, 'negotiated (custom)']);
    const { packs } = await scrip.accounts.listPacks({ accountId });
    expect(packs.at(-1)).toEqual({ pack: OWN, custom: true });
    const purchase = await buy(accountId, 'negotiated');
    expect(purchase).toMatchObject({
      credits: 50_000n,
      price: OWN.price,
      pricePerCredit: { currency: 'USD', amount: '0.03998' },
      title: OWN.title,
    });
    const { checkoutUrl, purchaseId } = await buyByCheckout(scrip, accountId, 'negotiated');
    expect(checkoutUrl).not.toBe('');

    const request = { accountId, packId: 'negotiated' };
    const withdrawn = await scrip.accounts.withdrawPack({ ...request, requestId: requestId() });
    // 3 is the PURCHASE and 4 the CHECKOUT.
    expect(withdrawn).toEqual({ pack: OWN, entrySeq: 5n });
    const rows = await storedRows(scrip, accountId);
    expect(await scrip.accounts.withdrawPack({ ...request, requestId: requestId() })).toEqual({
      pack: OWN,
      entrySeq: 0n,
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    expect(await entriesOf(scrip, accountId, { afterSeq: 1n })).toMatchObject([
      {
        kind: Entry_Kind.OFFER_PACK,
        details: mapOf({
          pack_id: 'negotiated',
          title: OWN.title,
          credits: '50000',
          amount: '1999.00',
          currency: 'USD',
          validity: '24 months',
        }),
      },
      { kind: Entry_Kind.PURCHASE },
      {
        kind: Entry_Kind.CHECKOUT,
        purchaseId,
        details: mapOf({
          pack_id: 'negotiated',
          title: OWN.title,
          quantity: '1',
          credits: '50000',
          amount: '1999.00',
          currency: 'USD',
          validity: '24 months',
          method: 'CHECKOUT',
          customer_email: 'buyer@example.com',
        }),
      },
      { kind: Entry_Kind.WITHDRAW_PACK, details: mapOf({ pack_id: 'negotiated' }) },
    ]);
    expect(await packsOf(accountId)).toEqual(plans);
    expect((await errorOf(buy(accountId, 'negotiated'))).reason).toBe('PACK_NOT_FOUND');
    expect((await errorOf(buy(await scrip.open('verts'), 'negotiated'))).reason).toBe(
      'PACK_NOT_FOUND',
    );
    expect((await balanceOf(scrip, accountId)).remaining).toBe(50_000n);
  });

  test('can be offered again on other terms after it was withdrawn', async () => {
    const accountId = await scrip.open('verts');
    await offer(accountId, { validity: undefined });
    await scrip.accounts.withdrawPack({ accountId, requestId: requestId(), packId: 'negotiated' });
    await offer(accountId, { credits: 7n });
    expect(await buy(accountId, 'negotiated')).toMatchObject({ credits: 7n });
  });

  test('must not have the id of another pack of the account', async () => {
    const accountId = await scrip.open('verts');
    await offer(accountId);
    for (const packId of ['starter', 'negotiated'])
      expect(await errorOf(offer(accountId, { packId }))).toMatchObject({
        code: status.ALREADY_EXISTS,
        reason: 'PACK_EXISTS',
        metadata: { pack_id: packId },
      });
  });

  test('is offered by Estimate with the packs of the plan', async () => {
    const accountId = await scrip.open('verts');
    await offer(accountId, { credits: 100n, price: { currency: 'USD', amount: '0.50' } });
    const usages = {
      items: [{ operation: 'image.upscale', quantities: mapOf({ scale_factor: 2n }) }],
    };
    const { packs } = await scrip.billing.estimate({ accountId, usages });
    expect(packs[0]).toMatchObject({ pack: { packId: 'negotiated' }, quantity: 1n });
    expect(packs.length).toBeGreaterThan(1);
  });

  test.each([
    ['pack.pack_id', { packId: '' }],
    ['pack.title', { title: '' }],
    ['pack.credits', { credits: 0n }],
    ['pack.price', { price: undefined }],
    ['pack.price', { price: { currency: 'USD', amount: '1.999' } }],
    ['pack.price', { price: { currency: 'USD', amount: '-1.00' } }],
    ['pack.price', { price: { currency: 'USD', amount: '0.00' } }],
    ['pack.price', { price: { currency: 'usd', amount: '1.00' } }],
    ['pack.price', { price: { currency: 'USD', amount: '999999999999.00' } }],
    ['pack.price', { price: { currency: 'USD', amount: '1000000.00' } }],
    ['pack.price', { price: { currency: 'USD', amount: '0.49' } }],
    ['pack.price', { price: { currency: 'UDS', amount: '5.00' } }],
    ['pack.price', { price: { currency: 'ZZZ', amount: '5.00' } }],
    ['pack.price', { price: { currency: 'KWD', amount: '5.125' } }],
    ['pack.price', { price: { currency: 'JPY', amount: '1.50' } }],
    ['pack.validity', { validity: { length: { $case: 'days', value: 0 } } }],
    ['pack.validity', { validity: { length: { $case: 'months', value: 10_000 } } }],
    ['pack.validity', { validity: {} }],
  ])('with an invalid %s is refused, and nothing is written', async (field, change) => {
    const accountId = await scrip.open('verts');
    const rows = await storedRows(scrip, accountId);
    expect(await errorOf(offer(accountId, change))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      fields: [field],
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('is required', async () => {
    const accountId = await scrip.open('verts');
    const nothing = scrip.accounts.offerPack({ accountId, requestId: requestId() });
    expect((await errorOf(nothing)).fields).toContain('pack');
  });
});
