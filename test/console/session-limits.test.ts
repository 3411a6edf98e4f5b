/** How many sessions there are, and for how long. */
import { expect, test } from 'vitest';
import { Sessions } from '../../src/console/sessions.ts';

const HOUR_MS = 3_600_000;

function given() {
  let now = 1_000_000;
  const sessions = new Sessions(() => now);
  const open = (caller: string, until = Number.MAX_SAFE_INTEGER) =>
    sessions.open('token', caller, until).id;
  return {
    sessions,
    open,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('ids are 256 bits, and differ', () => {
  const { open } = given();
  const ids = Array.from({ length: 100 }, (_, number) => open(`caller ${number}`));
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(Buffer.from(id, 'base64url')).toHaveLength(32);
});

test('a caller has ten: the oldest ends first, and those of others stay', () => {
  const { sessions, open } = given();
  const other = open('ben');
  const ids = Array.from({ length: 11 }, () => open('anna'));
  const found = ids.map((id) => sessions.find(id) !== null);
  expect(found).toEqual([false, ...Array.from({ length: 10 }, () => true)]);
  expect(sessions.find(other)).not.toBeNull();
});

test('there are a thousand: the oldest ends first', () => {
  const { sessions, open } = given();
  const ids = Array.from({ length: 1_001 }, (_, number) => open(`caller ${number}`));
  expect(sessions.count).toBe(1_000);
  expect(sessions.find(ids[0] ?? '')).toBeNull();
  expect(sessions.find(ids[1] ?? '')).not.toBeNull();
});

test('one lasts 8 hours at most, or as long as its token', () => {
  const { sessions, open, pass } = given();
  const long = open('anna');
  const short = open('anna', 1_000_000 + HOUR_MS);
  pass(HOUR_MS - 1);
  expect(sessions.find(short)).not.toBeNull();
  pass(1);
  expect(sessions.find(short)).toBeNull();
  pass(7 * HOUR_MS - 1);
  expect(sessions.find(long)).not.toBeNull();
  pass(1);
  expect(sessions.find(long)).toBeNull();
});

test('those that have expired make room', () => {
  const { sessions, open, pass } = given();
  open('anna');
  pass(9 * HOUR_MS);
  open('ben');
  expect(sessions.count).toBe(1);
});
