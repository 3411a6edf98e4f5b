/** Request ids as bytes, in TypeScript and in SQL. */
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { requestIdToBytes, requestIdToText } from '../../src/store/tables/request-id.ts';
import { createDatabase, execute } from '../postgres.ts';

const UUID = '0199a3b0-7c1d-7e2f-8a4b-5c6d7e8f9a0b';
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Texts that callers may send have no control characters. */
const texts = (minLength: number, maxLength: number) =>
  fc.string({ minLength, maxLength, unit: 'grapheme' });
const requestIds = fc.oneof(
  fc.uuid(),
  fc.uuid().map((uuid) => uuid.toUpperCase()),
  fc.uuid().map((uuid) => uuid.replaceAll('-', '')),
  fc.uuid().map((uuid) => `${uuid}x`),
  fc.string({ minLength: 15, maxLength: 17, unit: 'grapheme-ascii' }),
  texts(4, 8),
  texts(1, 60),
);

test.each([
  ['a UUID in 16 bytes', UUID, '0199a3b07c1d7e2f8a4b5c6d7e8f9a0b'],
  ['a UUID in capitals as text', UUID.toUpperCase(), hex(Buffer.from(UUID.toUpperCase()))],
  ['15 bytes as they are', 'fifteen bytes..', hex(Buffer.from('fifteen bytes..'))],
  ['16 bytes after a zero', 'sixteen bytes...', `00${hex(Buffer.from('sixteen bytes...'))}`],
  ['17 bytes as they are', 'seventeen bytes..', hex(Buffer.from('seventeen bytes..'))],
  ['8 characters of 2 bytes after a zero', 'üüüüüüüü', `00${hex(Buffer.from('üüüüüüüü'))}`],
])('it is stored: %s', (_, requestId, stored) => {
  expect(hex(requestIdToBytes(requestId))).toBe(stored);
  expect(requestIdToText(requestIdToBytes(requestId))).toBe(requestId);
});

describe('any request id', () => {
  test('is read back as it was', () => {
    fc.assert(
      fc.property(requestIds, (requestId) => {
        expect(requestIdToText(requestIdToBytes(requestId))).toBe(requestId);
      }),
      { numRuns: 2_000 },
    );
  });

  test('has bytes that no other has', () => {
    const seen = new Map<string, string>();
    // A UUID and the texts that its bytes and its hexadecimal would be.
    const lookalikes = fc.sample(fc.uuid(), { seed: 7, numRuns: 200 }).flatMap((uuid) => {
      const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
      return [uuid, uuid.toUpperCase(), bytes.toString('hex'), bytes.toString('latin1')];
    });
    for (const requestId of [
      ...lookalikes,
      ...fc.sample(requestIds, { seed: 7, numRuns: 2_000 }),
    ]) {
      const bytes = hex(requestIdToBytes(requestId));
      expect(seen.get(bytes) ?? requestId).toBe(requestId);
      seen.set(bytes, requestId);
    }
    expect(seen.size).toBeGreaterThan(2_000);
  });

  test('has the same bytes in SQL, and is read from them in SQL', async () => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    await fc.assert(
      fc.asyncProperty(fc.array(requestIds, { minLength: 100, maxLength: 100 }), async (ids) => {
        const rows = await execute(
          databaseUrl,
          `select request_id_to_bytes(id) as bytes, request_id_to_text(request_id_to_bytes(id)) as back
           from unnest($1::text[]) with ordinality as n(id, number) order by number`,
          [ids],
        );
        expect(rows).toEqual(
          ids.map((id) => ({ bytes: Buffer.from(requestIdToBytes(id)), back: id })),
        );
      }),
      { numRuns: 20 },
    );
  });
});
