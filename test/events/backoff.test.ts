import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delayMs, retryAfterMs } from '../../src/events/backoff.ts';

const HOUR = 3_600_000;

describe('the delay before the next attempt', () => {
  test.each([
    [1, 0, 2_500],
    [1, 1, 5_000],
    [2, 1, 10_000],
    [3, 0, 10_000],
    [10, 1, 2_560_000],
    [14, 1, 40_960_000],
    [15, 1, 12 * HOUR],
    [100, 1, 12 * HOUR],
    [1_000, 0, 6 * HOUR],
  ])('after attempt %i with random %d is %i ms', (attempts, random, ms) => {
    expect(delayMs(attempts, 5_000, null, random)).toBe(ms);
  });

  test('is at least what the endpoint asks for, and 12 hours at most', () => {
    expect(delayMs(1, 5_000, 60_000, 0.5)).toBe(60_000);
    expect(delayMs(5, 5_000, 60_000, 1)).toBe(80_000);
    expect(delayMs(1, 5_000, 99 * HOUR, 0.5)).toBe(12 * HOUR);
  });

  test('is above 0, and grows with each attempt, apart from the jitter', () => {
    const whole = fc.integer({ min: 1, max: 100 });
    const random = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        whole,
        fc.integer({ min: 10, max: HOUR }),
        random,
        random,
        (n, base, one, other) => {
          const before = delayMs(n, base, null, one);
          expect(before).toBeGreaterThan(0);
          expect(delayMs(n + 1, base, null, other)).toBeGreaterThanOrEqual(Math.floor(before / 2));
          expect(delayMs(n + 1, base, null, one)).toBeGreaterThanOrEqual(before);
        },
      ),
    );
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  test.each<[string | null, number | null]>([
    [null, null],
    ['', null],
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7_000],
    ['Sat, 21 Nov 2026 12:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
    ['soon', null],
    ['-1', null],
    ['1.5', null],
    ['2026', 2_026_000],
    ['tomorrow GMT', null],
  ])('of %o is %o ms', (header, ms) => {
    expect(retryAfterMs(header, now)).toBe(ms);
  });
});
