/** Units of work on accounts that another replica has locked. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { RequestedCommand } from '../../src/ledger/decide.ts';
import type { WaitPolicy } from '../../src/store/load.ts';
import { balanceOf, openWithCredits } from '../accounts.ts';
import { lockAccount } from '../disruptions.ts';
import { origin, reserve } from '../ledger/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { type OtherReplica, startOtherReplica } from './other-replica.ts';

let scrip: TestService;
let replica: OtherReplica;
/** The units of work that ran: the number of their tasks, and whether they waited for locks. */
const units: [number, WaitPolicy][] = [];

beforeAll(async () => {
  scrip = await startTestService();
  replica = await startOtherReplica(
    scrip,
    (tasks, locked) => void units.push([tasks.length, locked]),
  );
});
afterAll(async () => {
  await replica.stop();
  await scrip.stop();
});

/** Reserves one credit. Returns the account id, or the reason of the failure. */
async function reserveOn(accountId: string): Promise<string> {
  const answer = await replica.lanes.submit({
    type: 'request',
    accountId,
    command: reserve(1n) as RequestedCommand,
    origin: { ...origin, requestId: requestId() },
    call: null,
    permissions: null,
    fingerprint: new Uint8Array(),
    notAfter: null,
    encodeResponse: () => Buffer.from(accountId),
    isAbandoned: () => false,
    dayTally: null,
    blockedBy: null,
  });
  return answer instanceof Failure ? answer.reason : Buffer.from(answer.response).toString();
}

describe('an account that another replica has locked', () => {
  test('does not delay other accounts, and is used when the lock is free', async () => {
    const [locked, free] = [await openWithCredits(scrip, 10n), await openWithCredits(scrip, 10n)];
    const unlock = await lockAccount(scrip.databaseUrl, locked);
    units.length = 0;
    const later = reserveOn(locked);
    expect(await reserveOn(free)).toBe(free);
    expect(units[0]).toEqual([2, 'skip']);
    await unlock();
    expect(await later).toBe(locked);
    expect((await balanceOf(scrip, locked)).reserved).toBe(1n);
  });

  test('is waited for if the group has no other', async () => {
    const locked = await openWithCredits(scrip, 10n);
    const unlock = await lockAccount(scrip.databaseUrl, locked);
    units.length = 0;
    const later = reserveOn(locked);
    await expect.poll(() => units).toEqual([[1, 'wait']]);
    await unlock();
    expect(await later).toBe(locked);
    expect(units).toHaveLength(1);
  });

  test('is told from an account that does not exist', async () => {
    const [locked, free] = [await openWithCredits(scrip, 10n), await openWithCredits(scrip, 10n)];
    const unlock = await lockAccount(scrip.databaseUrl, locked);
    const later = reserveOn(locked);
    expect(await Promise.all([reserveOn('nobody'), reserveOn(free)])).toEqual([
      'ACCOUNT_NOT_FOUND',
      free,
    ]);
    await unlock();
    expect(await later).toBe(locked);
  });

  test('is not answered as settled before the lock is free', async () => {
    const [locked, free] = [await openWithCredits(scrip, 10n), await openWithCredits(scrip, 10n)];
    const unlock = await lockAccount(scrip.databaseUrl, locked);
    let answered = false;
    const settled = replica.lanes.settle(locked);
    void settled.then(() => {
      answered = true;
    });
    expect(await reserveOn(free)).toBe(free);
    expect(answered).toBe(false);
    await unlock();
    expect(await settled).toBeNull();
  });
});
