/** How long a follower of entries rests between two batches, on a clock and with batches that the test makes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { EntryFollower } from '../src/entry-follower.ts';
import type { Em } from '../src/pg/orm.ts';

vi.mock('node:timers/promises', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  setTimeout: vi.fn(async () => {}),
}));

afterEach(() => {
  vi.useRealTimers();
  vi.mocked(sleep).mockClear();
});

/** Rests of a follower whose first of two batches takes so long. */
async function restsAfter(tookMs: number): Promise<readonly unknown[]> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const left = ['one', 'two'];
  let now = 0;
  const followed = Promise.withResolvers<void>();
  const follower = new EntryFollower({
    counted: 'entries',
    async count(_em, [accountId = '']) {
      if (left.length === 2) now += tookMs;
      left.shift();
      return { done: [accountId], unfinished: left.slice(0, 1), locked: [] };
    },
    async findUncounted() {
      followed.resolve();
      return { accountIds: [], next: null };
    },
    entriesMax: 1,
    em: () => ({}) as Em,
    log: pino({ level: 'silent' }),
    monotonic: () => now,
    intervalMs: 1_000,
  });
  follower.remember('one');
  vi.advanceTimersByTime(1_250);
  await followed.promise;
  await follower.stop();
  return vi.mocked(sleep).mock.calls.map(([ms]) => ms);
}

test('a batch is followed by a rest of three times as long', async () => {
  expect(await restsAfter(200)).toEqual([600, 0]);
});

test.each([
  ['a day', 86_400_000],
  ['a month', 30 * 86_400_000],
])('a process that was stopped for %s rests a minute', async (_, stoppedMs) => {
  expect(await restsAfter(stoppedMs)).toEqual([60_000, 0]);
});
