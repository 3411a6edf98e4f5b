/** PostgreSQL receives each element of a binary array as it was sent. */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { binaryArray, type Element, type ElementType } from '../../src/pg/binary-array.ts';

let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client(inject('postgresUrl'));
  await client.connect();
});
afterAll(() => client.end());

/** The elements that PostgreSQL receives, as text. */
async function received(type: ElementType, values: readonly Element[], sqlType: string) {
  const array = binaryArray(type, values, (value) => value);
  const { rows } = await client.query(
    `select ${sqlType === 'timestamptz' ? '(extract(epoch from v) * 1000)::bigint' : 'v'}::text as v
     from unnest($1::${sqlType}[]) with ordinality as u(v, n) order by n`,
    [array],
  );
  return rows.map(({ v }) => v as string | null);
}

const text = fc
  .string({ unit: 'grapheme', maxLength: 80 })
  .filter((characters) => !characters.includes('\0'));
const nullable = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.array(fc.option(arbitrary), { maxLength: 40 });
const asText = (value: Element): string | null => (value === null ? null : String(value));

describe('PostgreSQL receives what was sent', () => {
  test.each<[ElementType, string, fc.Arbitrary<Element>, (value: Element) => string | null]>([
    ['text', 'text', text, asText],
    ['numeric', 'text', fc.constantFrom('19.00', '0.051', '599'), asText],
    ['bigint', 'bigint', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), asText],
    ['int', 'int', fc.integer(), asText],
    ['smallint', 'smallint', fc.integer({ min: -32_768, max: 32_767 }), asText],
    ['boolean', 'boolean', fc.boolean(), asText],
    ['uuid', 'uuid', fc.uuid(), asText],
    [
      'bytea',
      'bytea',
      fc.uint8Array({ maxLength: 300 }),
      (v) => (v === null ? null : `\\x${Buffer.from(v as Uint8Array).toString('hex')}`),
    ],
    ['instant', 'timestamptz', fc.integer({ min: 0, max: 253_402_300_799_999 }), asText],
  ])('%s', async (type, sqlType, arbitrary, expected) => {
    await fc.assert(
      fc.asyncProperty(nullable(arbitrary), async (values) => {
        expect(await received(type, values, sqlType)).toEqual(values.map(expected));
      }),
      { numRuns: 50 },
    );
  });

  test.each(['json', 'jsonb'] as const)('%s with any text', async (type) => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 20 }), async (values) => {
        const stored = await received(
          type,
          values.map((v) => JSON.stringify([v])),
          type,
        );
        expect(stored.map((v) => JSON.parse(v ?? 'null')[0])).toEqual(values);
      }),
      { numRuns: 50 },
    );
  });

  test('an empty array', async () => {
    expect(await received('text', [], 'text')).toEqual([]);
  });
});
