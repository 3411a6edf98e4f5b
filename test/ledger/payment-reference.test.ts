import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { paymentReferenceKey } from '../../src/ledger/payment-reference.ts';
import { SEEDS } from '../fuzz-seeds.ts';

describe('two payment references name the same payment', () => {
  test.each<[difference: string, other: string]>([
    ['nothing', 'Order-17 a'],
    ['case', 'ORDER-17 A'],
    ['a space at the beginning', ' Order-17 a'],
    ['a space at the end', 'Order-17 a '],
    ['two spaces', 'Order-17  a'],
    ['no space', 'Order-17a'],
    ['a no-break space', 'Order-17\u00a0a'],
    ['a line separator', 'Order-17\u2028a'],
    ['a zero-width space', 'Order\u200b-17 a'],
    ['a zero-width joiner', 'Order\u200d-17 a'],
    ['a soft hyphen', 'Order\u00ad-17 a'],
    ['a byte-order mark', '\ufeffOrder-17 a'],
    ['a right-to-left mark', 'Order-17 a\u200f'],
    ['a variation selector', 'Order\ufe0f-17 a'],
    ['a Hangul filler', 'Order\u3164-17 a'],
    ['a tag character', 'Order\u{e0041}-17 a'],
    ['full-width letters', 'Ｏrder-１7 a'],
  ])('that differ in %s', (_, other) => {
    expect(paymentReferenceKey(other)).toBe(paymentReferenceKey('Order-17 a'));
  });

  test('that differ in the form of their letters', () => {
    expect(paymentReferenceKey('e\u0301')).toBe(paymentReferenceKey('\u00e9'));
    expect(paymentReferenceKey('STRASSE')).toBe(paymentReferenceKey('straße'));
    expect(paymentReferenceKey('ΟΔΟΣ')).toBe(paymentReferenceKey('οδος'));
  });
});

test.each([
  ['order-17', 'order-18'],
  ['order-17', 'order17'],
  ['order-17', 'order_17'],
  ['order-17', 'order-１８'],
])('%s and %s are two payments', (one, other) => {
  expect(paymentReferenceKey(one)).not.toBe(paymentReferenceKey(other));
});

test.each(['', ' ', '\u200b', '\u3164\u00ad', '\t'])('of %j nothing is visible', (reference) => {
  expect(paymentReferenceKey(reference)).toBe('');
});

test.each(SEEDS)('the key of a key is the key (seed %s)', (seed) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (reference) => {
      const key = paymentReferenceKey(reference);
      expect(paymentReferenceKey(key)).toBe(key);
    }),
    { seed, numRuns: 200 },
  );
});
