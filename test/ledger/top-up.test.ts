/** Auto top-up in the ledger: when a top-up is due, and what starting it does. */

import { describe, expect, test } from 'vitest';
import type { Reason } from '../../src/failure.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { REFUSAL_VALID_MS } from '../../src/ledger/top-up.ts';
import {
  at,
  charge,
  close,
  commit,
  grantCredits,
  ms,
  pack,
  plan,
  release,
  reserve,
  START,
} from './fixtures.ts';

import {
  declined,
  disabled,
  failures,
  funded,
  off,
  on,
  paid,
  paidAndSpent,
  runRows,
  start,
} from './topping-up.ts';

describe('a top-up is due', () => {
  test('at once when the balance falls below the threshold, and never while it is off', () => {
    const store = funded(60n);
    runRows(store, [
      ['1m', charge(5n), '', null],
      ['2m', on(), '', null],
      ['3m', charge(5n), '', null],
      ['4m', charge(1n), '', '4m'],
      ['5m', charge(1n), '', '4m'],
      ['6m', grantCredits(2n), '', null],
      ['7m', charge(1n), '', '7m'],
      ['8m', off, '', null],
    ]);
  });

  test('by what is spent, and not by what a reservation only holds', () => {
    runRows(funded(60n), [
      ['1m', on(), '', null],
      ['2m', reserve(60n), '', null],
      ['3m', release('r1'), '', null],
      ['4m', reserve(60n), '', null],
      ['5m', commit('r2', 11n), '', '5m'],
    ]);
  });

  test('although the account has credits for one operation only', () => {
    const store = funded(60n);
    store.run(START, grantCredits(1_000n, { operations: ['a'] }));
    runRows(store, [
      ['1m', on(), '', null],
      ['2m', charge(11n), '', '2m'],
    ]);
  });

  test('at once if it is switched on while the balance is low', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', on({ threshold: 10n }), '', null],
    ]);
  });

  test('never again once the account is closed', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', close(), '', null],
      ['3m', start, 'nothing due', null],
    ]);
  });

  test('after the cool-down, counted from the start of the previous one', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paidAndSpent('p1'), 'PAID', '62m'],
      ['4m', start, 'nothing due', '62m'],
      ['61m', start, 'nothing due', '62m'],
      ['62m', start, 'p2', '67m'],
    ]);
  });

  test('at once if a shorter cool-down is set that has passed', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paidAndSpent('p1'), 'PAID', '62m'],
      ['4m', on({ coolDownMs: ms('3m') }), '', '5m'],
    ]);
  });

  test('until the monthly cap is reached; declined ones do not count', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ coolDownMs: ms('1m'), monthlyCap: 2 }), '', '1m'],
      ['1m', start, 'p1', '6m'],
      ['2m', paidAndSpent('p1'), 'PAID', '2m'],
      ['3m', start, 'p2', '8m'],
      ['4m', declined('p2'), 'FAILED', '64m'],
      ['64m', start, 'p3', '69m'],
      ['65m', paidAndSpent('p3'), 'PAID', '2026-02-01'],
      ['20d', start, 'nothing due', '2026-02-01'],
      ['2026-02-01', start, 'p4', '2026-02-01T00:05:00Z'],
    ]);
    expect(store.account.topUps).toMatchObject({ count: 1, month: at('2026-02-01') });
  });
});

describe('starting a top-up', () => {
  test('creates a pending purchase, and an entry that says what is bought and who pays', () => {
    const store = funded(10n);
    runRows(store, [['1m', on(), '', '1m']]);
    const entries = store.entries.length;
    runRows(store, [['2m', start, 'p1', '7m']]);
    expect(store.purchases).toMatchObject([
      { purchaseId: 'p1', packId: 'small', credits: 100n, state: 'PENDING', grantId: null },
    ]);
    expect(store.entries.slice(entries)).toMatchObject([
      {
        kind: 'CHECKOUT',
        purchaseId: 'p1',
        details: { pack_id: 'small', quantity: '1', credits: '100', method: 'TOP_UP' },
      },
    ]);
  });

  test('returns null while one is in progress, and the same purchase once its lease has expired', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', start, 'nothing due', '7m'],
      ['7m', start, 'p1', '12m'],
      ['8m', start, 'nothing due', '12m'],
    ]);
    expect(store.purchases.length).toBe(1);
  });

  test('returns the one in progress although it was switched off or the balance recovered', () => {
    runRows(funded(10n), [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', off, '', '7m'],
      ['4m', grantCredits(500n), '', '7m'],
      ['7m', start, 'p1', '12m'],
      ['8m', paid('p1'), 'PAID', null],
    ]);
  });

  test('buys as many packs as the gap needs, in one purchase', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ threshold: 290n }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paid('p1', 0, '15.00'), 'PAID', null],
    ]);
    expect(store.purchases).toMatchObject([
      { quantity: 3, credits: 300n, price: { currency: 'USD', amount: '15.00' }, state: 'PAID' },
    ]);
    expect(store.account).toMatchObject({ remaining: 310n, topUps: { count: 3 } });
  });

  test('buys as many as are left of the monthly cap', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ threshold: 200n, coolDownMs: ms('1m') }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', [paid('p1', 0, '10.00'), charge(210n)], 'PAID', '3m'],
      ['4m', start, 'p2', '9m'],
      ['5m', declined('p2'), 'FAILED', '65m'],
      ['65m', start, 'p3', '70m'],
      ['66m', paid('p3'), 'PAID', '2026-02-01'],
    ]);
    expect(store.purchases.map(({ quantity }) => quantity)).toEqual([2, 1, 1]);
  });

  test('buys a custom pack, and is switched off once it is withdrawn', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ packId: 'own' }), 'PACK_NOT_FOUND', null],
      ['2m', { kind: 'OfferPack', pack: pack('own', 70n, '3.00') }, '', null],
      ['3m', on({ packId: 'own', threshold: 211n }), 'INVALID_FIELD', null],
      ['4m', on({ packId: 'own' }), '', '4m'],
      ['5m', start, 'p1', '10m'],
      ['6m', [paid('p1', 0, '3.00'), charge(70n)], 'PAID', '65m'],
      ['7m', { kind: 'WithdrawPack', packId: 'own' }, '', null],
      ['65m', start, 'nothing due', null],
    ]);
    expect(store.purchases).toMatchObject([{ packId: 'own', credits: 70n, state: 'PAID' }]);
    expect(disabled(store)).toEqual([
      { pack_id: 'own', plan_id: 'test', reason: 'pack_withdrawn' },
    ]);
  });

  test('fails if the pack exceeds the credit limit', () => {
    const store = funded(10n);
    store.plan = plan({}, [pack('small', 9_000_000_000_000_000_000n, '5.00')]);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'nothing due', '62m'],
    ]);
    expect(failures(store)).toMatchObject([
      { purchase_id: '', pack_id: 'small', code: 'account_full' },
    ]);
    expect(store.purchases).toEqual([]);
  });
});

describe('a refusal', () => {
  const refused = (shortfall: bigint, reason: Reason = 'INSUFFICIENT_CREDITS'): Command => ({
    kind: 'ReportRefusals',
    reason,
    metadata:
      reason === 'PAUSED_BELOW_FLOOR'
        ? { available: '40', floor: '50' }
        : { required: '500', available: '40', shortfall: String(shortfall), packs: 'small' },
    count: 3,
  });

  test('writes charge.refused with the amounts of the newest and the number of all', () => {
    const store = funded(60n);
    store.run(at('1m'), refused(5n));
    expect(store.events.at(-1)).toMatchObject({
      type: 'charge.refused',
      data: {
        reason: 'INSUFFICIENT_CREDITS',
        count: '3',
        required: '500',
        available: '40',
        shortfall: '5',
      },
    });
  });

  test('starts a top-up of what was missing, if the owner wants that', () => {
    const store = funded(60n);
    runRows(store, [
      ['1m', on(), '', null],
      ['2m', refused(5n), '', null],
      ['3m', on({ onRefusal: true }), '', null],
      ['4m', refused(5n, 'PAUSED_BELOW_FLOOR'), '', null],
      ['5m', refused(150n), '', '5m'],
      ['6m', start, 'p1', '11m'],
      ['7m', refused(150n), '', '11m'],
      ['8m', paid('p1', 0, '10.00'), 'PAID', null],
    ]);
    expect(store.purchases).toMatchObject([{ quantity: 2 }]);
  });

  test('starts none if the credits have come meanwhile, or after 5 minutes', () => {
    const late = at('3m') + REFUSAL_VALID_MS + 1;
    const store = funded(60n);
    runRows(store, [
      ['0m', on({ onRefusal: true }), '', null],
      ['1m', refused(5n), '', '1m'],
      ['2m', grantCredits(5n), '', null],
      ['3m', [charge(5n), refused(7n)], '', '3m'],
    ]);
    store.run(late, start);
    expect([store.account.topUpDueAt, store.purchases]).toEqual([null, []]);
  });

  test('starts none during the cool-down or beyond the cap, and not later either', () => {
    runRows(funded(10n), [
      ['1m', on({ onRefusal: true }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paid('p1'), 'PAID', null],
      ['4m', refused(5n), '', null],
      ['61m', start, 'nothing due', null],
      ['63m', refused(5n), '', '63m'],
    ]);
  });
});
