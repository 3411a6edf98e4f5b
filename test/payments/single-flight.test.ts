import { setImmediate as nextIteration } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { SingleFlight } from '../../src/payments/single-flight.ts';

/** A single flight whose runs end when the test says so; their results are 1, 2, 3 … */
function controlled() {
  const flight = new SingleFlight<number>();
  const runs: { end(): Promise<void>; fail(error: Error): Promise<void> }[] = [];
  const call = (key: string) =>
    flight.run(key, () => {
      const number = runs.length + 1;
      return new Promise<number>((resolve, reject) => {
        runs.push({
          async end() {
            resolve(number);
            await nextIteration();
          },
          async fail(error) {
            reject(error);
            await nextIteration();
          },
        });
      });
    });
  return { runs, call };
}

describe('calls with the same key', () => {
  test('that come during a run share one run after it', async () => {
    const { runs, call } = controlled();
    const first = call('a');
    const later = [call('a'), call('a'), call('a')];
    expect(runs.length).toBe(1);
    await runs[0]?.end();
    expect(runs.length).toBe(2);
    const duringSecond = call('a');
    await runs[1]?.end();
    await runs[2]?.end();
    expect(await first).toBe(1);
    expect(await Promise.all(later)).toEqual([2, 2, 2]);
    expect(await duringSecond).toBe(3);
    expect(runs.length).toBe(3);
  });

  test('that come one after the other have a run each', async () => {
    const { runs, call } = controlled();
    for (const number of [1, 2, 3]) {
      const result = call('a');
      await runs[number - 1]?.end();
      expect(await result).toBe(number);
    }
  });

  test('have a run after one that failed, whose error only its own caller gets', async () => {
    const { runs, call } = controlled();
    const error = new Error('failed');
    const failed = expect(call('a')).rejects.toBe(error);
    const later = call('a');
    await runs[0]?.fail(error);
    await failed;
    await runs[1]?.end();
    expect(await later).toBe(2);
    const after = call('a');
    await runs[2]?.end();
    expect(await after).toBe(3);
  });
});

test('calls with different keys run at the same time', async () => {
  const { runs, call } = controlled();
  const results = [call('a'), call('b')];
  expect(runs.length).toBe(2);
  await runs[1]?.end();
  await runs[0]?.end();
  expect(await Promise.all(results)).toEqual([1, 2]);
});
