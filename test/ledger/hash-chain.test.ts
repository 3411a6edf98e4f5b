import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AnsweredRequest, StoredEntry, UnsealedEntry } from '../../src/ledger/entry.ts';
import { readContent } from '../../src/ledger/entry-content.ts';
import { type SealedEntry, seal, sealAgain } from '../../src/ledger/hash-chain.ts';
import { mapOf } from '../../src/map-of.ts';
import type { PricedUsage } from '../../src/pricing/price.ts';
import { entry, START } from './fixtures.ts';

const credits = fc.oneof(fc.bigInt(0n, 9n), fc.bigInt(0n, 2n ** 63n - 1n));
/** Texts that callers may send: without control characters. Of a lone backslash see entry-content.test.ts. */
const name = fc
  .oneof(fc.constantFrom('', 'a', 'b'), fc.string({ maxLength: 6, unit: 'grapheme' }))
  .filter((text) => text !== '\\');
const planId = fc.constantFrom('a', 'b', 'ab');
const bucket = fc.constantFrom('issued', 'available', 'reserved', 'consumed', 'expired');
const bytes = fc.uint8Array({ minLength: 1, maxLength: 3 });
const dictionary = <Value>(values: fc.Arbitrary<Value>) =>
  fc.dictionary(name, values, { maxKeys: 3, noNullPrototype: true });

const map = <Value>(values: fc.Arbitrary<Value>) => dictionary(values).map(mapOf);

/** The components of a price are not stored. */
const pricedUsage: fc.Arbitrary<PricedUsage> = fc
  .record({
    operation: name,
    count: credits,
    quantities: map(credits),
    attributes: map(name),
    unitCredits: credits,
    billable: fc.boolean(),
  })
  .map(({ unitCredits, billable, ...usage }) => ({
    usage,
    unitCredits,
    credits: usage.count * unitCredits,
    billable,
    components: [],
  }));

/** A value for every field of an entry. A new field must be added here, and be hashed. */
const fields: { [Field in keyof UnsealedEntry]-?: fc.Arbitrary<UnsealedEntry[Field]> } = {
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
  owedAfter: credits,
  reservationId: fc.option(fc.uuid()),
  purchaseId: fc.option(fc.uuid()),
  grantId: fc.option(credits),
  refundedSeq: fc.option(credits),
  usages: fc.array(pricedUsage, { maxLength: 2 }),
  planId,
  planVersion: fc.nat(9),
  termsHash: name,
  previousPlanId: fc.option(planId),
  rateCardVersion: fc.option(fc.nat(9)),
  rateCardHash: name,
  usedAt: fc.option(fc.nat()),
  late: fc.boolean(),
  final: fc.boolean(),
  asked: fc.option(credits),
  expiresAt: fc.option(fc.nat(9)),
  overCommitPolicy: fc.constantFrom('REJECT', 'CAP', 'DRAW', 'TAKE'),
  details: dictionary(name),
  sealedEvents: fc.option(
    fc.record({ upTo: credits, hash: fc.constantFrom('ab', 'cd') }, { noNullPrototype: true }),
  ),
  caller: name,
  requestId: name,
  onBehalfOf: name,
  certificate: name,
  reference: name,
  labels: dictionary(name),
  // "labels" is the place of the labels.
  personal: dictionary(name).filter((personal) => !('labels' in personal)),
  traceId: name,
  spanId: name,
  request: fc.option(
    fc.record({
      method: fc.constantFrom<AnsweredRequest['method']>('Charge', 'Commit'),
      fingerprint: bytes,
      response: bytes,
    }),
  ),
};
const fieldNames = Object.keys(fields) as (keyof UnsealedEntry)[];

/** Only a COMMIT is final or not, and only a RESERVE has a policy. */
const possible = (unsealed: UnsealedEntry): UnsealedEntry => ({
  ...unsealed,
  final: unsealed.kind === 'COMMIT' ? unsealed.final : null,
  overCommitPolicy: unsealed.kind === 'RESERVE' ? unsealed.overCommitPolicy : null,
});
/** A value of every kind, so that the fields that only one kind has are met as well. */
const entryOf = (kind: UnsealedEntry['kind']) =>
  fc.record({ ...fields, kind: fc.constant(kind) }).map(possible);
const anyEntry = fc.record(fields).map(possible);

const TERMS = { termsHash: 'terms 1', rateCardHash: 'card 1' };

const SALT = new Uint8Array([1, 2, 254]);
const newSalt = () => SALT;

const hex = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('hex');

const sha256 = (lines: readonly unknown[]) =>
  createHash('sha256').update(lines.join('\n')).digest();

function sealAll(entries: readonly UnsealedEntry[]): SealedEntry[] {
  let before: Uint8Array = new Uint8Array();
  return entries.map((unsealed) => {
    const sealed = seal(unsealed, before, newSalt);
    before = sealed.hash;
    return sealed;
  });
}

/** The hashes of a chain, in hexadecimal. */
const hashesOf = (entries: readonly UnsealedEntry[]) =>
  sealAll(entries).map(({ hash }) => hex(hash));

/** The entry as the SQL function erase_entry leaves it. */
const erased = (sealed: SealedEntry): StoredEntry => ({
  ...sealed,
  erasedHash: sha256([
    hex(sealed.salt),
    hex(sealed.request?.fingerprint),
    hex(sealed.request?.response),
    sealed.reference,
    sealed.personalJson ?? '',
  ]),
  request: sealed.request && { method: sealed.request.method, fingerprint: null, response: null },
  reference: '',
  labels: {},
  personal: {},
  onBehalfOf: '',
  salt: null,
});

describe('the hash chain', () => {
  const kindWith: Partial<Record<keyof UnsealedEntry, UnsealedEntry['kind']>> = {
    final: 'COMMIT',
    overCommitPolicy: 'RESERVE',
  };
  test.each(fieldNames)('covers %s: changing it changes its hash and every later one', (field) => {
    const kind = kindWith[field];
    const chain = fc.array(kind ? entryOf(kind) : anyEntry, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(chain, fc.nat(), fields[field] as fc.Arbitrary<unknown>, (entries, at, value) => {
        const place = at % entries.length;
        const original = entries[place]!;
        fc.pre(!isDeepStrictEqual(original[field], value));
        const changed = entries.with(place, possible({ ...original, [field]: value }));
        const [before, after] = [hashesOf(entries), hashesOf(changed)];
        expect(after.slice(0, place)).toEqual(before.slice(0, place));
        for (let later = place; later < entries.length; later++)
          expect(after[later]).not.toBe(before[later]);
      }),
      { numRuns: 60 },
    );
  });

  test.each(['method', 'fingerprint', 'response'] as const)(
    'covers the %s of a request',
    (part) => {
      const request = {
        method: 'Charge',
        fingerprint: new Uint8Array([1]),
        response: new Uint8Array([2]),
      } as const;
      const other = { ...request, [part]: part === 'method' ? 'Commit' : new Uint8Array([3]) };
      expect(hashesOf([entry(1n, { request: other })])).not.toEqual(
        hashesOf([entry(1n, { request })]),
      );
    },
  );

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
      '5',
      '95',
      '0',
      '0',
      '', // no reservation
      '', // no purchase
      '', // no grant
      '', // no refunded entry
      'test',
      '1', // version of the plan
      'terms 1', // and its hash
      '', // no previous plan
      '1', // version of the rate card
      'card 1',
      'pages',
      'request-1',
      'Charge',
      '0af7651916cd43dd8448eb211c80319c',
      'b7ad6b7169203331',
      '{"m":[["ac",1,5]]}',
    ];
    const personal = [
      '0102fe',
      '0a0b',
      '0c',
      'say "hi"',
      '{"labels":{"team":"blue"},"reason":"why"}',
    ];
    expect(START).toBe(1_768_003_200_000);
    const charged = entry(7n, {
      reference: 'say "hi"',
      labels: { team: 'blue' },
      personal: { reason: 'why' },
      request: {
        method: 'Charge',
        fingerprint: new Uint8Array([10, 11]),
        response: new Uint8Array([12]),
      },
    });
    expect(hex(seal(charged, before, newSalt).hash)).toBe(
      hex(sha256([...text, hex(sha256(personal))])),
    );
    // What the service does by itself, without personal data.
    const moved = entry(7n, {
      kind: 'PLAN_CHANGE',
      moves: [],
      previousPlanId: 'old',
      requestId: '',
    });
    const textOfMove = text
      .with(3, 'PLAN_CHANGE')
      .with(16, 'old')
      .with(20, '')
      .with(21, '')
      .with(24, '{}');
    expect(hex(seal(moved, before, newSalt).hash)).toBe(
      hex(sha256([...textOfMove, hex(sha256(['', '', '', '', '']))])),
    );
  });

  test('is computed again from what is stored', () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 4 }), (entries) => {
        let before: Uint8Array = new Uint8Array();
        for (const [index, stored] of sealAll(entries).entries()) {
          const { contentJson, personalJson: _, hash, ...sealed } = stored;
          const read = { ...sealed, ...readContent(JSON.parse(contentJson), sealed.kind) };
          const again = sealAgain(read, entries[index]!, before);
          expect(hex(again.hash)).toBe(hex(hash));
          before = hash;
        }
      }),
    );
  });
});

describe('personal data', () => {
  const NONE = { reference: '', labels: {}, personal: {}, onBehalfOf: '' } as const;
  const PERSONAL_FIELDS: readonly string[] = Object.keys(NONE);

  test.each([
    ['a reference', { ...NONE, reference: 'job 7' }, null],
    ['labels', { ...NONE, labels: { team: 'blue' } }, '{"labels":{"team":"blue"}}'],
    ['a text', { ...NONE, personal: { reason: 'why' } }, '{"reason":"why"}'],
    ['whom the caller acted for', { ...NONE, onBehalfOf: 'anna' }, '{"on_behalf_of":"anna"}'],
  ])('that is %s is hashed with a salt', (_, change, personalJson) => {
    const sealed = seal(entry(1n, change), new Uint8Array(), newSalt);
    expect(sealed).toMatchObject({ salt: SALT, personalJson, erasedHash: null });
    const salted = seal(entry(1n, change), new Uint8Array(), () => new Uint8Array([9]));
    expect(hex(salted.hash)).not.toBe(hex(sealed.hash));
  });

  test('that an entry does not have needs no salt', () => {
    const noSalt = () => expect.fail('made a salt');
    expect(seal(entry(1n, NONE), new Uint8Array(), noSalt)).toMatchObject({
      salt: null,
      personalJson: null,
    });
  });

  test('may be in the response of a request: it has a salt', () => {
    const request = { method: 'Charge', fingerprint: SALT, response: SALT } as const;
    const sealed = seal(entry(1n, { ...NONE, request }), new Uint8Array(), newSalt);
    expect(sealed).toMatchObject({ salt: newSalt(), personalJson: null });
  });

  test('can be erased, with the request that had it: the hash stays', () => {
    fc.assert(
      fc.property(anyEntry, bytes, (unsealed, before) => {
        const sealed = seal(unsealed, before, newSalt);
        expect(hex(sealAgain(erased(sealed), unsealed, before).hash)).toBe(hex(sealed.hash));
      }),
    );
  });

  test.each(fieldNames.filter((field) => !PERSONAL_FIELDS.includes(field)))(
    'that was erased leaves %s covered',
    (field) => {
      const kind = { final: 'COMMIT', overCommitPolicy: 'RESERVE' }[field as string] ?? 'CHARGE';
      fc.assert(
        fc.property(
          entryOf(kind as UnsealedEntry['kind']),
          fields[field] as fc.Arbitrary<unknown>,
          (unsealed, value) => {
            const { termsHash, rateCardHash } = unsealed;
            const stored = { ...erased(seal(unsealed, SALT, newSalt)), termsHash, rateCardHash };
            const changed = { ...stored, [field]: value };
            // Of a request, only the method is left.
            if (field === 'request') fc.pre(changed.request?.method !== stored.request?.method);
            else fc.pre(!isDeepStrictEqual(stored[field], value));
            const covered = { ...changed, ...possible(changed) };
            expect(hex(sealAgain(covered, covered, SALT).hash)).not.toBe(hex(stored.hash));
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  test('that was erased cannot be replaced: its hash is covered', () => {
    const sealed = seal(entry(1n, { reference: 'job 7' }), SALT, newSalt);
    const stored = erased(sealed);
    const forged = { ...stored, erasedHash: sha256(['another']) };
    expect(hex(sealAgain(forged, TERMS, SALT).hash)).not.toBe(hex(sealed.hash));
    expect(hex(sealAgain({ ...stored, erasedHash: null }, TERMS, SALT).hash)).not.toBe(
      hex(sealed.hash),
    );
  });
});
