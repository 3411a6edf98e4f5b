/** Limits of an account's own, and the pause below the pause floor. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Criticality } from '../../src/gen/billing/v1/ledger.ts';
import { balanceOf, openWithCredits, storedRows } from '../accounts.ts';
import { planIn, withReplaced } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const SHEDDABLE = Criticality.SHEDDABLE;
const MAX = 9_223_372_036_854_775_807n;

let scrip: TestService;
beforeAll(async () => {
  const floored = withReplaced('allowance: { credits: 50, every: month, rollover: none }', '')
    .replace('welcome: { credits: 30, validity: 30 days }', '')
    .replace('plan_id: everything', 'plan_id: floored');
  scrip = await startTestService({ plans: [planIn(floored)] });
});
afterAll(() => scrip.stop());

type Change = Omit<Parameters<TestService['accounts']['updateAccount']>[0], 'accountId'>;
const update = async (accountId: string, change: Change) =>
  (await scrip.accounts.updateAccount({ accountId, requestId: requestId(), ...change })).account;

const limitsOf = async (accountId: string) => {
  const { account } = await scrip.accounts.getAccount({ accountId });
  const { lowBalanceThreshold, pauseFloor, lowBalance } = await balanceOf(scrip, accountId);
  expect(account).toMatchObject({ lowBalanceThreshold, pauseFloor });
  return {
    lowBalanceThreshold,
    pauseFloor,
    lowBalance,
    ownLowBalanceThreshold: account?.ownLowBalanceThreshold,
    ownPauseFloor: account?.ownPauseFloor,
  };
};

describe('the limits in force', () => {
  test('are those of the plan unless the account has its own', async () => {
    const accountId = await openWithCredits(scrip, 50n, 'floored');
    const ofPlan = {
      lowBalanceThreshold: 40n,
      pauseFloor: 15n,
      lowBalance: false,
      ownLowBalanceThreshold: undefined,
      ownPauseFloor: undefined,
    };
    expect(await limitsOf(accountId)).toEqual(ofPlan);
    const own = { lowBalanceThreshold: { credits: 51n }, pauseFloor: { credits: 0n } };
    expect(await update(accountId, own)).toMatchObject({
      lowBalanceThreshold: 51n,
      ownLowBalanceThreshold: 51n,
      pauseFloor: 0n,
      ownPauseFloor: 0n,
    });
    const withOwn = {
      lowBalanceThreshold: 51n,
      pauseFloor: 0n,
      lowBalance: true,
      ownLowBalanceThreshold: 51n,
      ownPauseFloor: 0n,
    };
    expect(await limitsOf(accountId)).toEqual(withOwn);
    await update(accountId, { displayName: 'renamed' });
    expect(await limitsOf(accountId)).toEqual(withOwn);
    await update(accountId, { lowBalanceThreshold: {}, pauseFloor: {} });
    expect(await limitsOf(accountId)).toEqual(ofPlan);
  });

  test('are shown by ListAccounts', async () => {
    const accountId = await scrip.open('floored');
    await update(accountId, { lowBalanceThreshold: { credits: MAX } });
    const { accounts } = await scrip.accounts.listAccounts({ planId: 'floored' });
    expect(accounts.find((account) => account.accountId === accountId)).toMatchObject({
      lowBalanceThreshold: MAX,
      pauseFloor: 15n,
      ownPauseFloor: undefined,
    });
  });

  test('cannot be negative', async () => {
    const accountId = await scrip.open('floored');
    const before = await storedRows(scrip, accountId);
    const change = { lowBalanceThreshold: { credits: -1n }, pauseFloor: { credits: -1n } };
    expect(await errorOf(update(accountId, change))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['low_balance_threshold.credits', 'pause_floor.credits'],
    });
    expect(await storedRows(scrip, accountId)).toBe(before);
  });
});

describe('below the pause floor', () => {
  const reserve = (accountId: string, criticality?: Criticality, id = requestId()) =>
    scrip.billing.reserve({
      accountId,
      requestId: id,
      credits: 1n,
      ...(criticality !== undefined && { criticality }),
    });

  test('SHEDDABLE reservations and charges fail and write nothing, and CRITICAL ones succeed', async () => {
    const accountId = await openWithCredits(scrip, 14n, 'floored');
    const before = await storedRows(scrip, accountId);
    const charge = { accountId, requestId: requestId(), credits: 1n, criticality: SHEDDABLE };
    for (const call of [reserve(accountId, SHEDDABLE), scrip.billing.charge(charge)])
      expect(await errorOf(call)).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'PAUSED_BELOW_FLOOR',
        metadata: { available: '14', floor: '15' },
      });
    expect(await storedRows(scrip, accountId)).toBe(before);
    expect((await reserve(accountId)).entrySeq).toBe(2n);
    expect((await reserve(accountId, Criticality.CRITICAL)).entrySeq).toBe(3n);
  });

  test('a repeated request gets its first response', async () => {
    const accountId = await openWithCredits(scrip, 15n, 'floored');
    const id = requestId();
    const first = await reserve(accountId, SHEDDABLE, id);
    expect((await errorOf(reserve(accountId, SHEDDABLE))).reason).toBe('PAUSED_BELOW_FLOOR');
    expect(await reserve(accountId, SHEDDABLE, id)).toEqual(first);
  });

  test('a refused request succeeds under the same request id when there are credits', async () => {
    const accountId = await openWithCredits(scrip, 14n, 'floored');
    const id = requestId();
    expect((await errorOf(reserve(accountId, SHEDDABLE, id))).reason).toBe('PAUSED_BELOW_FLOOR');
    await update(accountId, { pauseFloor: { credits: 14n } });
    expect((await reserve(accountId, SHEDDABLE, id)).entrySeq).toBe(2n);
  });

  test('an unknown criticality fails with INVALID_FIELD', async () => {
    const accountId = await openWithCredits(scrip, 100n, 'floored');
    expect(await errorOf(reserve(accountId, 7 as Criticality))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['criticality'],
    });
  });
});
