/** The audit counts periods of allowances by itself, and as the ledger does. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { periodOf } from '../../src/ledger/allowance.ts';
import { formatValidity } from '../../src/pricing/plan-file/validity.ts';
import { endOfPeriod } from '../../src/verify/allowance-periods.ts';

const at = (text: string) => Date.parse(text);

test.each([
  ['month', '2031-01-25T12:00:00Z', '2031-01-31T23:59:59.999Z', '2031-02-01T00:00:00Z'],
  ['month', '2031-01-25T12:00:00Z', '2031-02-01T00:00:00Z', '2031-03-01T00:00:00Z'],
  ['30 days', '2031-01-01T12:00:00Z', '2031-01-31T11:59:59.999Z', '2031-01-31T12:00:00Z'],
  ['30 days', '2031-01-01T12:00:00Z', '2031-01-31T12:00:00Z', '2031-03-02T12:00:00Z'],
  ['1 months', '2031-01-31T12:00:00Z', '2031-02-28T11:59:59.999Z', '2031-02-28T12:00:00Z'],
  ['1 months', '2031-01-31T12:00:00Z', '2031-02-28T12:00:00Z', '2031-03-31T12:00:00Z'],
])('every %s: opened at %s, the period of %s ends at %s', (every, openedAt, instant, end) => {
  expect(endOfPeriod(every, at(openedAt), at(instant))).toBe(at(end));
});

test('a period ends as the ledger has it', () => {
  const length = fc.integer({ min: 1, max: 40 });
  const every = fc.oneof(
    fc.constant('month' as const),
    length.map((days) => ({ days })),
    length.map((months) => ({ months })),
  );
  const instants = { min: at('1970-01-01'), max: at('2090-01-01') };
  fc.assert(
    fc.property(every, fc.integer(instants), fc.nat(at('2000-01-01')), (of, openedAt, after) => {
      const text = of === 'month' ? of : formatValidity(of);
      const instant = openedAt + after;
      expect(endOfPeriod(text, openedAt, instant)).toBe(periodOf(of, openedAt, instant).until);
    }),
  );
});

test('what is no length or no instant has no end', () => {
  expect(endOfPeriod('often', 0, 0)).toBeNaN();
  expect(endOfPeriod('0 months', 0, 0)).toBeNaN();
  expect(endOfPeriod('2 months', Number.NaN, 0)).toBeNaN();
});
