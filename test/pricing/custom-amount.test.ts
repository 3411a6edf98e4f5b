/** Credits in a number that the buyer chooses: their price, and what a plan file may say of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CustomAmount,
  cheapestAmount,
  priceOfAmount,
} from '../../src/pricing/custom-amount.ts';
import { compareMoney } from '../../src/pricing/money.ts';
import { coveringOffers } from '../../src/pricing/packs.ts';
import { planTermsFromJson, planTermsToJson } from '../../src/pricing/plan-file/plan-json.ts';
import { toProviderAmount } from '../../src/pricing/provider-amount.ts';
import { EVERYTHING, errorsIn, planIn } from './fixtures.ts';

const TIERS = [
  { upTo: 1_000n, unitPrice: '0.02' },
  { upTo: 10_000n, unitPrice: '0.0155' },
  { upTo: null, unitPrice: '0.0125' },
];
const amount = (change: Partial<CustomAmount['rates']> = {}): CustomAmount => ({
  packId: 'credits',
  title: 'credit',
  min: 100n,
  max: 100_000n,
  rates: { mode: 'graduated', currency: 'USD', tiers: TIERS, ...change },
  validity: null,
});

const inFile = (lines: string) => EVERYTHING.replace(/^operations:/m, `${lines}\noperations:`);
const FILE = `custom_amounts:
  - pack_id: credits
    title: credit
    minimum: 100
    maximum: 100000
    rates:
      mode: volume
      currency: USD
      tiers: [{ up_to: 1000, price: "0.02" }, { price: "0.0155" }]
    validity: 12 months`;

describe('the price', () => {
  test.each([
    ['graduated', 100n, '2.00'],
    ['graduated', 1_000n, '20.00'],
    ['graduated', 1_001n, '20.02'], // 0.0155 is half to even of its digits: 0.02
    ['graduated', 1_003n, '20.05'], // 0.0465
    ['graduated', 20_000n, '284.50'],
    ['volume', 1_000n, '20.00'],
    ['volume', 1_001n, '15.52'], // 15.5155
    ['volume', 20_000n, '250.00'],
  ] as const)('%s, of %d credits is %s', (mode, credits, price) => {
    expect(priceOfAmount(amount({ mode }), credits)).toEqual({ currency: 'USD', amount: price });
  });

  test('is a whole number of the smallest unit, and with graduated tiers never falls', () => {
    const modes = fc.constantFrom('graduated' as const, 'volume' as const);
    const currencies = fc.constantFrom('USD', 'JPY', 'EUR');
    fc.assert(
      fc.property(modes, currencies, fc.bigInt(100n, 99_999n), (mode, currency, credits) => {
        const of = amount({ mode, currency });
        const [here, next] = [credits, credits + 1n].map((count) =>
          toProviderAmount(priceOfAmount(of, count)),
        );
        expect(here).not.toBeNull();
        if (mode === 'graduated') expect(next! >= here!).toBe(true);
      }),
    );
  });
});

describe('the cheapest that covers', () => {
  test.each([
    ['graduated', 1n, 100n, '2.00'],
    ['graduated', 150n, 150n, '3.00'],
    ['graduated', 100_000n, 100_000n, '1284.50'],
    ['volume', 700n, 700n, '14.00'],
    ['volume', 900n, 1_001n, '15.52'],
    ['volume', 9_000n, 10_001n, '125.01'],
  ] as const)('%s, %d credits: %d for %s', (mode, credits, bought, price) => {
    expect(cheapestAmount(amount({ mode }), credits)).toMatchObject({
      packId: 'credits',
      credits: bought,
      price: { currency: 'USD', amount: price },
    });
  });

  test('is none where one purchase cannot have so many', () => {
    expect(cheapestAmount(amount(), 100_001n)).toBeNull();
  });

  test('is no dearer than any other number that covers', () => {
    const tiers = [
      { upTo: 40n, unitPrice: '0.03' },
      { upTo: 90n, unitPrice: '0.02' },
      { upTo: null, unitPrice: '0.011' },
    ];
    const modes = fc.constantFrom('graduated' as const, 'volume' as const);
    fc.assert(
      fc.property(modes, fc.bigInt(1n, 130n), (mode, credits) => {
        const small = { ...amount({ mode, tiers }), min: 25n, max: 120n };
        const covering = Array.from({ length: 96 }, (_, index) => BigInt(25 + index))
          .filter((count) => count >= credits)
          .map((count) => priceOfAmount(small, count))
          .toSorted(compareMoney);
        expect(cheapestAmount(small, credits)?.price).toEqual(covering[0]);
      }),
    );
  });

  test('stands among the packs by its price', () => {
    const pack = (packId: string, credits: bigint, price: string) => ({
      ...{ packId, title: packId, credits, price: { currency: 'USD', amount: price } },
      validity: null,
    });
    const packs = [pack('small', 100n, '2.50'), pack('large', 1_000n, '15.00')];
    const offered = (shortfall: bigint) =>
      coveringOffers({ packs, customAmounts: [amount()] }, shortfall).map(
        ({ pack: { packId }, quantity, price, credits }) =>
          `${credits ?? quantity} ${packId} ${price.amount}`,
      );
    expect(offered(120n)).toEqual(['120 credits 2.40', '2 small 5.00', '1 large 15.00']);
    expect(offered(800n)).toEqual(['1 large 15.00', '800 credits 16.00', '8 small 20.00']);
  });
});

describe('a plan file', () => {
  test('says what is sold by the credit, and its stored form is read back', () => {
    const plan = planIn(inFile(FILE));
    expect(plan.customAmounts).toEqual([
      {
        packId: 'credits',
        title: 'credit',
        min: 100n,
        max: 100_000n,
        rates: {
          mode: 'volume',
          currency: 'USD',
          tiers: [
            { upTo: 1_000n, unitPrice: '0.02' },
            { upTo: null, unitPrice: '0.0155' },
          ],
        },
        validity: { months: 12 },
      },
    ]);
    const { title, terms, packs, customAmounts } = plan;
    expect(planTermsFromJson(planTermsToJson(plan))).toEqual({
      title,
      terms,
      packs,
      customAmounts,
    });
  });

  test('that sells none is stored as before', () => {
    expect(planTermsToJson(planIn(EVERYTHING))).not.toHaveProperty('custom_amounts');
  });

  test.each([
    ['maximum: 100000', 'maximum: 99', 'custom_amounts[0].maximum: is less than the minimum'],
    [
      'minimum: 100',
      'minimum: 24',
      "custom_amounts[0].rates: the price of 24 credits is below the payment provider's minimum of 0.50 USD",
    ],
    [
      'maximum: 100000',
      'maximum: 100000000',
      "custom_amounts[0].rates: the price of 100000000 credits is above the payment provider's maximum of 999999.99 USD",
    ],
    [
      'price: "0.0155"',
      'price: "0.0001"',
      "custom_amounts[0].rates: the price of 1001 credits is below the payment provider's minimum of 0.50 USD",
    ],
    [
      'currency: USD',
      'currency: KWD',
      'custom_amounts[0].rates: the payment provider does not take every amount of KWD: sell packs in it',
    ],
    ['price: "0.0155"', 'up_to: 9, price: "0.0155"', 'the last tier has no end: leave it out'],
  ])('with %s as %s is refused', (from, to, error) => {
    expect(errorsIn(inFile(FILE.replace(from, to))).join('\n')).toContain(error);
  });

  test('cannot sell two things under one id', () => {
    const [pack] = planIn(EVERYTHING).packs;
    const twice = `${FILE}\n${FILE.split('\n').slice(1).join('\n')}`;
    expect(errorsIn(inFile(twice)).join()).toContain('is the same as that of custom_amounts[0]');
    const taken = FILE.replace('pack_id: credits', `pack_id: ${pack?.packId}`);
    expect(errorsIn(inFile(taken)).join()).toContain('is the same as that of packs[0]');
  });
});
