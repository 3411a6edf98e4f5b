/** Where the clock of a sandbox is moved, as people write it. */
import { describe, expect, test } from 'vitest';
import { targetOf } from '../../src/cli/sandbox-target.ts';

const NOW = Date.UTC(2026, 10, 30, 2, 30);

describe('the clock is moved to', () => {
  test.each([
    ['40d', '2027-01-09T02:30:00.000Z'],
    ['12h', '2026-11-30T14:30:00.000Z'],
    ['30m', '2026-11-30T03:00:00.000Z'],
    ['2w', '2026-12-14T02:30:00.000Z'],
    ['40 d', '2027-01-09T02:30:00.000Z'],
    ['2026-12-31', '2026-12-31T00:00:00.000Z'],
    ['2027-01-01T00:00Z', '2027-01-01T00:00:00.000Z'],
    ['day end', '2026-12-01T00:00:00.000Z'],
    ['month end', '2026-12-01T00:00:00.000Z'],
    ['Month End', '2026-12-01T00:00:00.000Z'],
    ['year end', '2027-01-01T00:00:00.000Z'],
  ])('%s', (text, target) => {
    expect(new Date(targetOf(text.split(' '), NOW)).toISOString()).toBe(target);
  });
});

describe('refused is', () => {
  test.each([
    ['2020-01-01', 'only moves forwards'],
    ['0d', 'only moves forwards'],
    ['-3d', 'no length of time'],
    ['40 days', 'no length of time'],
    ['monht end', 'did you mean month end?'],
    ['2026-02-30', 'no length of time'],
    ['', 'no length of time'],
  ])('%s', (text, message) => {
    expect(() => targetOf(text.split(' '), NOW)).toThrow(message);
  });
});
