/** The simulation's own arithmetic, which must be right independently of the service. */
import { expect, test } from 'vitest';
import { type OverageRates, OverageRates_Mode } from '../../src/gen/billing/v1/pricing.ts';
import { dayOf, laterByMonths, monthAfter, monthsBetween } from './calendar.ts';
import { amountDue, dollars, priceOverage, sumOfLines } from './rates.ts';

const rates = (mode: OverageRates['mode']): OverageRates => ({
  mode,
  currency: 'USD',
  tiers: [
    { upTo: 100n, unitPrice: '0.030' },
    { upTo: 1_000n, unitPrice: '0.0105' },
    { unitPrice: '0.005' },
  ],
});

test.each([
  ['VOLUME', 0n, '0.00'],
  ['VOLUME', 100n, '3.00'],
  ['VOLUME', 101n, '1.06'], // 1.0605
  ['VOLUME', 1_001n, '5.00'], // 5.005: a half, to the even cent
  ['VOLUME', 1_003n, '5.02'], // 5.015: a half, to the even cent
  ['GRADUATED', 100n, '3.00'],
  ['GRADUATED', 101n, '3.01'], // 3.00 and 0.0105
  ['GRADUATED', 1_001n, '12.45'], // 3.00, 9.45 and 0.005: a half, to the even cent
] as const)('%s rates: %d credits are %s', (mode, credits, total) => {
  expect(dollars(sumOfLines(priceOverage(rates(OverageRates_Mode[mode]), credits)))).toBe(total);
});

test.each([
  [101n, 0n, '1.06'],
  [101n, 1n, '1.06'], // 100 would be 3.00: dearer than what it came from
  [101n, 66n, '1.05'], // 35 at 0.030
  [101n, 101n, '0.00'],
])('for %d credits, of which %d were refunded, the amount due is %s', (credits, refunded, owed) => {
  expect(dollars(amountDue(rates(OverageRates_Mode.VOLUME), credits, refunded))).toBe(owed);
});

test.each([
  ['2028-02-29', 12, '2029-02-28'],
  ['2028-02-28', 12, '2029-02-28'],
  ['2027-02-28', 12, '2028-02-28'],
  ['2028-01-31', 1, '2028-02-29'],
  ['2028-12-31', 2, '2029-02-28'],
])('%s and %d months are %s', (day, months, later) => {
  expect(dayOf(laterByMonths(Date.parse(`${day}T10:00:00Z`), months))).toBe(later);
});

test('months continue across the end of the year', () => {
  expect(monthAfter('2028-12', 1)).toBe('2029-01');
  expect(monthsBetween('2028-11', '2029-02')).toEqual(['2028-11', '2028-12', '2029-01', '2029-02']);
});
