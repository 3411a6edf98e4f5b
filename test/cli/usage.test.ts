/** A usage as a person writes it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chargeOf, requireCharge, usageOf } from '../../src/cli/usage.ts';

const usage = (
  quantities: Record<string, bigint>,
  attributes: Record<string, string> = {},
  count = 1n,
) => ({
  operation: 'image.upscale',
  quantities: new Map(Object.entries(quantities)),
  attributes: new Map(Object.entries(attributes)),
  count,
});

test.each([
  [[], usage({})],
  [['scale_factor=8'], usage({ scale_factor: 8n })],
  [['format=png', 'pages=3'], usage({ pages: 3n }, { format: 'png' })],
  [['dpi:300'], usage({}, { dpi: '300' })],
  [['note=a=b'], usage({}, { note: 'a=b' })],
  [['pages=-1'], usage({ pages: -1n })],
  [['pages=1.5'], usage({}, { pages: '1.5' })],
  [['format='], usage({}, { format: '' })],
])('%j', (values, expected) => {
  expect(usageOf('image.upscale', values)).toEqual(expected);
});

test.each([
  [['pages'], 'pages must be such as pages=3 or format:png'],
  [['=3'], '=3 must be such as pages=3 or format:png'],
  [['pages=3', 'pages=4'], 'pages is there twice'],
  [['pages=3', 'pages:a'], 'pages is there twice'],
])('%j is refused', (values, message) => {
  expect(() => usageOf('image.upscale', values)).toThrow(message);
});

test('a whole number of 18 digits keeps every digit, and any other text is an attribute', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 17n), max: 10n ** 18n - 1n }), (value) => {
      expect(usageOf('x', [`n=${value}`]).quantities.get('n')).toBe(value);
      expect(usageOf('x', [`n:${value}`]).attributes.get('n')).toBe(String(value));
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(usageOf('x', [`n:${text}`]).attributes.get('n')).toBe(text);
    }),
  );
});

test('credits stand for a usage, and neither for both', () => {
  expect(chargeOf(undefined, [], { credits: 12n })).toEqual({ credits: 12n });
  expect(chargeOf(undefined, [], {})).toBeUndefined();
  expect(() => requireCharge(undefined, [], {})).toThrow('an operation or --credits is needed');
  expect(() => chargeOf('x', [], { credits: 12n })).toThrow('either an operation or --credits');
  expect(() => chargeOf(undefined, [], { count: 2n })).toThrow('--count is of an operation');
});
