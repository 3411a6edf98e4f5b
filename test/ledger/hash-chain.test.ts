import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/canonical.ts';
import type { UnsealedEntry } from '../../src/ledger/book.ts';
import { movesJson, seal, usagesJson } from '../../src/ledger/hash-chain.ts';
import { mapOf } from '../../src/map-of.ts';
import type { PricedUsage } from '../../src/pricing/price.ts';
import { entry, START } from './fixtures.ts';

const credits = fc.oneof(fc.bigInt(0n, 9n), fc.bigInt(0n, 2n ** 63n - 1n));
/** Texts that callers may send: without control characters. */
const name = fc.oneof(fc.constantFrom('', 'a', 'b'), fc.string({ maxLength: 6, unit: 'grapheme' }));
const bucket = fc.constantFrom('issued', 'available', 'reserved', 'consumed', 'expired');
const dictionary = <Value>(values: fc.Arbitrary<Value>) =>
  fc.dictionary(name, values, { maxKeys: 3, noNullPrototype: true });

const map = <Value>(values: fc.Arbitrary<Value>) => dictionary(values).map(mapOf);

/** The stored fields of a priced usage; the components of its price are not stored. */
const stored = {
  usage: fc.record({
    operation: name,
    count: credits,
    quantities: map(credits),
    attributes: map(name),
  }),
  unitCredits: credits,
  credits,
  billable: fc.boolean(),
} satisfies { [Field in keyof PricedUsage]?: fc.Arbitrary<PricedUsage[Field]> };
const pricedUsage: fc.Arbitrary<PricedUsage> = fc.record({
  ...stored,
  components: fc.constant([]),
});

/** A value for every field of an entry. A new field must be added here, and be hashed. */
const fields: { [Field in keyof UnsealedEntry]: fc.Arbitrary<UnsealedEntry[Field]> } = {
  accountId: name,
  seq: credits,
  kind: fc.constantFrom('GRANT', 'PURCHASE', 'RESERVE', 'COMMIT', 'CHARGE', 'PLAN_CHANGE'),
  at: fc.integer({ min: 0, max: 2 ** 48 }),
  moves: fc.array(fc.record({ from: bucket, to: bucket, grantId: credits, credits }), {
    maxLength: 3,
  }),
  credits,
  remainingAfter: credits,
  reservedAfter: credits,
  overageAfter: credits,
  reservationId: fc.option(fc.uuid()),
  grantId: fc.option(credits),
  refundedSeq: fc.option(credits),
  usages: fc.array(pricedUsage, { maxLength: 2 }),
  planId: fc.option(name),
  previousPlanId: fc.option(name),
  rateCardVersion: fc.option(fc.nat(9)),
  late: fc.boolean(),
  final: fc.option(fc.boolean()),
  caller: name,
  requestId: name,
  reference: name,
  labels: dictionary(name),
  traceId: name,
  spanId: name,
};
const fieldNames = Object.keys(fields) as (keyof UnsealedEntry)[];
const anyEntry: fc.Arbitrary<UnsealedEntry> = fc.record(fields);

/** The hashes of a chain, in hexadecimal. */
function hashesOf(entries: readonly UnsealedEntry[]): string[] {
  let before: Uint8Array = new Uint8Array();
  return entries.map((unsealed) => {
    before = seal(unsealed, before).hash;
    return Buffer.from(before).toString('hex');
  });
}

describe('the hash chain', () => {
  test.each(fieldNames)('covers %s: changing it changes its hash and every later one', (field) => {
    const chain = fc.array(anyEntry, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(chain, fc.nat(), fields[field] as fc.Arbitrary<unknown>, (entries, at, value) => {
        const place = at % entries.length;
        fc.pre(!isDeepStrictEqual(entries[place]![field], value));
        const changed = entries.with(place, { ...entries[place]!, [field]: value });
        const [before, after] = [hashesOf(entries), hashesOf(changed)];
        expect(after.slice(0, place)).toEqual(before.slice(0, place));
        for (let later = place; later < entries.length; later++)
          expect(after[later]).not.toBe(before[later]);
      }),
      { numRuns: 60 },
    );
  });

  test('is broken by an entry that is removed, inserted or moved', () => {
    const [a, b, c] = [entry(1n), entry(2n), entry(3n)];
    const original = hashesOf([a, b, c]).at(-1);
    for (const other of [[a, c], [b, c], [a, b, b, c], [b, a, c], [c]])
      expect(hashesOf(other).at(-1)).not.toBe(original);
  });

  test('does not depend on the order of an object’s keys', () => {
    const labels = { a: '1', b: '2', 10: '3', 9: '4' };
    const turned = Object.fromEntries(Object.entries(labels).reverse());
    expect(hashesOf([entry(1n, { labels: turned })])).toEqual(hashesOf([entry(1n, { labels })]));
  });

  test('is SHA-256 over a documented text', () => {
    const before = new Uint8Array([1, 2, 255]);
    const text = [
      '0102ff',
      'acme',
      '7',
      'CHARGE',
      '1768003200000',
      '[["available","consumed",1,5]]',
      '5',
      '95',
      '0',
      '0',
      '', // no reservation
      '', // no grant
      '', // no refunded entry
      '[]',
      '1',
      'false',
      'pages',
      'request-1',
      '"say \\"hi\\""',
      '{"team":"blue"}',
      '0af7651916cd43dd8448eb211c80319c',
      'b7ad6b7169203331',
    ];
    expect(START).toBe(1_768_003_200_000);
    const charged = entry(7n, { reference: 'say "hi"', labels: { team: 'blue' } });
    const hashOf = (unsealed: UnsealedEntry) =>
      Buffer.from(seal(unsealed, before).hash).toString('hex');
    const sha256 = (lines: readonly string[]) =>
      createHash('sha256').update(lines.join('\n')).digest('hex');
    expect(hashOf(charged)).toBe(sha256([...text, 'plan test']));
    // Entries from before accounts could move name no plan, and keep their hashes.
    expect(hashOf({ ...charged, planId: null })).toBe(sha256(text));
    const moved: UnsealedEntry = { ...charged, kind: 'PLAN_CHANGE', previousPlanId: 'old' };
    expect(hashOf(moved)).toBe(
      sha256([...text.with(3, 'PLAN_CHANGE'), 'plan test', 'previous plan old']),
    );
  });
});

describe('the stored JSON of an entry', () => {
  test('has moves as [from, to, grant, credits]', () => {
    expect(
      movesJson([
        { from: 'issued', to: 'available', grantId: 1n, credits: 5n },
        { from: 'overage', to: 'consumed', grantId: 0n, credits: 2n ** 62n },
      ]),
    ).toBe('[["issued","available",1,5],["overage","consumed",0,"4611686018427387904"]]');
  });

  test('has usages without the components of their prices', () => {
    const usage = {
      operation: 'x',
      count: 2n,
      quantities: mapOf({ b: 1n, a: 3n }),
      attributes: mapOf({ f: 'p' }),
    };
    expect(
      usagesJson([
        {
          usage,
          unitCredits: 4n,
          credits: 8n,
          billable: true,
          components: [{ label: 'x', credits: 4n }],
        },
      ]),
    ).toBe(
      '[{"attributes":{"f":"p"},"billable":true,"count":2,"credits":8,"operation":"x",' +
        '"quantities":{"a":3,"b":1},"unit_credits":4}]',
    );
  });

  test('is canonical JSON, whatever the content', () => {
    fc.assert(
      fc.property(fields.moves, fields.usages, (moves, usages) => {
        expect(movesJson(moves)).toBe(
          canonicalJson(
            moves.map(({ from, to, grantId, credits }) => [from, to, grantId, credits]),
          ),
        );
        expect(usagesJson(usages)).toBe(
          canonicalJson(
            usages.map(({ usage, unitCredits, credits, billable }) => ({
              ...usage,
              unit_credits: unitCredits,
              credits,
              billable,
            })),
          ),
        );
      }),
    );
  });
});
