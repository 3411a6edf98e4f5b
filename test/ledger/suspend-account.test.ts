import { describe, expect, test } from 'vitest';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  extend,
  grantCredits,
  move,
  pack,
  plan,
  purchase,
  raise,
  refund,
  release,
  reserve,
  resume,
  suspend,
  voidGrant,
} from './fixtures.ts';
import { ledger } from './table.ts';

const SUSPENDED =
  'ACCOUNT_SUSPENDED: account_id acme, since 2026-01-10T00:00:02.000Z, reason a test';

describe('a suspended account', () => {
  test('begins no new work until it is resumed', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['1s', reserve(2n), 'RESERVE 2: g1>(g1) 2', '10 (2)'],
      ['2s', suspend(), 'SUSPEND_ACCOUNT', '10 (2)'],
      ['3s', reserve(1n), SUSPENDED, '10 (2)'],
      ['4s', charge(0n), SUSPENDED, '10 (2)'],
      ['5s', raise('r1', 1n), SUSPENDED, '10 (2)'],
      ['6s', resume(), 'RESUME_ACCOUNT', '10 (2)'],
      ['7s', charge(1n), 'CHARGE 1: g1>consumed 1', '9 (2)'],
    ]);
    expect(store.account.suspension).toBeNull();
    const [suspended, resumed] = store.entries.filter(({ kind }) => /SUSPEND|RESUME/.test(kind));
    expect(suspended).toMatchObject({
      details: { running: 'CONTINUE' },
      personal: { reason: 'a test' },
    });
    expect(resumed).toMatchObject({ details: {}, personal: { reason: 'a test' } });
    expect(store.events.map(({ type, data }) => [type, data])).toEqual([
      ['account.suspended', { running: 'CONTINUE', caller: 'pages' }],
      ['account.resumed', { caller: 'pages' }],
    ]);
  });

  test('lets running jobs go on by default', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['1s', reserve(5n), 'RESERVE 5: g1>(g1) 5', '10 (5)'],
      ['2s', suspend(), 'SUSPEND_ACCOUNT', '10 (5)'],
      ['3s', extend('r1', '1h'), 'EXTEND', '10 (5)'],
      ['4s', commit('r1', 2n, { final: false }), 'COMMIT 2: (g1)>consumed 2', '8 (3)'],
      ['5s', commit('r1', 1n), 'COMMIT 1: (g1)>consumed 1, (g1)>g1 2', '7'],
    ]);
  });

  test('stops running jobs, if the operator wants that: they are released or expire', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['1s', reserve(5n), 'RESERVE 5: g1>(g1) 5', '10 (5)'],
      ['1s', reserve(3n, { ttlMs: 60_000 }), 'RESERVE 3: g1>(g1) 3', '10 (8)'],
      ['2s', suspend('STOP'), 'SUSPEND_ACCOUNT', '10 (8)'],
      ['3s', extend('r1', '1h'), SUSPENDED, '10 (8)'],
      ['4s', commit('r1', 1n), SUSPENDED, '10 (8)'],
      ['5s', release('r1'), 'RELEASE 5: (g1)>g1 5', '10 (3)'],
      ['2m', commit('r2'), `EXPIRE 3: (g1)>g1 3 | ${SUSPENDED}`, '10'],
      ['3m', resume(), 'RESUME_ACCOUNT', '10'],
      ['4m', commit('r2'), 'late COMMIT 3: g1>consumed 3', '7'],
    ]);
  });

  test('is still granted, sold to, refunded, corrected and moved, and its credits expire', () => {
    ledger(plan(allowance(50n), [pack('small', 7n, '5.00')]), [
      ['2026-01-30', charge(4n), 'CHARGE 4: g1>consumed 4', '46'],
      ['2026-01-30', suspend('STOP'), 'SUSPEND_ACCOUNT', '46'],
      ['2026-01-30', grantCredits(10n), 'GRANT 10: issued>g2 10', '56'],
      ['2026-01-30', purchase('small', 'INV-1'), 'PURCHASE 7: issued>g3 7', '63'],
      ['2026-01-30', refund(3n), 'REFUND 4: consumed>g1 4', '67'],
      ['2026-01-30', voidGrant(2n), 'VOID_GRANT 10: g2>voided 10', '57'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g4 50', '57'],
      ['2026-02-01', move('none'), 'PLAN_NOT_FOUND', '57'],
      ['2026-02-02', close(), 'CLOSE_ACCOUNT', '57'],
      ['2026-02-03', charge(1n), 'ACCOUNT_CLOSED', '57'],
      ['2026-02-04', suspend(), 'ACCOUNT_CLOSED', '57'],
      ['2026-02-05', resume(), 'RESUME_ACCOUNT', '57'],
    ]);
  });
});

test('suspending again changes only what is asked for otherwise', () => {
  const store = ledger(plan(), [
    ['1s', suspend(), 'SUSPEND_ACCOUNT', '0'],
    ['2s', suspend('CONTINUE', 'another reason'), 'nothing', '0'],
    ['3s', suspend('STOP', 'worse'), 'SUSPEND_ACCOUNT', '0'],
  ]);
  expect(store.account.suspension).toEqual({
    since: at('1s'),
    reason: 'worse',
    caller: 'pages',
    running: 'STOP',
  });
  store.run(at('4s'), resume());
  expect(store.run(at('5s'), resume()).outcome).toMatchObject({ entrySeq: 0n });
});
