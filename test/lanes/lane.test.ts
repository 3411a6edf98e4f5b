/** The lane is given its `run` here: what a unit of work does is tested with the database. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { CACHE_MISS, DEFERRED } from '../../src/lanes/decide-task.ts';
import { Lane, type LaneOptions, SECOND_UNIT_MIN_QUEUE } from '../../src/lanes/lane.ts';
import type { Answer, StoredResponse, Task } from '../../src/lanes/task.ts';
import { TaskError } from '../../src/lanes/unit-of-work.ts';
import type { WaitPolicy } from '../../src/store/load.ts';
import { StaleCacheError } from '../../src/store/save.ts';
import { origin, release } from '../ledger/fixtures.ts';

/** A request whose answer says its name; of the account before the dash, such as "a-1". */
const request = (name: string): Task => ({
  type: 'request',
  accountId: name.slice(0, name.indexOf('-')),
  command: release(name),
  origin: { ...origin, requestId: name },
  fingerprint: new Uint8Array(),
  encodeResponse: () => new Uint8Array(),
  isAbandoned: () => false,
});

const nameOf = (task: Task): string => ('origin' in task ? task.origin.requestId : task.accountId);

const answerOf = (task: Task): Answer => ({ response: Buffer.from(nameOf(task)), replayed: false });

const read = (answer: Answer): string =>
  answer instanceof Failure
    ? answer.reason
    : Buffer.from((answer as StoredResponse).response).toString();

const databaseError = (code: string) => Object.assign(new Error(code), { code });

type Outcome = Answer | typeof DEFERRED | typeof CACHE_MISS;

/** A lane that keeps the groups it ran; `decide` answers a group, or throws. */
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
    queueMax: 100,
    onBug: (error, task) => bugs.push(`${nameOf(task)}: ${(error as Error).message}`),
    ...options,
  });
  const submit = async (...names: string[]) =>
    (await Promise.all(names.map((name) => lane.submit(request(name))))).map(read);
  return { lane, groups, lockeds, bugs, submit };
}

/** A gate a unit of work can be held at. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

describe('a lane', () => {
  test('runs what arrives in one turn together, and answers each with its own', async () => {
    const { submit, groups } = laneOf(() => null);
    expect(await submit('a-1', 'b-1', 'a-2')).toEqual(['a-1', 'b-1', 'a-2']);
    expect(groups).toEqual([['a-1', 'b-1', 'a-2']]);
  });

  test('serves a lone request at once, and the next one after it', async () => {
    const { submit, groups } = laneOf(() => null);
    expect(await submit('a-1')).toEqual(['a-1']);
    expect(await submit('a-2')).toEqual(['a-2']);
    expect(groups).toEqual([['a-1'], ['a-2']]);
  });

  test('gathers while a unit of work is under way, then takes all that waits', async () => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf((_, run) =>
      run === 1 ? opened.then(() => null as never) : null,
    );
    const first = submit('a-1');
    await turns(3);
    const others = [submit('b-1'), submit('c-1')];
    await turns(3);
    others.push(submit('a-2'));
    expect(groups).toEqual([['a-1']]);
    open();
    expect(await first).toEqual(['a-1']);
    expect((await Promise.all(others)).flat()).toEqual(['b-1', 'c-1', 'a-2']);
    expect(groups).toEqual([['a-1'], ['b-1', 'c-1', 'a-2']]);
  });

  test('waits for a locked account where a unit of work has no other', async () => {
    const { submit, lockeds } = laneOf(() => null);
    await submit('a-1', 'a-2');
    await submit('a-3', 'b-1');
    expect(lockeds).toEqual(['wait', 'skip']);
  });

  test('takes a burst that is read turn by turn together', async () => {
    const { submit, groups } = laneOf(() => null);
    const later = [turns(1).then(() => submit('b-1')), turns(2).then(() => submit('c-1'))];
    await Promise.all([submit('a-1'), ...later]);
    expect(groups).toEqual([['a-1', 'b-1', 'c-1']]);
  });

  test('does not gather for ever under a load that never pauses', async () => {
    const { submit, groups } = laneOf(() => null);
    const later = Array.from({ length: 20 }, (_, turn) =>
      turns(turn).then(() => submit(`a-${turn}`)),
    );
    await Promise.all(later);
    expect(groups.length).toBeGreaterThan(3);
  });

  test('takes no more into a unit of work than its maximum, and keeps the order', async () => {
    const { submit, groups } = laneOf(() => null, { groupMax: 2 });
    await submit('a-1', 'b-1', 'a-2', 'a-3', 'b-2');
    expect(groups).toEqual([['a-1', 'b-1'], ['a-2', 'a-3'], ['b-2']]);
  });

  test('refuses with OVERLOADED what its queue has no room for, and serves the others', async () => {
    const { open, opened } = gate();
    const { lane, submit } = laneOf(
      (_, run) => (run === 1 ? opened.then(() => null as never) : null),
      { queueMax: 2 },
    );
    const running = submit('a-1');
    await turns(3);
    const waiting = submit('a-2', 'a-3');
    expect(await lane.submit(request('a-4'))).toMatchObject({
      reason: 'OVERLOADED',
      metadata: { queue: '2', limit: '2' },
    });
    open();
    expect([await running, await waiting]).toEqual([['a-1'], ['a-2', 'a-3']]);
    expect(await submit('a-5')).toEqual(['a-5']);
  });

  test('is idle once nothing waits or runs any more', async () => {
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

describe('units of work under way at once', () => {
  test('share what waits, where there is enough for each', async () => {
    const { submit, groups } = laneOf(() => null);
    const names = namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE);
    expect(await submit(...names)).toEqual(names);
    expect(groups).toEqual([
      names.slice(0, SECOND_UNIT_MIN_QUEUE),
      names.slice(SECOND_UNIT_MIN_QUEUE),
    ]);
  });

  test('are one where there is not enough for two', async () => {
    const { submit, groups } = laneOf(() => null);
    const names = namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE - 1);
    await submit(...names);
    expect(groups).toEqual([names]);
  });

  test('are one where only one may be', async () => {
    const { submit, groups } = laneOf(() => null, { unitsMax: 1 });
    const names = namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE);
    await submit(...names);
    expect(groups).toEqual([names]);
  });

  test('are joined as soon as enough wait, but for accounts that are in one already', async () => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf((_, run) =>
      run === 1 ? opened.then(() => null as never) : null,
    );
    const first = submit('a-1');
    await turns(6);
    const names = namesOf('b', SECOND_UNIT_MIN_QUEUE - 2);
    const others = [submit('a-2', ...names)];
    await turns(6);
    expect(groups).toEqual([['a-1']]);
    others.push(submit('c-1'));
    await turns(6);
    expect(groups).toEqual([['a-1'], [...names, 'c-1']]);
    open();
    await Promise.all([first, ...others]);
    expect(groups).toEqual([['a-1'], [...names, 'c-1'], ['a-2']]);
  });

  test.each<[string, Outcome, number]>([
    [
      'are one where the last one had much deferred: other replicas are at work',
      DEFERRED,
      2 * 31 + 4,
    ],
    ['are two where much was not read: the next will read it', CACHE_MISS, (2 * 31 + 4) / 2],
  ])('%s', async (_, undecided, next) => {
    const { open, opened } = gate();
    const { submit, groups } = laneOf(async (group, run) => {
      if (run > 1) return null as never;
      await opened;
      return group.map((name, index) => (index % 10 === 0 ? undecided : answerOf(request(name))));
    });
    const accounts = Array.from({ length: SECOND_UNIT_MIN_QUEUE - 1 }, (_, index) => `a${index}`);
    const first = submit(...accounts.map((account) => `${account}-1`));
    await turns(6);
    const others = submit(...accounts.flatMap((account) => [`${account}-2`, `${account}-3`]));
    await turns(6);
    open();
    await Promise.all([first, others]);
    expect(groups.slice(0, 2).map(({ length }) => length)).toEqual([31, next]);
  });

  test('are as many as allowed at most, never two on one account, each in its order', async () => {
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
        await turns(1 + (group.length % 7));
        underWay.delete(group);
        served.push(...group);
        return null as never;
      },
      { unitsMax: 3, queueMax: 10_000 },
    );
    // A hundred accounts; every fifth request is of the first of them.
    const requests = Array.from(
      { length: 3_000 },
      (_, index) => `a${index % 5 === 0 ? 0 : (index * 7) % 100}-${index}`,
    );
    const answers: Promise<string[]>[] = [];
    for (let index = 0; index < requests.length; index += 60) {
      answers.push(submit(...requests.slice(index, index + 60)));
      await turns(2);
    }
    expect((await Promise.all(answers)).flat()).toEqual(requests);
    expect(most).toBe(3);
    const byAccount = (names: string[]) => Map.groupBy(names, accountOf);
    expect(byAccount(served)).toEqual(byAccount(requests));
  });

  test('are all waited for until the lane is idle', async () => {
    const { open, opened } = gate();
    const { lane, submit } = laneOf((_, run) =>
      run === 2 ? opened.then(() => null as never) : null,
    );
    const answers = submit(...namesOf('a', 2 * SECOND_UNIT_MIN_QUEUE));
    await turns(6);
    let idle = false;
    const whenIdle = lane.idle().then(() => {
      idle = true;
    });
    await turns(6);
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

  test('for a lost race again and again is given up', async () => {
    const { submit, groups, bugs } = laneOf(() => {
      throw databaseError('40001');
    });
    expect(await submit('a-1', 'b-1')).toEqual(['DATABASE_UNAVAILABLE', 'DATABASE_UNAVAILABLE']);
    expect(groups).toHaveLength(6);
    expect(bugs).toEqual([]);
  });

  test.each(['57P01', '08006', 'ECONNREFUSED'])(
    'with %s, because the database is away, fails all of its requests',
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

  test('for a bad request does not fail its neighbours', async () => {
    const { submit, groups, bugs } = laneOf((group) => {
      if (group.includes('b-bad')) throw new Error('a bug');
      return null;
    });
    const names = ['a-1', 'b-bad', 'a-2', 'b-2'];
    expect(await submit(...names)).toEqual(['a-1', 'INTERNAL', 'a-2', 'b-2']);
    expect(groups).toEqual([names, ['a-1'], ['b-bad'], ['a-2'], ['b-2']]);
    expect(bugs).toEqual(['b-bad: a bug']);
  });

  test('for a bug in one task is run again without it, and that task is not run again', async () => {
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

  test('says nothing of the cause to the caller, but under which trace to find it', async () => {
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

  test('because of a key somebody else inserted, again and again, is tried one by one', async () => {
    const { submit, bugs } = laneOf((group) => {
      if (group.includes('b-bad')) throw databaseError('23505');
      return null;
    });
    expect(await submit('a-1', 'b-bad')).toEqual(['a-1', 'INTERNAL']);
    expect(bugs).toEqual(['b-bad: 23505']);
  });
});

describe('a request that is deferred', () => {
  /** Defers account a until the given run; answers all others. */
  const deferringUntil =
    (last: number, how: Outcome = DEFERRED) =>
    (group: string[], run: number) =>
      group.map(
        (name): Outcome => (name.startsWith('a') && run <= last ? how : answerOf(request(name))),
      );

  test('goes first again, before what came after it, and in its order', async () => {
    const { submit, groups } = laneOf(deferringUntil(2), { groupMax: 4 });
    const names = ['a-1', 'b-1', 'a-2', 'b-2', 'a-3', 'b-3'];
    expect(await submit(...names)).toEqual(names);
    expect(groups).toEqual([
      ['a-1', 'b-1', 'a-2', 'b-2'],
      ['a-1', 'a-2', 'a-3', 'b-3'],
      ['a-1', 'a-2', 'a-3'],
    ]);
  });

  test('keeps its order though its group fails and is tried one by one', async () => {
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

  test('waits for its account from the third time on, though others come and go', async () => {
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

  test('for want of reading waits for nobody', async () => {
    const { submit, groups, lockeds } = laneOf(deferringUntil(3, CACHE_MISS), { groupMax: 2 });
    expect(await submit('a-1', 'b-1', 'b-2', 'b-3', 'b-4')).toContain('a-1');
    expect(groups[3]).toEqual(['a-1', 'b-4']);
    expect(lockeds).toEqual(['skip', 'skip', 'skip', 'skip']);
  });

  test('is still waiting for the lane to be idle', async () => {
    const { lane, submit } = laneOf(deferringUntil(3));
    const answers = submit('a-1');
    await lane.idle();
    expect(await answers).toEqual(['a-1']);
  });
});
