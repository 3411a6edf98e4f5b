/** The tail, on fake timers. */
import { setImmediate as nextIteration } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Tail } from '../src/tail.ts';

const LONGEST_INTERVAL_MS = 1_250;
const NEVER = new AbortController().signal;

let tail: Tail;
/** What another replica has appended, and the queries for it. */
let newest: Map<string, bigint>;
let queries: (readonly string[])[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  newest = new Map();
  queries = [];
  tail = new Tail({
    name: 'the tail',
    async fetchNewest(keys) {
      queries.push(keys);
      return newest;
    },
    intervalMs: 1_000,
    log: pino({ level: 'silent' }),
  });
});
afterEach(async () => {
  await tail.stop();
  vi.useRealTimers();
});

/** A follower, and whether it has been woken. */
function follow(key: string, position: bigint, signal = NEVER) {
  const follower = { isWoken: false };
  void tail.waitBeyond(key, position, signal).then(() => {
    follower.isWoken = true;
  });
  return follower;
}

async function letAnIntervalPass() {
  vi.advanceTimersByTime(LONGEST_INTERVAL_MS);
  await nextIteration();
}

describe('a follower is woken', () => {
  test('at once, without a query, when this replica appends beyond its position', async () => {
    const [at4, at5] = [follow('a', 4n), follow('a', 5n)];
    const other = follow('b', 0n);
    tail.advance('a', 5n);
    await nextIteration();
    expect([at4.isWoken, at5.isWoken, other.isWoken]).toEqual([true, false, false]);
    expect(queries).toEqual([]);
  });

  test('within the interval when another replica appends, by one query for all followers', async () => {
    const followers = [follow('a', 4n), follow('a', 5n), follow('b', 0n)];
    newest.set('a', 5n).set('b', 1n);
    await letAnIntervalPass();
    expect(followers.map(({ isWoken }) => isWoken)).toEqual([true, false, true]);
    expect(queries).toEqual([['a', 'b']]);
    newest.set('a', 6n);
    await letAnIntervalPass();
    expect(followers.every(({ isWoken }) => isWoken)).toBe(true);
    expect(queries).toEqual([['a', 'b'], ['a']]);
  });

  test('within the interval when its stream is behind it, or gone', async () => {
    const followers = [follow('a', 4n), follow('a', 5n), follow('b', 1n)];
    newest.set('a', 4n);
    await letAnIntervalPass();
    expect(followers.map(({ isWoken }) => isWoken)).toEqual([false, true, true]);
  });

  test('when its signal aborts, also before it waits', async () => {
    const cancelled = new AbortController();
    const follower = follow('a', 0n, cancelled.signal);
    await nextIteration();
    expect(follower.isWoken).toBe(false);
    cancelled.abort();
    await nextIteration();
    expect(follower.isWoken).toBe(true);
    const late = follow('a', 0n, cancelled.signal);
    await nextIteration();
    expect(late.isWoken).toBe(true);
  });
});

test('without followers there are no queries', async () => {
  const cancelled = new AbortController();
  follow('a', 0n, cancelled.signal);
  cancelled.abort();
  await nextIteration();
  await letAnIntervalPass();
  expect(queries).toEqual([]);
});
