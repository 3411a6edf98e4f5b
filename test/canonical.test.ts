import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../src/canonical.ts';

describe('canonical JSON', () => {
  test.each<[unknown, string]>([
    [{ b: 1n, a: 2n }, '{"a":2,"b":1}'],
    [{ b: { d: 1n, c: 2n }, a: [{ z: 1n, y: 2n }] }, '{"a":[{"y":2,"z":1}],"b":{"c":2,"d":1}}'],
    [[3n, 1n, 2n], '[3,1,2]'],
    [{ B: 1n, a: 2n, é: 3n, '10': 4n, '9': 5n }, '{"10":4,"9":5,"B":1,"a":2,"é":3}'],
    [{ a: undefined, b: null }, '{"b":null}'],
    [{ a: undefined }, '{}'],
    [{}, '{}'],
    [[], '[]'],
    [undefined, 'null'],
    [null, 'null'],
    [true, 'true'],
    ['say "hi"\n', '"say \\"hi\\"\\n"'],
    [{ 'a"b': 'c' }, '{"a\\"b":"c"}'],
    [0n, '0'],
    [-5n, '-5'],
    [9_007_199_254_740_991n, '9007199254740991'],
    [9_007_199_254_740_992n, '"9007199254740992"'],
    [-9_007_199_254_740_991n, '-9007199254740991'],
    [-9_007_199_254_740_992n, '"-9007199254740992"'],
    [9_223_372_036_854_775_807n, '"9223372036854775807"'],
  ])('of %o is %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  /** What JSON can hold, and integers of any size. */
  const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.constant(null),
      fc.bigInt(-(2n ** 63n), 2n ** 63n),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 5 }),
    ),
  }));

  test('is one text, in whatever order an object was put together', () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(canonicalJson(turned(value))).toBe(canonicalJson(value));
      }),
    );
  });

  test('is read back exactly by JSON.parse', () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(plain(value));
      }),
    );
  });

  test('has one text for one content: it is its own canonical form', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });
});

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** The same value, the members of every object put in in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, turned(member)]),
  );
}

/** The value with its integers as JSON can hold them: exact numbers, or else texts. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'bigint')
    return Number.isSafeInteger(Number(value)) && BigInt(Number(value)) === value
      ? Number(value)
      : String(value);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}
