/** The poller, on fake timers and with runs that end when a test says so. */
import { setImmediate as nextIteration } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { forEachConcurrently } from '../src/for-each-concurrently.ts';
import { Poller } from '../src/poller.ts';

const INTERVAL_MS = 1_000;
const LONGEST_INTERVAL_MS = 1_250;

type Run = { end(more?: boolean): Promise<void>; fail(error: Error): Promise<void> };

/** Runs that have started, the newest last. */
let runs: Run[];
let log: pino.Logger;
let warn: ReturnType<typeof vi.spyOn>;
let pollers: Poller[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  runs = [];
  pollers = [];
  log = pino({ level: 'silent' });
  warn = vi.spyOn(log, 'warn');
});
afterEach(async () => {
  const stopped = Promise.all(pollers.map((poller) => poller.stop()));
  for (const run of runs) await run.end();
  await stopped;
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function start(): Poller {
  const run = () =>
    new Promise<boolean>((resolve, reject) => {
      runs.push({
        async end(more = false) {
          resolve(more);
          await nextIteration();
        },
        async fail(error) {
          reject(error);
          await nextIteration();
        },
      });
    });
  const poller = new Poller({ name: 'the task', run, intervalMs: INTERVAL_MS, log });
  pollers.push(poller);
  return poller;
}

const lastRun = (): Run => runs.at(-1) ?? expect.fail('no run has started');

/** Whether a promise resolves without anything further happening. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), nextIteration(false)]);
}

describe('a run starts', () => {
  test.each([
    [0, 750],
    [0.5, 1_000],
    [1, 1_250],
  ])('after the interval with a jitter of at most 25 % (random %d: %i ms)', async (random, ms) => {
    vi.spyOn(Math, 'random').mockReturnValue(random);
    start();
    for (let count = 1; count <= 3; count++) {
      vi.advanceTimersByTime(ms - 1);
      expect(runs.length).toBe(count - 1);
      vi.advanceTimersByTime(1);
      expect(runs.length).toBe(count);
      await lastRun().end();
    }
  });

  test('at once when the poller is woken, and the interval begins anew', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const poller = start();
    vi.advanceTimersByTime(INTERVAL_MS - 1);
    poller.wake();
    expect(runs.length).toBe(1);
    await lastRun().end();
    vi.advanceTimersByTime(INTERVAL_MS - 1);
    expect(runs.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(runs.length).toBe(2);
  });

  test('at once after a run that left work', async () => {
    start().wake();
    await lastRun().end(true);
    expect(runs.length).toBe(2);
    await lastRun().end(false);
    expect(runs.length).toBe(2);
  });

  test('only after the current one has ended, however often the poller is woken', async () => {
    const poller = start();
    for (let count = 0; count < 5; count++) poller.wake();
    vi.advanceTimersByTime(10 * INTERVAL_MS);
    expect(runs.length).toBe(1);
    await lastRun().end();
    expect(runs.length, 'one run for all that woke it').toBe(2);
    await lastRun().end();
    expect(runs.length).toBe(2);
  });
});

describe('a run that fails', () => {
  test('is repeated after the interval, though the poller was woken or work was left', async () => {
    const poller = start();
    poller.wake();
    await lastRun().end(true);
    poller.wake();
    await lastRun().fail(new Error('database unavailable'));
    expect(runs.length).toBe(2);
    vi.advanceTimersByTime(LONGEST_INTERVAL_MS);
    expect(runs.length).toBe(3);
  });

  test('is logged once per outage', async () => {
    const poller = start();
    const error = new Error('database unavailable');
    for (let count = 0; count < 3; count++) {
      poller.wake();
      await lastRun().fail(error);
    }
    expect(warn.mock.calls).toEqual([[{ err: error }, 'the task failed; it will be repeated']]);
    poller.wake();
    await lastRun().end();
    poller.wake();
    await lastRun().fail(error);
    expect(warn).toHaveBeenCalledTimes(2);
  });
});

describe('stop', () => {
  test('resolves after the current run, tells that run, and no other starts', async () => {
    const poller = start();
    poller.wake();
    poller.wake();
    expect(poller.stopping.aborted).toBe(false);
    const stopped = poller.stop();
    expect(poller.stopping.aborted).toBe(true);
    expect(await isSettled(stopped)).toBe(false);
    await lastRun().end(true);
    await stopped;
    poller.wake();
    vi.advanceTimersByTime(10 * INTERVAL_MS);
    expect(runs.length).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('resolves at once where nothing runs', async () => {
    await start().stop();
    vi.advanceTimersByTime(10 * INTERVAL_MS);
    expect(runs.length).toBe(0);
  });

  test('leaves the current run after the grace period', async () => {
    const poller = start();
    poller.wake();
    const stopped = poller.stop(500);
    vi.advanceTimersByTime(499);
    expect(await isSettled(stopped)).toBe(false);
    vi.advanceTimersByTime(1);
    await stopped;
  });
});

describe('drain', () => {
  test('runs until nothing is left', async () => {
    const drained = start().drain();
    await lastRun().end(true);
    await lastRun().end(true);
    expect(await isSettled(drained)).toBe(false);
    await lastRun().end(false);
    await drained;
    expect(runs.length).toBe(3);
  });

  test('rejects with the error of a run, which is not logged', async () => {
    const drained = start().drain();
    const error = new Error('database unavailable');
    const rejected = expect(drained).rejects.toBe(error);
    await lastRun().fail(error);
    await rejected;
    expect(warn).not.toHaveBeenCalled();
  });

  test('ends with the current run when the poller stops', async () => {
    const poller = start();
    const drained = poller.drain();
    void poller.stop();
    await lastRun().end(true);
    await drained;
    expect(runs.length).toBe(1);
  });
});

describe('forEachConcurrently', () => {
  const NEVER = new AbortController().signal;

  /** Items whose processing ends when the test says so. */
  function processing(items: readonly string[], limit: number, signal = NEVER) {
    const ends = new Map<string, () => Promise<void>>();
    const done = forEachConcurrently(items, limit, signal, (item) => {
      return new Promise<void>((resolve) => {
        ends.set(item, async () => {
          resolve();
          await nextIteration();
        });
      });
    });
    return {
      done,
      started: () => [...ends.keys()],
      end: async (item: string) => ends.get(item)?.(),
    };
  }

  test('processes every item once, in order, at most `limit` at a time', async () => {
    const { done, started, end } = processing(['a', 'b', 'c', 'd', 'e'], 2);
    expect(started()).toEqual(['a', 'b']);
    await end('b');
    expect(started()).toEqual(['a', 'b', 'c']);
    await end('c');
    await end('d');
    expect(started()).toEqual(['a', 'b', 'c', 'd', 'e']);
    await end('e');
    expect(await isSettled(done)).toBe(false);
    await end('a');
    await done;
  });

  test('starts none after its signal aborts, and resolves when the started ones have ended', async () => {
    const stopping = new AbortController();
    const { done, started, end } = processing(['a', 'b', 'c'], 2, stopping.signal);
    stopping.abort();
    await end('a');
    expect(started()).toEqual(['a', 'b']);
    expect(await isSettled(done)).toBe(false);
    await end('b');
    await done;
    expect(started()).toEqual(['a', 'b']);
  });

  test('has nothing to do without items', async () => {
    const { done, started } = processing([], 4);
    await done;
    expect(started()).toEqual([]);
  });
});
