import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Mutex } from '../../src/lanes/mutex.ts';

test('each begins when the one before is done, or has failed', async () => {
  const turns = new Mutex();
  const seen: string[] = [];
  const work = (name: string, ms: number, fails = false) =>
    turns.take(async () => {
      seen.push(`${name} begins`);
      await sleep(ms);
      seen.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const all = await Promise.allSettled([
    work('first', 20),
    work('second', 5, true),
    work('third', 0),
  ]);
  expect(all).toEqual([
    { status: 'fulfilled', value: 'first' },
    { status: 'rejected', reason: new Error('second') },
    { status: 'fulfilled', value: 'third' },
  ]);
  expect(seen).toEqual(
    ['first', 'second', 'third'].flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
});
