import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { Lanes } from '../../src/lanes/lanes.ts';
import type { Task } from '../../src/lanes/task.ts';

/** Lanes that record the accounts of each group; a unit of work takes 5 ms. */
function lanesOf(count: number) {
  const groups: string[][] = [];
  const ran = async (tasks: readonly Task[]) => {
    groups.push(tasks.map(({ accountId }) => accountId));
    await new Promise((resolve) => setTimeout(resolve, 5));
    return tasks.map(() => null);
  };
  const lanes = new Lanes(count, {
    run: ran,
    unitsMax: 1,
    groupMax: 1_000,
    waitMaxMs: 60_000,

    now: () => performance.now(),
    onBug: (error) => expect.unreachable(String(error)),
  });
  return {
    lanes,
    groups,
    submit: (accountId: string) => lanes.settle(accountId),
  };
}

const ids = Array.from({ length: 400 }, (_, index) => `acct-${index}`);

describe('lanes', () => {
  test('put an account always in the same lane', async () => {
    const { submit, groups } = lanesOf(8);
    await Promise.all(ids.map(submit));
    const lanesOfFirst = groups.map((group) => group.toSorted());
    groups.length = 0;
    await Promise.all(ids.toReversed().map(submit));
    expect(groups.map((group) => group.toSorted()).toSorted()).toEqual(lanesOfFirst.toSorted());
    expect(groups).toHaveLength(8);
  });

  test('share accounts evenly, even if their ids differ in one character only', async () => {
    const { submit, groups } = lanesOf(8);
    await Promise.all(ids.map(submit));
    for (const group of groups) {
      expect(group.length).toBeGreaterThan(25);
      expect(group.length).toBeLessThan(75);
    }
  });

  test('run all tasks of an account in one lane', async () => {
    const { submit, groups } = lanesOf(4);
    await Promise.all(['a', 'b', 'a', 'c', 'a'].map(submit));
    expect(groups.flat().toSorted()).toEqual(['a', 'a', 'a', 'b', 'c']);
    expect(groups.filter((group) => group.includes('a'))).toHaveLength(1);
  });

  test('accept nothing after close, and answer what they had accepted', async () => {
    const { lanes, submit, groups } = lanesOf(4);
    const accepted = ids.map(submit);
    const closed = lanes.close();
    expect(await submit('late')).toMatchObject({ reason: 'SHUTTING_DOWN' });
    await closed;
    expect(groups.flat()).toHaveLength(ids.length);
    for (const answer of await Promise.all(accepted)) expect(answer).not.toBeInstanceOf(Failure);
    expect(groups.flat()).not.toContain('late');
  });
});
