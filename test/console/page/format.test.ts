/** How the pages of the console write values. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  change,
  counted,
  credits,
  instant,
  lengthOf,
  money,
  monthsBetween,
  relative,
} from '../../../clients/console/src/format.ts';

test.each([
  ['0', '0'],
  ['1234567', '1,234,567'],
  ['9223372036854775807', '9,223,372,036,854,775,807'],
  ['-1500', '−1,500'],
  [undefined, '0'],
])('credits %s are %s', (value, text) => expect(credits(value)).toBe(text));

test('no credit is lost by grouping', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (value) => {
      expect(BigInt(credits(value).replaceAll(',', ''))).toBe(value);
    }),
  );
});

test.each([
  [{ currency: 'USD', amount: '1299.00' }, '1,299.00 USD'],
  [{ currency: 'USD', amount: '-0.06' }, '−0.06 USD'],
  [{ currency: 'JPY', amount: '5000' }, '5,000 JPY'],
  [{ currency: 'USD', amount: '0.000000001' }, '0.000000001 USD'],
  [undefined, ''],
])('money %j is "%s"', (value, text) => expect(money(value)).toBe(text));

test('changes have signs, and counts agree with their nouns', () => {
  expect([change(50n), change(-50n), change(0n)]).toEqual(['+50', '−50', '0']);
  expect([counted(1, 'credit'), counted(2_000, 'credit'), counted(0, 'entry', 'entries')]).toEqual([
    '1 credit',
    '2,000 credits',
    '0 entries',
  ]);
});

describe('times', () => {
  const now = Date.parse('2026-11-30T02:05:12.345Z');

  test.each([
    [0, 'now'],
    [-3_000, '3 s ago'],
    [61_000, 'in 1 min'],
    [-26 * 3_600_000, '1 d ago'],
    [365 * 86_400_000, 'in 365 d'],
    [800 * 86_400_000, 'in 2 y'],
  ])('%d ms from now: %s', (offset, text) => expect(relative(now + offset, now)).toBe(text));

  test.each([
    [850, '850 ms'],
    [42_000, '42 s'],
    [71_000, '1 min 11 s'],
    [3 * 3_600_000, '3 h'],
    [90_061_000, '1 d 1 h'],
  ])('%d ms are %s', (ms, text) => expect(lengthOf(ms)).toBe(text));

  test('an instant is written to the second', () => {
    expect(instant(now, 'utc')).toBe('2026-11-30 02:05:12');
  });

  test('months are counted back over a year, the newest first', () => {
    expect(monthsBetween('2025-11', '2026-02')).toEqual([
      '2026-02',
      '2026-01',
      '2025-12',
      '2025-11',
    ]);
    expect(monthsBetween('2026-02', '2026-02')).toEqual(['2026-02']);
  });
});
