import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareMoney, multiplyMoney, parseMoney } from '../../src/pricing/money.ts';
import { coveringOffers, expiryOf } from '../../src/pricing/packs.ts';
import type { Pack } from '../../src/pricing/plan.ts';
import { deployedPlan } from './fixtures.ts';

const pack = (packId: string, credits: bigint, amount: string, currency = 'USD'): Pack => ({
  packId,
  title: packId,
  credits,
  price: { currency, amount },
  validity: null,
});

const anyPack = fc
  .record({ credits: fc.bigInt(1n, 100_000n), cents: fc.integer({ min: 1, max: 1_000_000 }) })
  .map(({ credits, cents }) => pack('any', credits, (cents / 100).toFixed(2)));

describe('the packs that cover a shortfall', () => {
  test.each([
    [
      1n,
      [
        ['starter', 1n, '19.00'],
        ['small', 1n, '39.00'],
        ['medium', 1n, '59.00'],
      ],
    ],
    [
      100n,
      [
        ['starter', 1n, '19.00'],
        ['small', 1n, '39.00'],
        ['medium', 1n, '59.00'],
      ],
    ],
    [
      101n,
      [
        ['starter', 2n, '38.00'],
        ['small', 1n, '39.00'],
        ['medium', 1n, '59.00'],
      ],
    ],
    [
      500n,
      [
        ['medium', 1n, '59.00'],
        ['small', 2n, '78.00'],
        ['starter', 5n, '95.00'],
      ],
    ],
    [
      501n,
      [
        ['popular', 1n, '99.00'],
        ['starter', 6n, '114.00'],
        ['small', 3n, '117.00'],
      ],
    ],
    [
      25_000n,
      [
        ['enterprise', 1n, '1299.00'],
        ['scale', 5n, '1745.00'],
        ['business', 3n, '1797.00'],
      ],
    ],
  ])('of %s page credits are, cheapest first', (shortfall, cheapest) => {
    const offers = coveringOffers(deployedPlan('perfectparser'), shortfall);
    const rows = offers.map(({ pack: of, quantity, price }) => [of.packId, quantity, price.amount]);
    expect(offers).toHaveLength(8);
    expect(rows.slice(0, 3)).toEqual(cheapest);
  });

  test.each([0n, -1n])('are none for a shortfall of %s', (shortfall) => {
    expect(coveringOffers(deployedPlan('verts'), shortfall)).toEqual([]);
  });

  test('are the smallest sufficient number of each, sorted by price', () => {
    fc.assert(
      fc.property(fc.array(anyPack), fc.bigInt(1n, 10_000_000n), (packs, shortfall) => {
        const offers = coveringOffers({ packs, customAmounts: [] }, shortfall);
        expect(offers).toHaveLength(packs.length);
        for (const [index, { pack: of, quantity, price }] of offers.entries()) {
          expect(of.credits * quantity).toBeGreaterThanOrEqual(shortfall);
          expect(of.credits * (quantity - 1n)).toBeLessThan(shortfall);
          const next = offers[index + 1];
          if (next) expect(compareMoney(price, next.price)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test('have the most credits first at equal prices, then the order of the file, by currency', () => {
    const packs = [
      pack('dollars', 10n, '1.00'),
      pack('same', 10n, '1.00'),
      pack('more', 20n, '1.00'),
      pack('yen', 10n, '1', 'JPY'),
      pack('euros', 10n, '900.00', 'EUR'),
    ];
    const ids = coveringOffers({ packs, customAmounts: [] }, 5n).map((offer) => offer.pack.packId);
    expect(ids).toEqual(['euros', 'yen', 'more', 'dollars', 'same']);
  });
});

describe('money is exact', () => {
  test.each([
    ['19 USD', { currency: 'USD', amount: '19.00' }],
    ['0.05 EUR', { currency: 'EUR', amount: '0.05' }],
    ['1500 JPY', { currency: 'JPY', amount: '1500' }],
    ['1.5 KWD', { currency: 'KWD', amount: '1.500' }],
    ['0.00 USD', 'must be more than 0'],
    ['-1 USD', 'must not be negative'],
    ['1.005 USD', 'has more than the 2 decimals of USD'],
    ['1.0 JPY', 'has more than the 0 decimals of JPY'],
    ['1 usd', 'must be an amount and an ISO 4217 currency code, such as 19.00 USD'],
    ['$19', 'must be an amount and an ISO 4217 currency code, such as 19.00 USD'],
    ['1e3 USD', 'must be an amount and an ISO 4217 currency code, such as 19.00 USD'],
    ['.5 USD', 'must be an amount and an ISO 4217 currency code, such as 19.00 USD'],
  ])('%s reads as %o', (text, read) => {
    expect(parseMoney(text)).toEqual(read);
  });

  test.each([
    ['0.10', 3n, '0.30'],
    ['0.051', 1_000_000_007n, '51000000.357'],
    ['90071992547409.93', 3n, '270215977642229.79'],
    ['7', 3n, '21'],
    ['0.01', 0n, '0.00'],
  ])('%s times %s is %s', (amount, times, product) => {
    expect(multiplyMoney({ currency: 'USD', amount }, times).amount).toBe(product);
  });

  test('is compared by value, not by text', () => {
    const cents = fc.bigInt(0n, 10n ** 18n);
    const dollars = (of: bigint) => ({
      currency: 'USD',
      amount: `${of / 100n}.${String(of % 100n).padStart(2, '0')}`,
    });
    fc.assert(
      fc.property(cents, cents, (a, b) => {
        expect(compareMoney(dollars(a), dollars(b))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
    const one = { currency: 'USD', amount: '1' };
    expect(compareMoney(one, { currency: 'USD', amount: '1.000' })).toBe(0);
  });
});

describe('bought credits expire', () => {
  test.each([
    ['2026-03-14T15:09:26.535Z', { months: 12 }, '2027-03-14T15:09:26.535Z'],
    ['2026-01-31T00:00:00.000Z', { months: 1 }, '2026-02-28T00:00:00.000Z'],
    ['2028-01-31T23:59:59.999Z', { months: 1 }, '2028-02-29T23:59:59.999Z'],
    ['2028-02-29T12:00:00.000Z', { months: 12 }, '2029-02-28T12:00:00.000Z'],
    ['2026-12-31T00:00:00.000Z', { months: 2 }, '2027-02-28T00:00:00.000Z'],
    ['2026-10-31T00:00:00.000Z', { months: 14 }, '2027-12-31T00:00:00.000Z'],
    ['2026-02-28T08:00:00.000Z', { days: 30 }, '2026-03-30T08:00:00.000Z'],
  ])('those of %s, valid %o, at %s', (from, validity, until) => {
    const expiresMs = expiryOf(validity, Date.parse(from));
    expect(new Date(expiresMs ?? 0).toISOString()).toBe(until);
  });

  test('never, if their validity is null', () => {
    expect(expiryOf(null, 0)).toBeNull();
  });

  test('in the right month at the same time of day, on the same day or the last of the month', () => {
    const instant = fc.integer({ min: 0, max: Date.UTC(2200, 0) });
    fc.assert(
      fc.property(instant, fc.integer({ min: 1, max: 120 }), (fromMs, months) => {
        const from = new Date(fromMs);
        const until = new Date(expiryOf({ months }, fromMs) ?? 0);
        const monthOf = (date: Date) => date.getUTCFullYear() * 12 + date.getUTCMonth();
        expect(monthOf(until)).toBe(monthOf(from) + months);
        expect(until.getTime() % 86_400_000).toBe(fromMs % 86_400_000);
        const nextDay = new Date(until.getTime() + 86_400_000);
        const clamped = nextDay.getUTCDate() === 1 && until.getUTCDate() < from.getUTCDate();
        expect(until.getUTCDate() === from.getUTCDate() || clamped).toBe(true);
      }),
    );
  });
});
