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

const own = (...levels: readonly { credits?: bigint; percent?: number }[]) => ({
  own: { levels: [...levels] },
});

const limitsOf = async (accountId: string) => {
  const { account } = await scrip.accounts.getAccount({ accountId });
  const { levels, pauseFloor, lowBalance } = await balanceOf(scrip, accountId);
  expect(account).toMatchObject({ pauseFloor });
  return {
    lowBalanceLevels: account?.lowBalanceLevels,
    levels,
    pauseFloor,
    lowBalance,
    ownLowBalanceLevels: account?.ownLowBalanceLevels?.levels,
    ownPauseFloor: account?.ownPauseFloor,
  };
};

describe('the limits in force', () => {
  test('are those of the plan unless the account has its own', async () => {
    const accountId = await openWithCredits(scrip, 50n, 'floored');
    const ofPlan = {
      lowBalanceLevels: [{ credits: 40n }],
      levels: [{ threshold: 40n, low: false }],
      pauseFloor: 15n,
      lowBalance: false,
      ownLowBalanceLevels: undefined,
      ownPauseFloor: undefined,
    };
    expect(await limitsOf(accountId)).toEqual(ofPlan);
    const levels = [{ credits: 51n }, { percent: 10 }];
    const changed = await update(accountId, {
      lowBalanceLevels: own(...levels),
      pauseFloor: { credits: 0n },
    });
    expect(changed).toMatchObject({
      lowBalanceLevels: levels,
      ownLowBalanceLevels: { levels },
      pauseFloor: 0n,
      ownPauseFloor: 0n,
    });
    const withOwn = {
      lowBalanceLevels: levels,
      levels: [
        { threshold: 51n, low: true },
        { threshold: 5n, low: false, percent: 10 },
      ],
      pauseFloor: 0n,
      lowBalance: true,
      ownLowBalanceLevels: levels,
      ownPauseFloor: 0n,
    };
    expect(await limitsOf(accountId)).toEqual(withOwn);
    await update(accountId, { displayName: 'renamed' });
    expect(await limitsOf(accountId)).toEqual(withOwn);
    await update(accountId, { lowBalanceLevels: own() });
    expect(await limitsOf(accountId)).toMatchObject({
      levels: [],
      lowBalance: false,
      ownLowBalanceLevels: [],
    });
    await update(accountId, { lowBalanceLevels: {}, pauseFloor: {} });
    expect(await limitsOf(accountId)).toEqual(ofPlan);
  });

  test('are shown by ListAccounts', async () => {
    const accountId = await scrip.open('floored');
    await update(accountId, { lowBalanceLevels: own({ credits: MAX }) });
    const { accounts } = await scrip.accounts.listAccounts({ planId: 'floored' });
    expect(accounts.find((account) => account.accountId === accountId)).toMatchObject({
      lowBalanceLevels: [{ credits: MAX }],
      pauseFloor: 15n,
      ownPauseFloor: undefined,
    });
  });

  test('that cannot be are all refused in one error, which changes nothing', async () => {
    const accountId = await scrip.open('floored');
    const before = await storedRows(scrip, accountId);
    const levels = [
      { credits: 0n },
      { percent: 101 },
      { credits: 5n, percent: 5 },
      {},
      { credits: 7n },
      { credits: 7n },
    ];
    const change = { lowBalanceLevels: own(...levels), pauseFloor: { credits: -1n } };
    const field = (path: string) => `low_balance_levels.own.levels${path}`;
    expect(await errorOf(update(accountId, change))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: [
        field('[0].credits'),
        field('[1].percent'),
        field('[2]'),
        field('[3]'),
        field('[5]'),
        'pause_floor.credits',
      ],
    });
    const many = Array.from({ length: 11 }, (_, index) => ({ credits: BigInt(index + 1) }));
    const tooMany = update(accountId, { lowBalanceLevels: own(...many) });
    expect(await errorOf(tooMany)).toMatchObject({ fields: [field('')] });
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
    expect((await reserve(accountId)).entrySeq).toBe(3n);
    expect((await reserve(accountId, Criticality.CRITICAL)).entrySeq).toBe(4n);
  });

  test('a repeated request gets its first response', async () => {
    const accountId = await openWithCredits(scrip, 15n, 'floored');
    const id = requestId();
    const first = await reserve(accountId, SHEDDABLE, id);
    expect((await errorOf(reserve(accountId, SHEDDABLE))).reason).toBe('PAUSED_BELOW_FLOOR');
    expect(await reserve(accountId, SHEDDABLE, id)).toMatchObject({ ...first, replay: {} });
  });

  test('a refused request succeeds under the same request id when there are credits', async () => {
    const accountId = await openWithCredits(scrip, 14n, 'floored');
    const id = requestId();
    expect((await errorOf(reserve(accountId, SHEDDABLE, id))).reason).toBe('PAUSED_BELOW_FLOOR');
    await update(accountId, { pauseFloor: { credits: 14n } });
    expect((await reserve(accountId, SHEDDABLE, id)).entrySeq).toBe(4n);
  });

  test('an unknown criticality fails with INVALID_FIELD', async () => {
    const accountId = await openWithCredits(scrip, 100n, 'floored');
    expect(await errorOf(reserve(accountId, 7 as Criticality))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['criticality'],
    });
  });
});
