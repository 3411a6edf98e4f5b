/** The token of StreamEvents over several cells. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FieldChecker } from '../../src/rpc/call/field-checker.ts';
import {
  decodeStreamToken,
  encodeStreamToken,
  type Places,
} from '../../src/rpc/event-service/stream-token.ts';

const place = fc.record({
  position: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  mark: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  epoch: fc.constantFrom(0, 0, 7, 2 ** 32 - 1),
});
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/);
const places = fc.array(fc.tuple(name, place), { maxLength: 8 }).map((pairs) => new Map(pairs));

function decode(token: string, cells: readonly string[]): Places | null {
  const check = new FieldChecker();
  const decoded = decodeStreamToken('after_token', token, check, cells);
  return check.failure() ? null : decoded;
}

test('has the place in every cell', () => {
  fc.assert(
    fc.property(places, (given) => {
      expect(decode(encodeStreamToken(given, ['a', 'b']), ['a', 'b'])).toEqual(given);
    }),
  );
});

test('of the time when there was one cell is of the first cell', () => {
  const token = encodeStreamToken(new Map([['default', { position: 7n, mark: 9, epoch: 0 }]]), [
    'default',
  ]);
  expect(decode(token, ['a', 'b'])).toEqual(new Map([['a', { position: 7n, mark: 0, epoch: 0 }]]));
});

test.each(['x', 'Ag==', 'AgE', Buffer.from([2, 200, 1]).toString('base64url')])(
  'is refused: %s',
  (token) => {
    expect(decode(token, ['a', 'b'])).toBeNull();
  },
);
