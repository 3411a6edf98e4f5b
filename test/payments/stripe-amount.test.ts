import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromStripeAmount, toStripeAmount } from '../../src/payments/stripe-amount.ts';
import { divideMoney, parseMoney, trimZeros } from '../../src/pricing/money.ts';

describe('an amount as Stripe takes it', () => {
  test.each([
    ['5.00', 'USD', 500],
    ['0.01', 'EUR', 1],
    ['19.99', 'GBP', 1_999],
    ['500', 'JPY', 500],
    ['12', 'KRW', 12],
    // Two decimals in ISO 4217, and none at Stripe.
    ['7.00', 'MGA', 7],
    ['5.120', 'KWD', 5_120],
    ['0.010', 'BHD', 10],
    // None in ISO 4217, and two at Stripe.
    ['5', 'UGX', 500],
    ['5', 'ISK', 500],
    ['10.45', 'HUF', 1_045],
    ['8.40', 'TWD', 840],
    ['90071992547409.91', 'USD', 9_007_199_254_740_991],
  ])('of %s %s is %i', (amount, currency, units) => {
    expect(toStripeAmount({ amount, currency })).toBe(units);
  });

  test.each([
    ['5.124', 'KWD'],
    ['7.50', 'MGA'],
    ['0.5', 'ISK'],
    ['0.001', 'USD'],
    ['90071992547409.92', 'USD'],
  ])('of %s %s there is none: nothing is rounded', (amount, currency) => {
    expect(toStripeAmount({ amount, currency })).toBeNull();
  });

  test('reads back as the same money, whatever the currency', () => {
    const currency = fc.constantFrom('USD', 'EUR', 'JPY', 'KWD', 'UGX', 'ISK', 'MGA', 'HUF', 'XOF');
    fc.assert(
      fc.property(currency, fc.integer({ min: 1, max: 10 ** 9 }), (code, units) => {
        const read = parseMoney(`${fromStripeAmount(code, BigInt(units))} ${code}`);
        if (typeof read === 'string') return;
        const again = toStripeAmount(read);
        if (again !== null) expect(again).toBe(units);
        else expect(['KWD', 'UGX', 'ISK']).toContain(code);
      }),
    );
  });
});

describe('the price of one of many', () => {
  test.each([
    ['19.00', 100n, '0.19'],
    ['39.00', 250n, '0.156'],
    ['5.00', 1_000n, '0.005'],
    ['10.00', 10n, '1.00'],
    ['10.00', 3n, '3.333333333'],
    ['20.00', 3n, '6.666666667'],
    ['0.01', 1_000_000n, '0.00000001'],
    // Halves go to the even neighbour.
    ['0.01', 4_000_000_000n, '0.00'],
    ['0.03', 20_000_000n, '0.000000002'],
    ['0.05', 20_000_000n, '0.000000002'],
    ['0.07', 20_000_000n, '0.000000004'],
    ['500.00', 1n, '500.00'],
  ])('%s by %i is %s', (amount, parts, expected) => {
    expect(divideMoney({ currency: 'USD', amount }, parts).amount).toBe(expected);
  });

  test('never differs from the exact one by more than half of its last digit', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 10n ** 12n), fc.bigInt(1n, 10n ** 12n), (cents, parts) => {
        const amount = fromStripeAmount('USD', cents);
        const [whole = '', fraction = ''] = divideMoney(
          { currency: 'USD', amount },
          parts,
        ).amount.split('.');
        const rounded = BigInt(whole + fraction.padEnd(9, '0'));
        const off = rounded * parts - cents * 10n ** 7n;
        expect((off < 0n ? -off : off) * 2n <= parts).toBe(true);
      }),
    );
  });
});

test.each([
  ['19.000000000', 'USD', '19.00'],
  ['19.500000000', 'USD', '19.50'],
  ['0.005000000', 'USD', '0.005'],
  ['500.000000000', 'JPY', '500'],
  ['5.12', 'KWD', '5.120'],
  ['0', 'USD', '0.00'],
  ['10', 'JPY', '10'],
])('%s %s is written as %s', (amount, currency, expected) => {
  expect(trimZeros({ amount, currency }).amount).toBe(expected);
});
