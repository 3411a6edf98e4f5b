import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type OverageRates,
  overageTotal,
  owedAfterRefunds,
  priceOverage,
} from '../../src/pricing/overage.ts';
import { deployedPlan } from './fixtures.ts';

type Tiers = readonly (readonly [upTo: bigint | null, unitPrice: string])[];

const rates = (mode: OverageRates['mode'], tiers: Tiers, currency = 'USD'): OverageRates => ({
  mode,
  currency,
  tiers: tiers.map(([upTo, unitPrice]) => ({ upTo, unitPrice })),
});

const TIERS: Tiers = [
  [1_000n, '0.030'],
  [10_000n, '0.020'],
  [null, '0.010'],
];

const linesOf = (of: OverageRates, quantity: bigint) =>
  priceOverage(of, quantity).map((line) => `${line.quantity} x ${line.unitPrice} = ${line.amount}`);

describe('graduated: each tier prices the credits that fall into it', () => {
  test.each<[bigint, string[], string]>([
    [0n, [], '0.00'],
    [1n, ['1 x 0.030 = 0.03'], '0.03'],
    [1_000n, ['1000 x 0.030 = 30.00'], '30.00'],
    [1_001n, ['1000 x 0.030 = 30.00', '1 x 0.020 = 0.02'], '30.02'],
    [
      20_000n,
      ['1000 x 0.030 = 30.00', '9000 x 0.020 = 180.00', '10000 x 0.010 = 100.00'],
      '310.00',
    ],
  ])('%s credits', (quantity, lines, amount) => {
    const graduated = rates('graduated', TIERS);
    expect(linesOf(graduated, quantity)).toEqual(lines);
    expect(overageTotal(graduated, quantity)).toEqual({ currency: 'USD', amount });
  });
});

describe('volume: the tier of the total prices all credits', () => {
  test.each<[bigint, number | null, string]>([
    [0n, null, '0.00'],
    [1n, 1, '0.03'],
    [1_000n, 1, '30.00'],
    [1_001n, 2, '20.02'],
    [10_000n, 2, '200.00'],
    [10_001n, 3, '100.01'],
  ])('%s credits', (quantity, tier, amount) => {
    const volume = rates('volume', TIERS);
    const lines = priceOverage(volume, quantity);
    expect(lines.map((line) => [line.tier, line.quantity])).toEqual(
      tier === null ? [] : [[tier, quantity]],
    );
    expect(overageTotal(volume, quantity)).toEqual({ currency: 'USD', amount });
  });
});

describe('an amount is rounded once, half to even, to the digits of its currency', () => {
  test.each<[string, string, bigint, string]>([
    ['USD', '0.005', 1n, '0.00'],
    ['USD', '0.005', 3n, '0.02'],
    ['USD', '0.005', 5n, '0.02'],
    ['USD', '0.005000001', 1n, '0.01'],
    ['USD', '0.000000001', 1n, '0.00'],
    ['USD', '0.015', 1n, '0.02'],
    ['JPY', '0.5', 1n, '0'],
    ['JPY', '0.5', 3n, '2'],
    ['KWD', '0.0015', 1n, '0.002'],
    [
      'USD',
      '999999999999999.999999999',
      1_000_000_000_000_000n,
      '999999999999999999999999000000.00',
    ],
    ['USD', '3', 2n, '6.00'],
  ])('%s %s x %s', (currency, unitPrice, quantity, amount) => {
    const flat = rates('graduated', [[null, unitPrice]], currency);
    expect(overageTotal(flat, quantity).amount).toBe(amount);
  });
});

/** Random rates whose tiers end within the range of the quantities below. */
const anyRates = (mode?: OverageRates['mode']): fc.Arbitrary<OverageRates> =>
  fc
    .record({
      mode: mode ? fc.constant(mode) : fc.constantFrom('graduated' as const, 'volume' as const),
      currency: fc.constantFrom('USD', 'JPY', 'KWD'),
      ends: fc.uniqueArray(fc.bigInt(1n, 300n), { maxLength: 4 }),
      prices: fc.array(fc.bigInt(0n, 50_000_000n), { minLength: 5, maxLength: 5 }),
    })
    .map(({ mode, currency, ends, prices }) => {
      const upTo = [...ends.toSorted((a, b) => (a < b ? -1 : 1)), null];
      const tiers = upTo.map((end, index): [bigint | null, string] => {
        const digits = (prices[index] ?? 0n).toString().padStart(10, '0');
        return [end, `${digits.slice(0, -9)}.${digits.slice(-9)}`];
      });
      return rates(mode, tiers, currency);
    });
const anyQuantity = fc.bigInt(0n, 400n);

/** An amount in units of 10⁻⁹, because amounts here have at most nine digits. */
const nano = (amount: string): bigint => {
  const negative = amount.startsWith('-');
  const [whole = '', fraction = ''] = amount.replace('-', '').split('.');
  const units = BigInt(whole) * 10n ** 9n + BigInt(fraction.padEnd(9, '0'));
  return negative ? -units : units;
};

/** The tier of each single credit or, for volume, the tier of the last one. */
function nanoOfEach({ mode, tiers }: OverageRates, quantity: bigint): Map<number, bigint> {
  const tierOf = (credit: bigint) => tiers.findIndex(({ upTo }) => upTo === null || credit <= upTo);
  const sums = new Map<number, bigint>();
  for (let credit = 1n; credit <= quantity; credit++) {
    const tier = tierOf(mode === 'volume' ? quantity : credit);
    sums.set(tier + 1, (sums.get(tier + 1) ?? 0n) + nano(tiers[tier]?.unitPrice ?? ''));
  }
  return sums;
}

describe('with any rates', () => {
  test('a line differs from the sum of its credits by at most half the smallest unit', () => {
    const coin = { USD: 10n ** 7n, JPY: 10n ** 9n, KWD: 10n ** 6n };
    fc.assert(
      fc.property(anyRates(), anyQuantity, (of, quantity) => {
        const lines = priceOverage(of, quantity);
        const each = nanoOfEach(of, quantity);
        expect(lines.map(({ tier }) => tier)).toEqual([...each.keys()]);
        const half = coin[of.currency as keyof typeof coin];
        for (const { tier, amount } of lines) {
          const off = 2n * (nano(amount) - (each.get(tier) ?? 0n));
          expect(off <= half && off >= -half).toBe(true);
          expect(nano(amount) % half).toBe(0n);
        }
      }),
    );
  });

  test('the lines’ quantities and amounts add up to the total', () => {
    fc.assert(
      fc.property(anyRates(), anyQuantity, (of, quantity) => {
        const lines = priceOverage(of, quantity);
        expect(lines.reduce((sum, line) => sum + line.quantity, 0n)).toBe(quantity);
        const sum = lines.reduce((total, { amount }) => total + nano(amount), 0n);
        expect(nano(overageTotal(of, quantity).amount)).toBe(sum);
      }),
    );
  });

  test('more credits never cost less with graduated tiers', () => {
    fc.assert(
      fc.property(anyRates('graduated'), anyQuantity, anyQuantity, (of, a, b) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        const total = (quantity: bigint) => nano(overageTotal(of, quantity).amount);
        expect(total(less) <= total(more)).toBe(true);
      }),
    );
  });

  test('what is owed after refunds is the lowest price of any quantity in between', () => {
    fc.assert(
      fc.property(anyRates(), anyQuantity, fc.bigInt(0n, 400n), (of, quantity, wanted) => {
        const refunded = wanted > quantity ? quantity : wanted;
        let least = nano(overageTotal(of, quantity).amount);
        for (let left = quantity; left >= quantity - refunded; left--) {
          const total = nano(overageTotal(of, left).amount);
          if (total < least) least = total;
        }
        expect(nano(owedAfterRefunds(of, quantity, refunded).amount)).toBe(least);
      }),
    );
  });

  test('after a full refund nothing is owed', () => {
    fc.assert(
      fc.property(anyRates(), anyQuantity, (of, quantity) => {
        expect(nano(owedAfterRefunds(of, quantity, quantity).amount)).toBe(0n);
      }),
    );
  });
});

test('a refund into a more expensive volume tier does not raise what is owed', () => {
  const volume = rates('volume', TIERS);
  const owed = [0n, 1n, 1_000n, 1_500n, 2_000n].map(
    (refunded) => owedAfterRefunds(volume, 2_000n, refunded).amount,
  );
  expect(owed).toEqual(['40.00', '39.98', '20.02', '15.00', '0.00']);
});

test('aspose-cloud bills a month’s overage at the price of its packs', () => {
  const { packs, terms } = deployedPlan('aspose-cloud');
  const of = terms.overage?.rates;
  if (!of) throw new Error('the plan bills nothing');
  expect(of.mode).toBe('volume');
  for (const { credits, price } of packs) expect(overageTotal(of, credits)).toEqual(price);
});
