import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { divideMoney, parseMoney, trimZeros } from '../../src/pricing/money.ts';
import {
  findPriceError,
  fromProviderAmount,
  toProviderAmount,
} from '../../src/pricing/provider-amount.ts';

describe('an amount as the payment provider takes it', () => {
  test.each([
    ['5.00', 'USD', 500],
    ['0.01', 'EUR', 1],
    ['19.99', 'GBP', 1_999],
    ['500', 'JPY', 500],
    ['12', 'KRW', 12],
    // Two decimals in ISO 4217, and none at the provider.
    ['7.00', 'MGA', 7],
    ['5.120', 'KWD', 5_120],
    ['0.010', 'BHD', 10],
    // None in ISO 4217, and two at the provider.
    ['5', 'UGX', 500],
    ['5', 'ISK', 500],
    ['10.45', 'HUF', 1_045],
    ['8.40', 'TWD', 840],
    ['90071992547409.91', 'USD', 9_007_199_254_740_991],
    ['90071992547409.92', 'USD', 9_007_199_254_740_992],
  ])('of %s %s is %i', (amount, currency, units) => {
    expect(toProviderAmount({ amount, currency })).toBe(BigInt(units));
  });

  test.each([
    ['5.124', 'KWD'],
    ['7.50', 'MGA'],
    ['0.5', 'ISK'],
    ['0.001', 'USD'],
  ])('of %s %s there is none: nothing is rounded', (amount, currency) => {
    expect(toProviderAmount({ amount, currency })).toBeNull();
  });

  test('reads back as the same money, whatever the currency', () => {
    const currency = fc.constantFrom('USD', 'EUR', 'JPY', 'KWD', 'UGX', 'ISK', 'MGA', 'HUF', 'XOF');
    fc.assert(
      fc.property(currency, fc.integer({ min: 1, max: 10 ** 9 }), (code, units) => {
        const read = parseMoney(`${fromProviderAmount(code, BigInt(units))} ${code}`);
        if (typeof read === 'string') return;
        const again = toProviderAmount(read);
        if (again !== null) expect(again).toBe(BigInt(units));
        else expect(['KWD', 'UGX', 'ISK']).toContain(code);
      }),
    );
  });
});

describe('a price can be paid', () => {
  test.each([
    ['0.50', 'USD'],
    ['999999.99', 'USD'],
    ['0.30', 'GBP'],
    ['175.00', 'HUF'],
    ['50', 'JPY'],
    ['99999999', 'JPY'],
    ['5.120', 'KWD'],
    ['99999.990', 'KWD'],
    ['99999999.99', 'COP'],
    ['9999999999.99', 'IDR'],
    ['9999999.99', 'INR'],
    // The provider publishes no minimum of its own.
    ['0.01', 'JMD'],
    ['999999', 'UGX'],
    ['7.00', 'MGA'],
  ])('of %s %s', (amount, currency) => {
    expect(findPriceError({ amount, currency })).toBeNull();
  });

  test.each([
    ['5.00', 'UDS', 'UDS is not a currency of ISO 4217'],
    ['5.00', 'ZZZ', 'ZZZ is not a currency of ISO 4217'],
    ['5.00', 'XXX', 'XXX is not a currency of ISO 4217'],
    ['5.00', 'DEM', 'DEM is not a currency of ISO 4217'],
    ['5.00', 'XAU', 'XAU is not a currency of ISO 4217'],
    ['5.00', 'KPW', 'the payment provider does not take KPW'],
    ['5.000', 'IQD', 'the payment provider does not take IQD'],
    ['5.125', 'KWD', 'the payment provider takes KWD in steps of 0.010 KWD'],
    ['7.50', 'MGA', 'the payment provider takes MGA in steps of 1 MGA'],
    ['0.49', 'USD', "is below the payment provider's minimum of 0.50 USD"],
    ['0.29', 'GBP', "is below the payment provider's minimum of 0.30 GBP"],
    ['49', 'JPY', "is below the payment provider's minimum of 50 JPY"],
    ['174.99', 'HUF', "is below the payment provider's minimum of 175.00 HUF"],
    ['1000000.00', 'USD', "is above the payment provider's maximum of 999999.99 USD"],
    ['100000000', 'JPY', "is above the payment provider's maximum of 99999999 JPY"],
    ['100000.000', 'KWD', "is above the payment provider's maximum of 99999.990 KWD"],
    ['10000000000.00', 'IDR', "is above the payment provider's maximum of 9999999999.99 IDR"],
    ['1000000', 'UGX', "is above the payment provider's maximum of 999999.00 UGX"],
  ])('not of %s %s: %s', (amount, currency, reason) => {
    expect(findPriceError({ amount, currency })).toBe(reason);
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
        const amount = fromProviderAmount('USD', cents);
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
