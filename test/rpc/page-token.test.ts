import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { decodePageToken, encodePageToken } from '../../src/rpc/call/pages.ts';

/** The key of a token, or the failure. */
function read(list: readonly string[], token: string): unknown {
  try {
    return decodePageToken(list, token);
  } catch (error) {
    return error;
  }
}

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((some) => some.isWellFormed());
const list = fc.array(text, { minLength: 1, maxLength: 3 });

describe('a page token', () => {
  test('returns its key for the same list with the same arguments', () => {
    fc.assert(
      fc.property(list, text, (of, key) => {
        expect(decodePageToken(of, encodePageToken(of, key))).toBe(key);
      }),
    );
    expect(decodePageToken(['grants', 'acme'], encodePageToken(['grants', 'acme'], 7n))).toBe('7');
  });

  test('is refused for other lists and other arguments', () => {
    fc.assert(
      fc.property(list, list, text, (made, asked, key) => {
        fc.pre(JSON.stringify(made) !== JSON.stringify(asked));
        expect(read(asked, encodePageToken(made, key))).toBeInstanceOf(Failure);
      }),
    );
  });

  test('consists of characters that are safe in a URL', () => {
    fc.assert(
      fc.property(list, text, (of, key) => {
        expect(encodePageToken(of, key)).toMatch(/^[A-Za-z0-9_-]+$/);
      }),
    );
  });

  test('that is empty means the first page', () => {
    expect(decodePageToken(['grants', 'acme'], '')).toBeNull();
  });

  const token = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  test.each([
    ['is not base64', '%%%'],
    ['is not JSON', Buffer.from('{').toString('base64url')],
    ['is not a list', token({ 0: 'grants' })],
    ['is a list with a number', token(['grants', 'acme', 7])],
    ['has no key', token(['grants', 'acme'])],
    ['has too many parts', token(['grants', 'acme', '7', '8'])],
    ['is of another list', token(['reservations', 'acme', '7'])],
    ['is of another account', token(['grants', 'other', '7'])],
  ])('that %s is refused', (_, foreign) => {
    expect(read(['grants', 'acme'], foreign)).toMatchObject({
      reason: 'INVALID_FIELD',
      metadata: { field: 'page_token' },
      violations: [{ field: 'page_token' }],
    });
  });
});
