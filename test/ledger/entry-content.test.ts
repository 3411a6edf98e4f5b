/** The JSON text of an entry: short, canonical, and read back as it was. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EntryKind } from '../../src/ledger/entry.ts';
import { contentJson, type EntryContent, readContent } from '../../src/ledger/entry-content.ts';
import { mapOf } from '../../src/map-of.ts';
import type { PricedUsage } from '../../src/pricing/price.ts';
import { KIND_CODES } from '../../src/store/tables/codes.ts';

const content = (change: Partial<EntryContent> = {}): EntryContent => ({
  moves: [],
  usages: [],
  usedAt: null,
  late: false,
  final: null,
  asked: null,
  owedAfter: 0n,
  expiresAt: null,
  overCommitPolicy: null,
  details: {},
  certificate: '',
  sealedEvents: null,
  ...change,
});

const priced = (
  usage: Partial<PricedUsage['usage']>,
  unitCredits: bigint,
  billable = true,
): PricedUsage => {
  const whole = {
    operation: 'x',
    count: 1n,
    quantities: new Map(),
    attributes: new Map(),
    ...usage,
  };
  const credits = whole.count * unitCredits;
  return { usage: whole, unitCredits, credits, billable, components: [] };
};

test.each<[string, EntryKind, EntryContent, string]>([
  ['nothing', 'CLOSE_ACCOUNT', content(), '{}'],
  [
    'moves, as two letters for the buckets, the grant, and the credits',
    'CHARGE',
    content({
      moves: [
        { from: 'available', to: 'consumed', grantId: 7n, credits: 5n },
        { from: 'overage', to: 'consumed', grantId: 0n, credits: 2n ** 62n },
      ],
    }),
    '{"m":[["ac",7,5],["oc",0,"4611686018427387904"]]}',
  ],
  [
    'every bucket',
    'REFUND',
    content({
      moves: [
        { from: 'issued', to: 'available', grantId: 1n, credits: 1n },
        { from: 'reserved', to: 'expired', grantId: 1n, credits: 1n },
        { from: 'overage', to: 'overage_reserved', grantId: 0n, credits: 1n },
        { from: 'consumed', to: 'issued', grantId: 1n, credits: 1n },
      ],
    }),
    '{"m":[["ia",1,1],["rx",1,1],["oh",0,1],["ci",1,1]]}',
  ],
  [
    'a usage, without what it does not have',
    'CHARGE',
    content({ usages: [priced({}, 4n)] }),
    '{"u":[["x",1,4]]}',
  ],
  [
    'quantities by name',
    'CHARGE',
    content({ usages: [priced({ count: 2n, quantities: mapOf({ b: 1n, a: 2n ** 53n }) }, 4n)] }),
    '{"u":[["x",2,4,{"a":"9007199254740992","b":1}]]}',
  ],
  [
    'attributes, after quantities even if there are none',
    'CHARGE',
    content({ usages: [priced({ attributes: mapOf({ mode: 'fast "one"' }) }, 4n)] }),
    String.raw`{"u":[["x",1,4,{},{"mode":"fast \"one\""}]]}`,
  ],
  [
    'usages that are not billable, last',
    'RESERVE',
    content({ usages: [priced({}, 0n, false)], overCommitPolicy: 'REJECT' }),
    '{"u":[["x",1,0,{},{},false]]}',
  ],
  [
    'the expiry and the policy of a reservation',
    'RESERVE',
    content({ expiresAt: 1_768_003_200_000, overCommitPolicy: 'DRAW' }),
    '{"x":1768003200000,"p":"DRAW"}',
  ],
  ['what is owed after it', 'COMMIT', content({ final: true, owedAfter: 7n }), '{"w":7}'],
  ['a policy of REJECT not at all', 'RESERVE', content({ overCommitPolicy: 'REJECT' }), '{}'],
  ['a final commit not at all', 'COMMIT', content({ final: true }), '{}'],
  [
    'a late commit that is not final, and what it asked for',
    'COMMIT',
    content({ late: true, final: false, asked: 40n }),
    '{"l":true,"f":false,"a":40}',
  ],
  ['that 0 credits were asked for', 'COMMIT', content({ final: true, asked: 0n }), '{"a":0}'],
  [
    'details in the order of their names',
    'OFFER_PACK',
    content({ details: { pack_id: 'p', credits: '5' } }),
    '{"d":{"credits":"5","pack_id":"p"}}',
  ],
])('it states %s', (_, kind, stated, text) => {
  expect(contentJson(stated)).toBe(text);
  expect(readContent(JSON.parse(text), kind)).toEqual(stated);
});

const integers = fc.oneof(
  fc.bigInt(0n, 9n),
  fc.bigInt(2n ** 53n - 2n, 2n ** 53n + 2n),
  fc.bigInt(0n, 2n ** 63n - 1n),
);
/**
 * Without the name of one backslash: once Node 24 has parsed an object with that name, it reads the name of
 * one quotation mark as a backslash.
 */
const names = fc
  .oneof(
    fc.constantFrom(
      '__proto__',
      'constructor',
      'toString',
      '',
      '"',
      '"\\',
      'a',
      '10',
      '9',
      'Größe',
      '🪙',
    ),
    fc.string({ maxLength: 6, unit: 'grapheme' }),
  )
  .filter((text) => text !== '\\');
const dictionary = <Value>(values: fc.Arbitrary<Value>) =>
  fc.dictionary(names, values, { maxKeys: 4, noNullPrototype: true });
const buckets = fc.constantFrom(
  'issued' as const,
  'available' as const,
  'reserved' as const,
  'overage' as const,
  'overage_reserved' as const,
  'consumed' as const,
  'expired' as const,
);
const moves = fc.record(
  { from: buckets, to: buckets, grantId: integers, credits: integers },
  { noNullPrototype: true },
);
const usages = fc
  .record({
    operation: names,
    count: integers,
    quantities: dictionary(integers).map(mapOf),
    attributes: dictionary(names).map(mapOf),
    unitCredits: integers,
    billable: fc.boolean(),
  })
  .map(({ unitCredits, billable, ...usage }) => priced(usage, unitCredits, billable));
const kinds = fc.constantFrom(...(Object.keys(KIND_CODES) as EntryKind[]));

/** What an entry of a kind can state: only a COMMIT is final or not, and only a RESERVE has a policy. */
const contents = fc
  .record({
    kind: kinds,
    moves: fc.array(moves, { maxLength: 4 }),
    usages: fc.array(usages, { maxLength: 3 }),
    usedAt: fc.option(fc.nat()),
    late: fc.boolean(),
    final: fc.boolean(),
    asked: fc.option(integers),
    owedAfter: integers,
    expiresAt: fc.option(fc.integer({ min: 0, max: 2 ** 48 })),
    overCommitPolicy: fc.constantFrom(
      'REJECT' as const,
      'CAP' as const,
      'DRAW' as const,
      'TAKE' as const,
    ),
    details: dictionary(names),
    certificate: fc.constantFrom('', 'spiffe://example.org/gateway'),
    sealedEvents: fc.option(
      fc.record(
        { upTo: fc.bigInt(1n, 2n ** 63n - 1n), hash: fc.constantFrom('ab', 'cd') },
        { noNullPrototype: true },
      ),
    ),
  })
  .map(({ kind, final, overCommitPolicy, ...others }) => ({
    kind,
    stated: {
      ...others,
      final: kind === 'COMMIT' ? final : null,
      overCommitPolicy: kind === 'RESERVE' ? overCommitPolicy : null,
    } satisfies EntryContent,
  }));

describe('whatever an entry states', () => {
  test('is read back as it was', () => {
    fc.assert(
      fc.property(contents, ({ kind, stated }) => {
        // Not toEqual: it would not compare members that are called __proto__.
        assert.deepStrictEqual(readContent(JSON.parse(contentJson(stated)), kind), stated);
      }),
      { numRuns: 1_000 },
    );
  });

  test('has one text, in whatever order names were given', () => {
    const turnedMap = <Value>(map: ReadonlyMap<string, Value>) => new Map([...map].reverse());
    fc.assert(
      fc.property(contents, ({ stated }) => {
        const turned = {
          ...stated,
          usages: stated.usages.map((line) => ({
            ...line,
            usage: {
              ...line.usage,
              quantities: turnedMap(line.usage.quantities),
              attributes: turnedMap(line.usage.attributes),
            },
          })),
          details: Object.fromEntries(Object.entries(stated.details).reverse()),
        };
        expect(contentJson(turned)).toBe(contentJson(stated));
      }),
    );
  });
});

test('a text with a bucket that does not exist is not read', () => {
  expect(() => readContent({ m: [['az', 1, 1]] }, 'CHARGE')).toThrow('there is no bucket z');
});
