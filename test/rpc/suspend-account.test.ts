import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Account_State, RunningWork } from '../../src/gen/billing/v1/account_service.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { defined, entriesOf, newestEntry, openWithCredits, reserveCredits } from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { type Cluster, outcomeOf, startCluster } from '../cluster/cluster.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, type TestService } from '../service.ts';

let cluster: Cluster;
let scrip: TestService;
let other: TestService;
beforeAll(async () => {
  cluster = await startCluster();
  [scrip, other] = cluster.replicas;
});
afterAll(async () => {
  await expectSoundLedger(cluster.databaseUrl);
  await cluster.stop();
});

const suspend = (
  accountId: string,
  running: RunningWork = RunningWork.CONTINUE,
  reason = 'payment overdue',
) => scrip.accounts.suspendAccount({ accountId, requestId: requestId(), running, reason });
const resume = (accountId: string) =>
  scrip.accounts.resumeAccount({ accountId, requestId: requestId(), reason: 'paid' });
const charge = (service: TestService, accountId: string) =>
  service.billing.charge({ accountId, requestId: requestId(), credits: 1n });

describe('SuspendAccount', () => {
  test('refuses new work on every replica, and says since when and why', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await charge(other, accountId); // that replica caches the account
    const { account, entrySeq } = await suspend(accountId);
    const { since } = defined(account?.suspension);
    expect(account).toMatchObject({
      state: Account_State.SUSPENDED,
      suspension: { reason: 'payment overdue', caller: 'test', running: RunningWork.CONTINUE },
    });
    for (const service of cluster.replicas)
      expect(await errorOf(charge(service, accountId))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'ACCOUNT_SUSPENDED',
        metadata: {
          account_id: accountId,
          since: since?.toISOString(),
          reason: 'payment overdue',
        },
      });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      seq: entrySeq,
      kind: Entry_Kind.SUSPEND_ACCOUNT,
      caller: 'test',
      details: mapOf({ running: 'CONTINUE', reason: 'payment overdue' }),
    });
    const resumed = await resume(accountId);
    expect(resumed.account).toMatchObject({ state: Account_State.OPEN, suspension: undefined });
    await charge(other, accountId);
  });

  test.each([
    ['lets a running job commit', RunningWork.CONTINUE, 'OK'],
    ['or stops it', RunningWork.STOP, 'ACCOUNT_SUSPENDED'],
  ])('%s', async (_, running, expected) => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    await suspend(accountId, running);
    const named = { accountId, requestId: requestId(), reservationId };
    const committed = await outcomeOf(other.billing.commit({ ...named, all: true }));
    expect(committed.reason).toBe(expected);
    const released = outcomeOf(other.billing.release(named));
    expect((await released).reason).toBe(expected === 'OK' ? 'RESERVATION_COMMITTED' : 'OK');
  });

  test('is repeated without a second effect, and refused with bad fields', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), reason: 'one' };
    const first = await scrip.accounts.suspendAccount(request);
    expect(await other.accounts.suspendAccount(request)).toEqual({
      ...first,
      replay: expect.anything(),
    });
    expect(await suspend(accountId)).toMatchObject({
      entrySeq: 0n,
      account: { suspension: { reason: 'one' } },
    });
    const bad = await errorOf(suspend(accountId, 7 as RunningWork, ''));
    expect(bad.fields).toEqual(['running', 'reason']);
  });

  test('races with charges: none comes after it', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const calls = Array.from({ length: 60 }, (_, index) =>
      index === 20
        ? suspend(accountId)
        : outcomeOf(charge(cluster.replicas[index % 2]!, accountId)),
    );
    await Promise.all(calls);
    expect((await newestEntry(scrip, accountId)).kind).toBe(Entry_Kind.SUSPEND_ACCOUNT);
    const kinds = (await entriesOf(scrip, accountId)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === Entry_Kind.SUSPEND_ACCOUNT)).toHaveLength(1);
  });
});

test('ListAccounts shows and filters the state', async () => {
  const [open, suspended, closed] = [
    await scrip.open('perfectparser'),
    await scrip.open('perfectparser'),
    await scrip.open('perfectparser'),
  ];
  await suspend(suspended);
  await suspend(closed);
  await scrip.accounts.closeAccount({ accountId: closed, requestId: requestId() });
  const listed = async (state: Account_State) =>
    (await scrip.accounts.listAccounts({ planId: 'perfectparser', state })).accounts.map(
      (account) => account.accountId,
    );
  expect(await listed(Account_State.OPEN)).toEqual([open]);
  expect(await listed(Account_State.SUSPENDED)).toEqual([suspended]);
  expect(await listed(Account_State.CLOSED)).toEqual([closed]);
  expect(await listed(Account_State.UNSPECIFIED)).toHaveLength(3);
  const { reason } = await errorOf(listed(9 as Account_State));
  expect(reason).toBe('INVALID_FIELD');
});

test('EraseAccountData erases the reason', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  await suspend(accountId, RunningWork.STOP, 'Ann did not pay');
  const named = () => ({ accountId, requestId: requestId() });
  await scrip.accounts.closeAccount(named());
  const { account } = await scrip.accounts.eraseAccountData({ ...named(), reason: 'ticket 17' });
  expect(account?.suspension).toMatchObject({ reason: '', running: RunningWork.STOP });
});
