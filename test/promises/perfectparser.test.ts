/** The promises of PerfectParser's page on credits and billing, one test each, through gRPC. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import { defined } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import { Customer, noon, type Usage, usd } from './customer.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const open = () => Customer.open(scrip, 'perfectparser');

async function openOn(year: number, month: number, day = 10): Promise<Customer> {
  scrip.setNow(noon(year, month, day));
  return await open();
}

const pages = (operation: string, each: bigint, count = 1n): Usage => ({
  operation,
  quantities: mapOf({ pages: each }),
  count,
});
const perFile = (each: bigint, count = 1n) => pages('extraction.result_per_file', each, count);
const perPage = (each: bigint) => pages('extraction.result_per_page', each);
const sample = (each: bigint) => pages('parser.sample_upload', each);
const image: Usage = { operation: 'extraction.image' };

/** 100 credits. */
const BATCH = perFile(2n, 50n);

describe('pay as you go', () => {
  test('a pack is bought once, used over any time, then topped up', async () => {
    const customer = await openOn(2030, 1);
    await customer.buy('starter');
    for (const [month, each] of [
      [2, 60n],
      [7, 40n],
    ] as const) {
      scrip.setNow(noon(2030, month, 10));
      await customer.charge(perFile(each));
    }
    scrip.setNow(noon(2030, 9, 10));
    await customer.buy('small');
    expect(await customer.remaining()).toBe(20n + 250n);
  });

  test('there is no subscription: no credits arrive by themselves', async () => {
    const customer = await openOn(2030, 1);
    scrip.setNow(noon(2032, 1, 10));
    expect(await customer.balance()).toMatchObject({ remaining: 20n, nextAllowance: undefined });
    expect((await customer.history()).map(({ kind }) => kind)).toEqual([
      Entry_Kind.OPEN_ACCOUNT,
      Entry_Kind.GRANT,
    ]);
  });

  test('there is no monthly fee: no month has a statement with a total', async () => {
    const customer = await openOn(2030, 1);
    await customer.buy('starter');
    await customer.charge(perFile(30n));
    scrip.setNow(noon(2030, 6, 10));
    await scrip.service.sweep();
    expect(await customer.statements()).toEqual([]);
    const january = await customer.statement('2030-01');
    expect([january.overage, january.total]).toEqual([0n, undefined]);
  });

  test('there is no automatic renewal: nothing is bought again', async () => {
    const customer = await openOn(2030, 1);
    await customer.buy('starter');
    await customer.charge(perFile(110n));
    scrip.setNow(noon(2031, 2, 10));
    await scrip.service.sweep();
    expect(await customer.purchases()).toHaveLength(1);
    expect(await customer.remaining()).toBe(10n);
    const { account } = await scrip.accounts.getAccount({ accountId: customer.accountId });
    expect(account?.autoTopUp).toBeUndefined();
  });
});

describe('a page credit', () => {
  test('processes one page', async () => {
    const customer = await open();
    expect(await customer.costOf(perFile(1n))).toBe(1n);
  });

  test.each<[string, Usage, bigint]>([
    ['a 1-page invoice: 1 credit', perFile(1n), 1n],
    ['a 10-page contract: 10 credits', perFile(10n), 10n],
    ['a PNG image of a receipt: 1 credit', image, 1n],
    ['a batch of 50 invoices of 2 pages: 100 credits', BATCH, 100n],
  ])('%s', async (_, usage, credits) => {
    const customer = await open();
    await customer.buy('starter');
    expect(await customer.costOf(usage)).toBe(credits);
  });

  test.each([1n, 3n, 17n])(
    'is used for each page of a sample for a new parser: %s',
    async (each) => {
      const customer = await open();
      expect(await customer.costOf(sample(each))).toBe(each);
    },
  );
});

describe('the two modes', () => {
  test.each<[string, Usage]>([
    ['one result per file', perFile(6n)],
    ['one result per page', perPage(6n)],
  ])('%s costs one credit a page', async (_, usage) => {
    const customer = await open();
    expect(await customer.costOf(usage)).toBe(6n);
  });

  test('a 5-page invoice with one result per file uses 5 credits', async () => {
    const customer = await open();
    expect(await customer.costOf(perFile(5n))).toBe(5n);
    const entries = await customer.history();
    expect(entries.at(-1)).toMatchObject({ usages: [{ usage: { count: 1n }, credits: 5n }] });
  });

  test('a 12-page bank statement with one result per page uses 12 credits', async () => {
    const customer = await open();
    expect(await customer.costOf(perPage(12n))).toBe(12n);
  });

  test('the cost is shown before a batch starts and does not change', async () => {
    const customer = await open();
    await customer.buy('starter');
    const shown = await customer.estimate(BATCH, image);
    expect(shown).toMatchObject({ credits: 101n, sufficient: true, shortfall: 0n, packs: [] });
    expect(shown.lines.map(({ credits }) => credits)).toEqual([100n, 1n]);
    expect(await customer.balance()).toMatchObject({ remaining: 120n, reserved: 0n });
    const batch = await customer.reserve(BATCH, image);
    expect((await customer.commit(batch)).committed).toBe(shown.credits);
    expect(await customer.remaining()).toBe(19n);
  });
});

describe('the free trial', () => {
  test('every new account has 20 page credits, without any payment', async () => {
    const customer = await open();
    expect(await customer.remaining()).toBe(20n);
    expect(await customer.purchases()).toEqual([]);
  });

  test('is enough to try documents before buying', async () => {
    const customer = await open();
    expect(await customer.costOf(sample(2n), perFile(5n), perPage(12n), image)).toBe(20n);
    expect(await customer.purchases()).toEqual([]);
    expect((await errorOf(customer.charge(image))).reason).toBe('INSUFFICIENT_CREDITS');
  });
});

describe('credit packs', () => {
  const TABLE = [
    ['starter', 'Starter', 100n, '19.00', '0.190'],
    ['small', 'Small', 250n, '39.00', '0.156'],
    ['medium', 'Medium', 500n, '59.00', '0.118'],
    ['popular', 'Popular', 1_000n, '99.00', '0.099'],
    ['growth', 'Growth', 2_500n, '189.00', '0.075'],
    ['scale', 'Scale', 5_000n, '349.00', '0.069'],
    ['business', 'Business', 10_000n, '599.00', '0.059'],
    ['enterprise', 'Enterprise', 25_000n, '1299.00', '0.051'],
  ] as const;

  test.each(TABLE)('%s: %s, %s pages for $%s, $%s a page', async (...row) => {
    const [packId, title, credits, amount, perPageUsd] = row;
    const customer = await open();
    const { packs } = await scrip.accounts.listPacks({ accountId: customer.accountId });
    expect(packs.map(({ pack }) => pack)).toContainEqual({
      packId,
      title,
      credits,
      price: usd(amount),
      validity: { length: { $case: 'months', value: 12 } },
    });
    const { purchase, balance } = await customer.buy(packId);
    expect(purchase).toMatchObject({ title, credits, price: usd(amount) });
    expect(balance?.remaining).toBe(20n + credits);
    // The page shows three decimals of the price, without rounding.
    expect(defined(purchase?.pricePerCredit).amount.padEnd(5, '0').slice(0, 5)).toBe(perPageUsd);
  });

  test('are no others', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'perfectparser' });
    expect(plan?.packs.map(({ packId }) => packId)).toEqual(TABLE.map(([packId]) => packId));
  });

  test.each(TABLE)('%s is offered for a shortfall of its size', async (packId, _, pack) => {
    const customer = await open();
    await customer.charge(perFile(20n));
    const { packs } = await customer.estimate(perFile(pack / 50n, 50n));
    expect(packs[0]).toMatchObject({ pack: { packId }, quantity: 1n });
  });

  test.each([
    ['a day', Date.UTC(2031, 6, 15, 9, 30), Date.UTC(2032, 6, 15, 9, 30)],
    ['a leap day', Date.UTC(2032, 1, 29, 12), Date.UTC(2033, 1, 28, 12)],
  ])('are valid for 12 months from the moment of purchase: %s', async (_, bought, expires) => {
    scrip.setNow(bought);
    const customer = await open();
    const { grant } = await customer.buy('starter');
    const late = defined(grant?.expiresAt).getTime() - expires;
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(10_000); // The clock of the test runs.
    scrip.setNow(expires - 1_000);
    expect(await customer.remaining()).toBe(120n);
    scrip.setNow(expires + late);
    expect(await customer.remaining()).toBe(20n);
  });

  test('add up', async () => {
    const customer = await open();
    await customer.buy('small');
    const { balance } = await customer.buy('starter');
    expect(balance?.remaining).toBe(20n + 250n + 100n);
  });

  test('expire each at its own time, and the one that expires first is used first', async () => {
    const customer = await openOn(2031, 1);
    const first = (await customer.buy('small')).grant;
    scrip.setNow(noon(2031, 6, 10));
    const second = (await customer.buy('starter')).grant;
    const { split } = await customer.charge(perFile(30n));
    expect(split).toEqual([{ source: { $case: 'grantId', value: first?.grantId }, credits: 30n }]);
    scrip.setNow(noon(2032, 1, 11));
    await scrip.service.sweep();
    expect(await customer.remaining()).toBe(20n + 100n);
    expect((await customer.balance()).nextExpiry).toEqual({
      expiresAt: second?.expiresAt,
      credits: 100n,
    });
    scrip.setNow(noon(2032, 6, 11));
    await scrip.service.sweep();
    expect(await customer.remaining()).toBe(20n);
    const expired = (await customer.history()).filter(
      ({ kind }) => kind === Entry_Kind.GRANT_EXPIRED,
    );
    expect(expired.map(({ grantId, credits }) => [grantId, credits])).toEqual([
      [first?.grantId, 220n],
      [second?.grantId, 100n],
    ]);
  });

  test('are listed with the balance', async () => {
    const customer = await openOn(2031, 8);
    const packs = [await customer.buy('starter'), await customer.buy('small')];
    await customer.charge(perFile(130n));
    expect((await customer.grants()).map(({ grantId, remaining }) => [grantId, remaining])).toEqual(
      [
        [packs[1]?.grant?.grantId, 220n],
        [1n, 20n],
      ],
    );
  });
});

describe('checking the balance', () => {
  test('the balance and the packs for sale can always be read', async () => {
    const customer = await open();
    for (const left of [19n, 18n, 17n]) {
      await customer.charge(image);
      expect(await customer.remaining()).toBe(left);
    }
    const { accountId } = customer;
    expect((await scrip.accounts.listPacks({ accountId })).packs).toHaveLength(8);
  });

  test('GET /v1/me: a quick balance', async () => {
    const customer = await open();
    await customer.buy('starter');
    await customer.reserve(perFile(30n));
    const shown = { remaining: 120n, reserved: 30n, available: 90n, lowBalance: false };
    expect(await customer.balance()).toMatchObject(shown);
  });

  test('GET /v1/credits: each purchase with its credits, unspent credits, expiry and price', async () => {
    const customer = await openOn(2031, 9);
    const first = defined((await customer.buy('starter')).purchase);
    scrip.setNow(noon(2031, 10, 10));
    const second = defined((await customer.buy('small')).purchase);
    await customer.charge(perFile(110n));
    expect(await customer.purchases()).toEqual([
      { ...second, remaining: 240n, pricePerCredit: usd('0.156') },
      { ...first, remaining: 0n, pricePerCredit: usd('0.19') },
    ]);
    expect(defined(second.expiresAt).toISOString().slice(0, 10)).toBe('2032-10-10');
    scrip.setNow(noon(2032, 10, 11));
    expect((await customer.purchases()).map(({ remaining }) => remaining)).toEqual([0n, 0n]);
  });
});

describe('running out of credits', () => {
  test('the cost of any batch is computed before it starts, also if it cannot be paid', async () => {
    const customer = await open();
    for (const [usage, credits, sufficient] of [
      [perFile(20n), 20n, true],
      [perFile(21n), 21n, false],
      [perPage(10_000n), 10_000n, false],
    ] as const)
      expect(await customer.estimate(usage)).toMatchObject({ credits, sufficient });
    expect(await customer.remaining()).toBe(20n);
  });

  test('a batch that exceeds the credits is shown with its cost and the packs to buy, and cannot start', async () => {
    const customer = await open();
    const shown = await customer.estimate(BATCH);
    expect(shown).toMatchObject({ credits: 100n, available: 20n, shortfall: 80n });
    expect(shown.packs[0]).toMatchObject({ pack: { packId: 'starter' }, price: usd('19.00') });
    const error = await errorOf(customer.reserve(BATCH));
    expect(error).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '100', available: '20', shortfall: '80' },
    });
    expect(error.metadata).toMatchObject({ best_pack: 'starter', best_price: '19.00 USD' });
    expect(await customer.balance()).toMatchObject({ available: 20n, reserved: 0n });
  });

  test('there is no overage and no automatic charge', async () => {
    const customer = await open();
    await customer.charge(perFile(20n));
    expect((await errorOf(customer.charge(image))).reason).toBe('INSUFFICIENT_CREDITS');
    expect(await customer.balance()).toMatchObject({
      available: 0n,
      overage: 0n,
      overageLimit: 0n,
    });
    expect(await customer.purchases()).toEqual([]);
  });

  test('after another pack is bought, the refused batch runs', async () => {
    const customer = await open();
    expect((await errorOf(customer.reserve(BATCH))).reason).toBe('INSUFFICIENT_CREDITS');
    await customer.buy('starter');
    await customer.commit(await customer.reserve(BATCH));
    expect(await customer.remaining()).toBe(20n);
  });
});

test('above 25,000 pages: a custom pack is offered, bought and expires', async () => {
  const [customer, other] = [await openOn(2031, 11), await open()];
  const pack = {
    packId: 'acme-100k',
    title: 'Acme, 100,000 pages',
    credits: 100_000n,
    price: usd('4500.00'),
    validity: { length: { $case: 'months' as const, value: 12 } },
  };
  await scrip.accounts.offerPack({ ...customer.mutation(), pack });
  const { packs } = await scrip.accounts.listPacks({ accountId: customer.accountId });
  expect(packs.at(-1)).toEqual({ pack, custom: true });
  expect((await errorOf(other.buy('acme-100k'))).reason).toBe('PACK_NOT_FOUND');
  const { purchase, balance } = await customer.buy('acme-100k');
  expect(purchase).toMatchObject({ price: usd('4500.00'), pricePerCredit: usd('0.045') });
  expect(balance?.remaining).toBe(100_020n);
  expect(defined(purchase?.expiresAt).toISOString().slice(0, 10)).toBe('2032-11-10');
});

test('verify finds nothing', async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});

// Promises that are not for a billing service:
// - Where the dashboard, its sidebar and its pricing page show a figure: Scrip returns the figure.
// - What an extraction returns (records), and that the AI reads a sample: PerfectParser's own work.
// - "Contact our team", SLA agreements and on-premise deployment: contracts between people. The
//   tailored quote they end in is an offered pack, tested above.
