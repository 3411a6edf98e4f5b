/** Lanes whose units of work are functions of the test: queueing, grouping, and what follows errors. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { CACHE_MISS, DEFERRED } from '../../src/lanes/decide-task.ts';
import { Lane, type LaneOptions, SECOND_UNIT_MIN_QUEUE } from '../../src/lanes/lane.ts';
import type { Answer, Request, StoredResponse, Task } from '../../src/lanes/task.ts';
import { TaskError } from '../../src/lanes/unit-of-work.ts';
import type { RequestedCommand } from '../../src/ledger/decide.ts';
import type { Usage } from '../../src/pricing/usage.ts';
import type { WaitPolicy } from '../../src/store/load.ts';
import { StaleCacheError } from '../../src/store/save.ts';
import { charge, origin, release, usagesOf } from '../ledger/fixtures.ts';

/** A request that is answered with its name. "a-1" is a request on account "a". */
const request = (name: string): Task => ({
  type: 'request',
  accountId: name.slice(0, name.indexOf('-')),
  command: release(name) as RequestedCommand,
  origin: { ...origin, requestId: name },
  call: null,
  permissions: null,
  fingerprint: new Uint8Array(),
  notAfter: null,
  encodeResponse: () => new Uint8Array(),
  isAbandoned: () => false,
  dayTally: null,
  blockedBy: null,
});

const nameOf = (task: Task): string => ('origin' in task ? task.origin.requestId : task.accountId);

const answerOf = (task: Task): Answer => ({
  response: Buffer.from(nameOf(task)),
  firstAnsweredAt: null,
  creditsMoved: 0n,
});

const read = (answer: Answer): string =>
  answer instanceof Failure
    ? answer.reason
    : Buffer.from((answer as StoredResponse).response).toString();

const databaseError = (code: string) => Object.assign(new Error(code), { code });

type Outcome = Answer | typeof DEFERRED | typeof CACHE_MISS;

/** A lane that records its groups. `decide` answers a group; null: each task with its name. */
function laneOf(
  decide: (
    group: string[],
    run: number,
    tasks: readonly Task[],
  ) => Promise<Outcome[]> | Outcome[] | null,
  options: Partial<LaneOptions> = {},
) {
  const groups: string[][] = [];
  const lockeds: WaitPolicy[] = [];
  const bugs: string[] = [];
  const lane = new Lane({
    run: async (tasks, locked) => {
      const group = tasks.map(nameOf);
      groups.push(group);
      lockeds.push(locked);
      return (await decide(group, groups.length, tasks)) ?? tasks.map(answerOf);
    },
    unitsMax: 2,
    groupMax: 100,
    waitMaxMs: 60_000,
    now: () => 0,
    onBug: (error, task) => bugs.push(`${nameOf(task)}: ${(error as Error).message}`),
    ...options,
  });
  const submit = async (...names: string[]) =>
    (await Promise.all(names.map((name) => lane.submit(request(name))))).map(read);
  return { lane, groups, lockeds, bugs, submit };
}

/** A gate that holds up units of work until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Lets so many iterations of the event loop pass. */
const iterations = async (count: number) => {
  for (let done = 0; done < count; done++) await new Promise(setImmediate);
};

describe('a lane', () => {
  test('runs tasks that are submitted together in one group, and answers each', async () => {
    const { submit, groups } = laneOf(() => null);
    expect(await submit('a-1', 'b-1', 'a-2')).toEqual(['a-1', 'b-1', 'a-2']);
    expect(groups).toEqual([['a-1', 'b-1', 'a-2']]);
  });

  test('runs a lone task at once', async () => {
    const { submit, groups } = laneOf(() => null);
    expect(await submit('a-1')).toEqual(['a-1']);
    expect(await submit('a-2')).toEqual(['a-2']);
    expect(groups).toEqual([['a-1'], ['a-2']]);
  });

  test('queues tasks while a unit of work runs; they form the next group', async () => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf((_, run) =>
      run === 1 ? opened.then(() => null as never) : null,
    );
    const first = submit('a-1');
    await iterations(3);
    const others = [submit('b-1'), submit('c-1')];
    await iterations(3);
    others.push(submit('a-2'));
    expect(groups).toEqual([['a-1']]);
    open();
    expect(await first).toEqual(['a-1']);
    expect((await Promise.all(others)).flat()).toEqual(['b-1', 'c-1', 'a-2']);
    expect(groups).toEqual([['a-1'], ['b-1', 'c-1', 'a-2']]);
  });

  test('waits for a locked account if the group has no other', async () => {
    const { submit, lockeds } = laneOf(() => null);
    await submit('a-1', 'a-2');
    await submit('a-3', 'b-1');
    expect(lockeds).toEqual(['wait', 'skip']);
  });

  test('runs a burst that takes several iterations of the event loop in one group', async () => {
    const { submit, groups } = laneOf(() => null);
    const later = [
      iterations(1).then(() => submit('b-1')),
      iterations(2).then(() => submit('c-1')),
    ];
    await Promise.all([submit('a-1'), ...later]);
    expect(groups).toEqual([['a-1', 'b-1', 'c-1']]);
  });

  test('starts units of work under a load that never pauses', async () => {
    const { submit, groups } = laneOf(() => null);
    const later = Array.from({ length: 20 }, (_, index) =>
      iterations(index).then(() => submit(`a-${index}`)),
    );
    await Promise.all(later);
    expect(groups.length).toBeGreaterThan(3);
  });

  test('limits the size of a group, and keeps the order', async () => {
    const { submit, groups } = laneOf(() => null, { groupMax: 2 });
    await submit('a-1', 'b-1', 'a-2', 'a-3', 'b-2');
    expect(groups).toEqual([['a-1', 'b-1'], ['a-2', 'a-3'], ['b-2']]);
  });

  test('serves the accounts in turn while more is queued than a group takes', async () => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf(
      (_, run) => (run === 1 ? opened.then(() => null as never) : null),
      { groupMax: 3, unitsMax: 1 },
    );
    const running = submit('x-1');
    await iterations(3);
    const waiting = submit('a-1', 'a-2', 'a-3', 'a-4', 'b-1', 'c-1', 'b-2');
    open();
    await running;
    await waiting;
    expect(groups).toEqual([['x-1'], ['a-1', 'b-1', 'c-1'], ['a-2', 'b-2', 'a-3'], ['a-4']]);
  });

  test('refuses what has waited too long, and serves a short queue', async () => {
    const { open, opened } = gate();
    const { submit } = laneOf((_, run) => (run <= 1 ? opened.then(() => null as never) : null), {
      waitMaxMs: -1,
      unitsMax: 1,
    });
    const running = submit('a-1');
    await iterations(3);
    const names = Array.from({ length: SECOND_UNIT_MIN_QUEUE + 1 }, (_, index) => `a-${index + 2}`);
    const waiting = submit(...names);
    open();
    expect(await running).toEqual(['a-1']);
    expect(await waiting).toEqual(names.map(() => 'OVERLOADED'));
    const few = names.slice(1);
    expect(await submit(...few)).toEqual(few);
  });

  test('limits the usages of a group, and serves a request with more by itself', async () => {
    const { lane, groups } = laneOf(() => null);
    const usages = (name: string, count: number): Task => {
      const [one] = usagesOf({ a: 1n }).usages;
      const command = charge({ usages: Array.from({ length: count }, () => one as Usage) });
      return { ...(request(name) as Request), command: command as RequestedCommand };
    };
    await Promise.all(
      [usages('a-1', 600), usages('b-1', 400), usages('c-1', 1), usages('d-1', 2_000)].map((task) =>
        lane.submit(task),
      ),
    );
    expect(groups).toEqual([['a-1', 'b-1'], ['c-1'], ['d-1']]);
  });

  test('is idle when nothing is queued or running', async () => {
    const { lane, submit, groups } = laneOf(() => null, { groupMax: 1 });
    await lane.idle();
    const answers = submit('a-1', 'a-2', 'a-3');
    await lane.idle();
    expect(groups).toHaveLength(3);
    expect(await answers).toEqual(['a-1', 'a-2', 'a-3']);
  });
});

/** So many names, each of an account of its own. */
const namesOf = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}-1`);

describe('units of work that run at the same time', () => {
  test('share the queue equally if it is long enough for two', async () => {
    const { submit, groups } = laneOf(() => null);
    const names = namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE);
    expect(await submit(...names)).toEqual(names);
    expect(groups).toEqual([
      names.slice(0, SECOND_UNIT_MIN_QUEUE),
      names.slice(SECOND_UNIT_MIN_QUEUE),
    ]);
  });

  test('are one if the queue is too short for two', async () => {
    const { submit, groups } = laneOf(() => null);
    const names = namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE - 1);
    await submit(...names);
    expect(groups).toEqual([names]);
  });

  test('are one if only one is allowed', async () => {
    const { submit, groups } = laneOf(() => null, { unitsMax: 1 });
    const names = namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE);
    await submit(...names);
    expect(groups).toEqual([names]);
  });

  test('are joined by another as soon as the queue is long enough, on other accounts', async () => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf((_, run) =>
      run === 1 ? opened.then(() => null as never) : null,
    );
    const first = submit('a-1');
    await iterations(6);
    const names = namesOf('b', SECOND_UNIT_MIN_QUEUE - 2);
    const others = [submit('a-2', ...names)];
    await iterations(6);
    expect(groups).toEqual([['a-1']]);
    others.push(submit('c-1'));
    await iterations(6);
    expect(groups).toEqual([['a-1'], [...names, 'c-1']]);
    open();
    await Promise.all([first, ...others]);
    expect(groups).toEqual([['a-1'], [...names, 'c-1'], ['a-2']]);
  });

  test('are joined by another if a task has waited for long, however short the queue is', async () => {
    const { open, opened } = gate();
    let now = 0;
    const { submit, groups } = laneOf(
      (_, run) => (run === 1 ? opened.then(() => null as never) : null),
      { now: () => now },
    );
    const all = [submit('a-1')];
    await iterations(6);
    all.push(submit('b-1'));
    await iterations(6);
    now = 25;
    all.push(submit('c-1'));
    await iterations(6);
    expect(groups).toEqual([['a-1']]);
    now = 26;
    all.push(submit('d-1'));
    await iterations(6);
    expect(groups).toEqual([['a-1'], ['b-1', 'c-1', 'd-1']]);
    open();
    await Promise.all(all);
  });

  test.each<[string, Outcome, number]>([
    [
      'are one after many tasks were deferred: other replicas contend for the accounts',
      DEFERRED,
      2 * 31 + 4,
    ],
    ['are two after many cache misses', CACHE_MISS, (2 * 31 + 4) / 2],
  ])('%s', async (_, undecided, next) => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf(async (group, run) => {
      if (run > 1) return null as never;
      await opened;
      return group.map((name, index) => (index % 10 === 0 ? undecided : answerOf(request(name))));
    });
    const accounts = Array.from({ length: SECOND_UNIT_MIN_QUEUE - 1 }, (_, index) => `a${index}`);
    const first = submit(...accounts.map((account) => `${account}-1`));
    await iterations(6);
    const others = submit(...accounts.flatMap((account) => [`${account}-2`, `${account}-3`]));
    await iterations(6);
    open();
    await Promise.all([first, others]);
    expect(groups.slice(0, 2).map(({ length }) => length)).toEqual([31, next]);
  });

  test('are at most as many as allowed, never two on one account, and keep the order of an account', async () => {
    const accountOf = (name: string) => name.slice(0, name.indexOf('-'));
    const underWay = new Set<string[]>();
    const served: string[] = [];
    let most = 0;
    const { submit } = laneOf(
      async (group) => {
        const others = new Set([...underWay].flat().map(accountOf));
        expect(group.filter((name) => others.has(accountOf(name)))).toEqual([]);
        underWay.add(group);
        most = Math.max(most, underWay.size);
        await iterations(1 + (group.length % 7));
        underWay.delete(group);
        served.push(...group);
        return null as never;
      },
      { unitsMax: 3 },
    );
    // A hundred accounts; every fifth request is of the first of them.
    const requests = Array.from(
      { length: 3_000 },
      (_, index) => `a${index % 5 === 0 ? 0 : (index * 7) % 100}-${index}`,
    );
    const answers: Promise<string[]>[] = [];
    for (let index = 0; index < requests.length; index += 60) {
      answers.push(submit(...requests.slice(index, index + 60)));
      await iterations(2);
    }
    expect((await Promise.all(answers)).flat()).toEqual(requests);
    expect(most).toBe(3);
    const byAccount = (names: string[]) => Map.groupBy(names, accountOf);
    expect(byAccount(served)).toEqual(byAccount(requests));
  });

  test('may end while the lane gathers a burst: it is idle then', async () => {
    const gates = [gate(), gate()];
    const { lane, submit } = laneOf((_, run) =>
      (gates[run - 1] as ReturnType<typeof gate>).opened.then(() => null as never),
    );
    const answers = submit(...namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE));
    await iterations(6);
    gates[0]?.open();
    await iterations(1);
    gates[1]?.open();
    await answers;
    await lane.idle();
  }, 5_000);

  test('all end before the lane is idle', async () => {
    const { open, opened } = gate();
    const { lane, submit } = laneOf((_, run) =>
      run === 2 ? opened.then(() => null as never) : null,
    );
    const answers = submit(...namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE));
    await iterations(6);
    let idle = false;
    const whenIdle = lane.idle().then(() => {
      idle = true;
    });
    await iterations(6);
    expect(idle).toBe(false);
    open();
    await whenIdle;
    expect(await answers).toHaveLength(2 * SECOND_UNIT_MIN_QUEUE);
  });
});

describe('a unit of work that fails', () => {
  test.each([
    ['40001', databaseError('40001')],
    ['40P01', databaseError('40P01')],
    ['23505', databaseError('23505')],
    ['a stale cache', new StaleCacheError()],
  ])('with %s is run again as it was', async (_code, cause) => {
    const { submit, groups, bugs } = laneOf((_, run) => {
      if (run <= 2)
        throw cause instanceof StaleCacheError ? cause : new Error('rolled back', { cause });
      return null;
    });
    expect(await submit('a-1', 'b-1')).toEqual(['a-1', 'b-1']);
    expect(groups).toEqual(Array(3).fill(['a-1', 'b-1']));
    expect(bugs).toEqual([]);
  });

  test('with a lost race six times is given up', async () => {
    const { submit, groups, bugs } = laneOf(() => {
      throw databaseError('40001');
    });
    expect(await submit('a-1', 'b-1')).toEqual(['DATABASE_UNAVAILABLE', 'DATABASE_UNAVAILABLE']);
    expect(groups).toHaveLength(6);
    expect(bugs).toEqual([]);
  });

  test.each(['57P01', '08006', 'ECONNREFUSED'])(
    'with %s, because the database cannot be reached, fails all of its tasks',
    async (code) => {
      const { submit, groups, bugs } = laneOf((_, run) => {
        if (run === 1) throw new Error('query failed', { cause: databaseError(code) });
        return null;
      });
      expect(await submit('a-1', 'b-1')).toEqual(['DATABASE_UNAVAILABLE', 'DATABASE_UNAVAILABLE']);
      expect(await submit('a-2')).toEqual(['a-2']);
      expect(groups).toEqual([['a-1', 'b-1'], ['a-2']]);
      expect(bugs).toEqual([]);
    },
  );

  test('with an error of an unknown task is run again one by one', async () => {
    const { submit, groups, bugs } = laneOf((group) => {
      if (group.includes('b-bad')) throw new Error('a bug');
      return null;
    });
    const names = ['a-1', 'b-bad', 'a-2', 'b-2'];
    expect(await submit(...names)).toEqual(['a-1', 'INTERNAL', 'a-2', 'b-2']);
    expect(groups).toEqual([names, ['a-1'], ['b-bad'], ['a-2'], ['b-2']]);
    expect(bugs).toEqual(['b-bad: a bug']);
  });

  test('with a TaskError is run again without its task, which is not run again', async () => {
    const { submit, groups, bugs } = laneOf((group, _, tasks) => {
      const bad = tasks.find((_task, index) => group[index]?.endsWith('bad'));
      if (bad) throw new TaskError([bad], new Error('a bug'));
      return null;
    });
    const names = ['a-1', 'b-bad', 'a-2', 'a-bad', 'b-2'];
    expect(await submit(...names)).toEqual(['a-1', 'INTERNAL', 'a-2', 'INTERNAL', 'b-2']);
    expect(groups).toEqual([names, ['a-1', 'a-2', 'a-bad', 'b-2'], ['a-1', 'a-2', 'b-2']]);
    expect(bugs).toEqual(['b-bad: a bug', 'a-bad: a bug']);
  });

  test('tells the caller the trace id under which the cause is logged, not the cause', async () => {
    const { lane } = laneOf(() => {
      throw new Error('secret');
    });
    const answer = await lane.submit(request('a-1'));
    expect(answer).toMatchObject({ reason: 'INTERNAL', metadata: { trace_id: origin.traceId } });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  test('does not stop the lane', async () => {
    const { submit } = laneOf((_, run) => {
      if (run === 1) throw new Error('a bug');
      return null;
    });
    expect(await submit('a-1')).toEqual(['INTERNAL']);
    expect(await submit('a-2')).toEqual(['a-2']);
  });

  test('with a duplicate key six times is run again one by one', async () => {
    const { submit, bugs } = laneOf((group) => {
      if (group.includes('b-bad')) throw databaseError('23505');
      return null;
    });
    expect(await submit('a-1', 'b-bad')).toEqual(['a-1', 'INTERNAL']);
    expect(bugs).toEqual(['b-bad: 23505']);
  });
});

describe('a deferred task', () => {
  /** Defers account a until the given run; answers all others. */
  const deferringUntil =
    (last: number, how: Outcome = DEFERRED) =>
    (group: string[], run: number) =>
      group.map(
        (name): Outcome => (name.startsWith('a') && run <= last ? how : answerOf(request(name))),
      );

  test('goes back to the front of the queue, in its order', async () => {
    const { submit, groups } = laneOf(deferringUntil(2), { groupMax: 4 });
    const names = ['a-1', 'b-1', 'a-2', 'b-2', 'a-3', 'b-3'];
    expect(await submit(...names)).toEqual(names);
    expect(groups).toEqual([
      ['a-1', 'b-1', 'a-2', 'b-2'],
      ['a-1', 'a-2', 'a-3', 'b-3'],
      ['a-1', 'a-2', 'a-3'],
    ]);
  });

  test('keeps its order if its group is run one by one', async () => {
    const order: string[] = [];
    const { submit } = laneOf((group, run) => {
      if (group.includes('b-bad')) throw new Error('a bug');
      return group.map((name): Outcome => {
        if (run <= 3 && name.startsWith('a')) return DEFERRED;
        order.push(name);
        return answerOf(request(name));
      });
    });
    const names = ['a-1', 'a-2', 'b-bad', 'a-3'];
    expect(await submit(...names)).toEqual(['a-1', 'a-2', 'INTERNAL', 'a-3']);
    expect(order).toEqual(['a-1', 'a-2', 'a-3']);
  });

  test('waits for its account after two deferrals', async () => {
    const { submit, groups, lockeds } = laneOf(deferringUntil(3), { groupMax: 2 });
    await submit('a-1', 'b-1', 'b-2', 'b-3', 'b-4');
    expect(groups).toEqual([
      ['a-1', 'b-1'],
      ['a-1', 'b-2'],
      ['a-1', 'b-3'],
      ['a-1', 'b-4'],
    ]);
    expect(lockeds).toEqual(['skip', 'skip', 'wait', 'wait']);
  });

  test('does not wait for its account after cache misses', async () => {
    const { submit, groups, lockeds } = laneOf(deferringUntil(3, CACHE_MISS), { groupMax: 2 });
    expect(await submit('a-1', 'b-1', 'b-2', 'b-3', 'b-4')).toContain('a-1');
    expect(groups[3]).toEqual(['a-1', 'b-4']);
    expect(lockeds).toEqual(['skip', 'skip', 'skip', 'skip']);
  });

  test('is decided before the lane is idle', async () => {
    const { lane, submit } = laneOf(deferringUntil(3));
    const answers = submit('a-1');
    await lane.idle();
    expect(await answers).toEqual(['a-1']);
  });
});
