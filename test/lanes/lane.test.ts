/** The lane is given its `run` here: what a unit of work does is tested with the database. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { Lane, type LaneOptions } from '../../src/lanes/lane.ts';
import { DEFERRED } from '../../src/lanes/unit-of-work.ts';
import type { Answer, Work } from '../../src/lanes/work.ts';
import { origin, release } from '../ledger/fixtures.ts';

/** A request whose answer says its name; of the account before the dash, such as "a-1". */
const request = (name: string): Work => ({
  accountId: name.slice(0, name.indexOf('-')),
  command: release(name),
  origin: { ...origin, requestId: name },
  fingerprint: new Uint8Array(),
  respond: () => new Uint8Array(),
  isAbandoned: () => false,
});

const nameOf = (work: Work): string => (work.command ? work.origin.requestId : work.accountId);

const answerOf = (work: Work): Answer => ({ response: Buffer.from(nameOf(work)), replayed: false });

const read = (answer: Answer): string =>
  answer instanceof Failure ? answer.reason : Buffer.from(answer.response).toString();

const databaseError = (code: string) => Object.assign(new Error(code), { code });

type Outcome = Answer | typeof DEFERRED;

/** A lane that keeps the groups it ran; `decide` answers a group, or throws. */
function laneOf(
  decide: (group: string[], run: number) => Promise<Outcome[]> | Outcome[] | null,
  options: Partial<LaneOptions> = {},
) {
  const groups: string[][] = [];
  const bugs: string[] = [];
  const lane = new Lane({
    run: async (works) => {
      const group = works.map(nameOf);
      groups.push(group);
      return (await decide(group, groups.length)) ?? works.map(answerOf);
    },
    groupMax: 100,
    queueMax: 100,
    oneAccountPerUnit: false,
    onBug: (error, work) => bugs.push(`${nameOf(work)}: ${(error as Error).message}`),
    ...options,
  });
  const submit = async (...names: string[]) =>
    (await Promise.all(names.map((name) => lane.submit(request(name))))).map(read);
  return { lane, groups, bugs, submit };
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

  test('has one unit of work under way at a time', async () => {
    let running = 0;
    let most = 0;
    const { submit } = laneOf(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await turns(2);
        running -= 1;
        return null as never;
      },
      { groupMax: 2 },
    );
    await Promise.all([submit('a-1', 'a-2', 'a-3'), turns(2).then(() => submit('b-1', 'b-2'))]);
    expect(most).toBe(1);
  });

  test('takes no more into a unit of work than its maximum, and keeps the order', async () => {
    const { submit, groups } = laneOf(() => null, { groupMax: 2 });
    await submit('a-1', 'b-1', 'a-2', 'a-3', 'b-2');
    expect(groups).toEqual([['a-1', 'b-1'], ['a-2', 'a-3'], ['b-2']]);
  });

  test('keeps to one account per unit of work where told so, and each account’s order', async () => {
    const { submit, groups } = laneOf(() => null, { groupMax: 3, oneAccountPerUnit: true });
    const names = ['a-1', 'b-1', 'a-2', 'c-1', 'a-3', 'b-2', 'a-4'];
    expect(await submit(...names)).toEqual(names);
    expect(groups).toEqual([['a-1', 'a-2', 'a-3'], ['b-1', 'b-2'], ['c-1'], ['a-4']]);
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

describe('a unit of work that fails', () => {
  test.each(['40001', '40P01', '23505'])('with %s is run again as it was', async (code) => {
    const { submit, groups, bugs } = laneOf((_, run) => {
      if (run <= 2) throw new Error('rolled back', { cause: databaseError(code) });
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
  const deferringUntil = (last: number) => (group: string[], run: number) =>
    group.map(
      (name): Outcome => (name.startsWith('a') && run <= last ? DEFERRED : answerOf(request(name))),
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

  test('is still waiting for the lane to be idle', async () => {
    const { lane, submit } = laneOf(deferringUntil(3));
    const answers = submit('a-1');
    await lane.idle();
    expect(await answers).toEqual(['a-1']);
  });
});
