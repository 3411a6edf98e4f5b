/** An atomic batch is one task of a lane: it shares units of work, and is deferred, refused and failed as a whole. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { Lanes } from '../../src/lanes/lanes.ts';
import { type Request, type Task, weightOf } from '../../src/lanes/task.ts';
import { TaskError } from '../../src/lanes/unit-of-work.ts';
import type { RequestedCommand } from '../../src/ledger/decide.ts';
import type { Usage } from '../../src/pricing/usage.ts';
import type { WaitPolicy } from '../../src/store/load.ts';
import { balanceOf, openWithCredits } from '../accounts.ts';
import { lockAccount } from '../disruptions.ts';
import { charge, origin, reserve, usagesOf } from '../ledger/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { type OtherReplica, startOtherReplica } from './other-replica.ts';

const request = (accountId: string, command = reserve(1n), id = requestId()): Request => ({
  type: 'request',
  accountId,
  command: command as RequestedCommand,
  origin: { ...origin, requestId: id },
  call: null,
  permissions: null,
  fingerprint: new Uint8Array(),
  notAfter: null,
  encodeResponse: () => Buffer.from(accountId),
  isAbandoned: () => false,
  dayTally: null,
  blockedBy: null,
});

describe('an atomic batch in a unit of work', () => {
  let scrip: TestService;
  let replica: OtherReplica;
  /** The units of work that ran: the accounts of their tasks, and whether they waited for locks. */
  const units: [readonly string[], WaitPolicy][] = [];
  beforeAll(async () => {
    scrip = await startTestService();
    replica = await startOtherReplica(
      scrip,
      (tasks, locked) => void units.push([tasks.map(({ accountId }) => accountId), locked]),
    );
  });
  beforeEach(() => {
    units.length = 0;
  });
  afterAll(async () => {
    await replica.stop();
    await scrip.stop();
  });

  const reserveTwice = async (accountId: string, credits = 1n) => {
    const requests = [request(accountId, reserve(credits)), request(accountId, reserve(credits))];
    const answers = await replica.lanes.submitTogether(requests);
    return answers.map((answer) => (answer instanceof Failure ? answer.reason : 'OK'));
  };
  const accounts = (count: number) =>
    Promise.all(Array.from({ length: count }, () => openWithCredits(scrip, 10n)));

  test('is there with other tasks, also of its own account', async () => {
    const [one = '', other = ''] = await accounts(2);
    const answers = await Promise.all([
      reserveTwice(one),
      replica.lanes.submit(request(other)),
      reserveTwice(one, 5n),
      replica.lanes.submit(request(one)),
    ]);
    expect(units).toEqual([[[one, other, one, one], 'skip']]);
    expect(answers[0]).toEqual(['OK', 'OK']);
    expect(answers[2]).toEqual(['BATCH_REFUSED', 'INSUFFICIENT_CREDITS']);
    expect((await balanceOf(scrip, one)).reserved).toBe(3n);
    expect((await balanceOf(scrip, other)).reserved).toBe(1n);
  });

  test('on an account that another replica has locked waits as a whole, and delays no others', async () => {
    const [locked = '', free = ''] = await accounts(2);
    const unlock = await lockAccount(scrip.databaseUrl, locked);
    const later = reserveTwice(locked);
    expect(await reserveTwice(free)).toEqual(['OK', 'OK']);
    expect(units[0]).toEqual([[locked, free], 'skip']);
    await unlock();
    expect(await later).toEqual(['OK', 'OK']);
    expect((await balanceOf(scrip, locked)).reserved).toBe(2n);
  });

  test('reads a cached account once it is refused on it', async () => {
    const [accountId = ''] = await accounts(1);
    await reserveTwice(accountId);
    units.length = 0;
    expect(await reserveTwice(accountId, 5n)).toEqual(['BATCH_REFUSED', 'INSUFFICIENT_CREDITS']);
    expect(units).toHaveLength(2);
    // What another replica wrote meanwhile is seen.
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 7n });
    expect(await reserveTwice(accountId)).toEqual(['BATCH_REFUSED', 'INSUFFICIENT_CREDITS']);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(2n);
  });
});

const DONE = { response: new Uint8Array(), firstAnsweredAt: null, creditsMoved: 0n };

describe('an atomic batch in a lane', () => {
  const lanesOf = (run: (tasks: readonly Task[]) => void, waitMaxMs = 60_000, now = () => 0) => {
    const bugs: string[] = [];
    const lanes = new Lanes(1, {
      run: async (tasks) => {
        run(tasks);
        return tasks.map((task) =>
          task.type === 'atomic batch' ? task.requests.map(() => DONE) : null,
        );
      },
      unitsMax: 1,
      groupMax: 100,
      waitMaxMs,
      now,
      onBug: (error, task) => bugs.push(`${task.accountId}: ${(error as Error).message}`),
    });
    return { lanes, bugs };
  };

  test('weighs what its requests weigh', () => {
    const [one] = usagesOf({ a: 1n }).usages;
    const usages = (count: number) =>
      request('a', charge({ usages: Array.from({ length: count }, () => one as Usage) }));
    const requests = [usages(30), usages(12), request('a')];
    expect(weightOf({ type: 'atomic batch', accountId: 'a', requests })).toBe(43);
  });

  test('is answered INTERNAL for each request where deciding one of them throws', async () => {
    const { lanes, bugs } = lanesOf((tasks) => {
      const [batch] = tasks.filter(({ type }) => type === 'atomic batch');
      if (batch) throw new TaskError([batch], new Error('a bug'));
    });
    const other = lanes.settle('b');
    const answers = await lanes.submitTogether([request('a'), request('a')]);
    const internal = { reason: 'INTERNAL', metadata: { trace_id: origin.traceId } };
    expect(answers).toMatchObject([internal, internal]);
    expect(await other).toBeNull();
    expect(bugs).toEqual(['a: a bug']);
  });

  test('is refused for each request where the lane is closed', async () => {
    const { lanes } = lanesOf(() => {});
    await lanes.close();
    const answers = await lanes.submitTogether([request('a'), request('a')]);
    expect(answers).toMatchObject([{ reason: 'SHUTTING_DOWN' }, { reason: 'SHUTTING_DOWN' }]);
  });

  test('is refused for each request where it has waited too long in a long queue', async () => {
    let time = 0;
    const pass = () => {
      time += 1_000;
    };
    const { lanes } = lanesOf(pass, 10, () => time);
    const running = lanes.settle('a');
    const queued = Array.from({ length: 200 }, () =>
      lanes.submitTogether([request('a'), request('a')]),
    );
    await running;
    const reasons = (await Promise.all(queued))
      .flat()
      .map((answer) => (answer instanceof Failure ? answer.reason : null));
    expect(new Set(reasons)).toEqual(new Set(['OVERLOADED', null]));
    for (let index = 0; index < reasons.length; index += 2)
      expect(reasons[index]).toBe(reasons[index + 1]);
  });
});
