/** The preview of a void: what can be voided now and what jobs hold. */
import { expect, test } from 'vitest';
import { canBeVoided, voidableOf } from '../../../clients/console/src/parts/voidable.ts';

const open = (remaining: string, reserved: string, voidOnReturn = '0') => ({
  state: 'STATE_OPEN' as const,
  amount: '100',
  remaining,
  reserved,
  voidOnReturn,
});

test.each([
  ['all of it is free', open('100', '0'), { now: 100n, held: 0n }],
  ['jobs hold a part', open('100', '30'), { now: 70n, held: 30n }],
  ['jobs hold all of it', open('30', '30'), { now: 0n, held: 30n }],
  ['a part of what jobs hold is voided already', open('100', '30', '20'), { now: 70n, held: 10n }],
  // What jobs have spent can come back by a refund.
  ['more is voided than jobs still hold', open('80', '10', '20'), { now: 70n, held: 0n }],
  [
    'it is not effective yet',
    { state: 'STATE_SCHEDULED' as const, amount: '100', voided: '40', remaining: '0' },
    { now: 60n, held: 0n },
  ],
])('where %s', (_, grant, expected) => {
  expect(voidableOf(grant)).toEqual(expected);
});

test('a grant without anything to void is not offered', () => {
  expect(canBeVoided(open('100', '30'))).toBe(true);
  expect(canBeVoided(open('30', '30'))).toBe(true);
  expect(canBeVoided(open('30', '30', '30'))).toBe(false);
  expect(canBeVoided({ ...open('30', '30'), state: 'STATE_EXPIRED' })).toBe(false);
  expect(canBeVoided({ state: 'STATE_VOIDED' })).toBe(false);
});
