import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUDGET_PERIODS, budgetPeriodAt } from '../../../src/ledger/budget-period.ts';

const at = (text: string) => Date.parse(`${text}Z`);

describe('without a time zone, the period that contains an instant', () => {
  test.each([
    // A Tuesday.
    ['DAY', '2026-03-31T23:59:59.999', '2026-03-31T00:00', '2026-04-01T00:00'],
    ['DAY', '2026-04-01T00:00', '2026-04-01T00:00', '2026-04-02T00:00'],
    ['WEEK', '2026-03-31T12:00', '2026-03-30T00:00', '2026-04-06T00:00'],
    ['WEEK', '2026-03-30T00:00', '2026-03-30T00:00', '2026-04-06T00:00'],
    ['WEEK', '2026-03-29T23:59:59.999', '2026-03-23T00:00', '2026-03-30T00:00'],
    ['WEEK', '1970-01-01T00:00', '1969-12-29T00:00', '1970-01-05T00:00'],
    ['MONTH', '2028-02-29T12:00', '2028-02-01T00:00', '2028-03-01T00:00'],
    ['MONTH', '2026-12-31T23:59:59.999', '2026-12-01T00:00', '2027-01-01T00:00'],
  ] as const)('%s of %s', (period, instant, from, until) => {
    expect(budgetPeriodAt(null, period, at(instant))).toEqual({ from: at(from), until: at(until) });
  });

  test('in total there is one, which never ends', () => {
    expect(budgetPeriodAt(null, 'TOTAL', at('2026-03-31T12:00'))).toEqual({ from: 0, until: null });
  });
});

test('periods contain their instants, and follow each other without gaps', () => {
  const instants = fc.integer({ min: 0, max: at('2100-01-01T00:00') });
  fc.assert(
    fc.property(fc.constantFrom(...BUDGET_PERIODS), instants, (period, instant) => {
      const { from, until } = budgetPeriodAt(null, period, instant);
      expect(from).toBeLessThanOrEqual(instant);
      if (until === null) return;
      expect(until).toBeGreaterThan(instant);
      expect(budgetPeriodAt(null, period, until - 1)).toEqual({ from, until });
      expect(budgetPeriodAt(null, period, until).from).toBe(until);
    }),
  );
});
