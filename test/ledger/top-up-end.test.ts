import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/ledger/decide.ts';
import { backoffMs } from '../../src/ledger/top-up.ts';
import { at, charge, close, ms } from './fixtures.ts';

import {
  declined,
  ended,
  failures,
  funded,
  off,
  on,
  paid,
  paidAndSpent,
  runRows,
  start,
  synced,
} from './topping-up.ts';

describe('a top-up that ends', () => {
  test('as declined emits top_up.failed with the code and the next attempt, later each time', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ coolDownMs: ms('1m') }), '', '1m'],
      ['1m', start, 'p1', '6m'],
      ['2m', declined('p1'), 'FAILED', '62m'],
      ['62m', start, 'p2', '67m'],
      ['63m', ended('p2', 'insufficient_funds'), 'ended', '183m'],
      ['183m', start, 'p3', '188m'],
      ['184m', paidAndSpent('p3'), 'PAID', '184m'],
      ['184m', start, 'p4', '189m'],
      ['185m', declined('p4'), 'FAILED', '245m'],
    ]);
    const failed = (purchaseId: string, code: string, next: string) => ({
      purchase_id: purchaseId,
      pack_id: 'small',
      code,
      next_attempt_at: new Date(at(next)).toISOString(),
    });
    expect(failures(store)).toEqual([
      failed('p1', 'card_declined', '62m'),
      failed('p2', 'insufficient_funds', '183m'),
      // One that is paid in between resets the back-off.
      failed('p4', 'card_declined', '245m'),
    ]);
  });

  test('ends once: a repeated end and one of another purchase are ignored', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', ended('p1', 'card_declined'), 'ignored', null],
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', ended('p2', 'card_declined'), 'ignored', '7m'],
      ['4m', ended('p1', 'card_declined'), 'ended', '64m'],
      ['5m', ended('p1', 'card_declined'), 'ignored', '64m'],
      // Read before the end and applied after it: stale.
      ['6m', declined('p1'), 'FAILED', '64m'],
    ]);
    expect(failures(store).length).toBe(1);
    expect(store.purchases).toMatchObject([
      { state: 'FAILED', failureCode: 'card_declined', nextCheckAt: null },
    ]);
  });

  test('as paid cannot be ended as declined', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', paid('p1'), 'PAID', null],
      ['4m', ended('p1', 'card_declined'), 'ignored', null],
    ]);
    expect(store.purchases).toMatchObject([{ state: 'PAID', failureCode: '' }]);
  });

  test('by expiry emits top_up.failed', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['24h', synced('p1', { payment: 'EXPIRED' }), 'EXPIRED', '25h'],
    ]);
    expect(failures(store)).toMatchObject([{ purchase_id: 'p1', code: 'expired' }]);
  });

  test('as declined and is paid after all grants credits, counts, and ends the back-off', () => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on({ monthlyCap: 1, coolDownMs: ms('1m') }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', declined('p1'), 'FAILED', '63m'],
      ['4m', [paid('p1', 1), charge(100n)], 'PAID', '2026-02-01'],
    ]);
    expect(store.purchases).toMatchObject([{ state: 'PAID', grantId: 2n }]);
    expect(store.account.topUps).toMatchObject({ count: 1, failures: 0, retryAt: null });
  });

  test.each<[string, Command]>([
    ['it was switched off', off],
    ['the account was closed', close()],
  ])('unpaid after %s ends without a word, and does not count', (_, command) => {
    const store = funded(10n);
    runRows(store, [
      ['1m', on(), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', command, '', '7m'],
      ['4m', declined('p1', 'requested_by_customer'), 'FAILED', null],
    ]);
    expect(failures(store)).toEqual([]);
    expect(store.account.topUps).toMatchObject({ count: 0, failures: 0, purchaseId: null });
  });

  test('as declined is tried at once with another payment method, but not with the same one', () => {
    runRows(funded(10n), [
      ['1m', on({ coolDownMs: ms('1m') }), '', '1m'],
      ['2m', start, 'p1', '7m'],
      ['3m', declined('p1'), 'FAILED', '63m'],
      ['5m', on({ coolDownMs: ms('1m'), monthlyCap: 9 }), '', '63m'],
      ['6m', on({ coolDownMs: ms('1m'), paymentMethod: 'pm_2' }), '', '6m'],
    ]);
  });

  test.each([
    [1, '1h'],
    [2, '2h'],
    [3, '4h'],
    [8, '128h'],
    [9, '7d'],
    [500, '7d'],
  ])('waits after decline %i in a row for %s', (declines, length) => {
    expect(backoffMs(declines)).toBe(ms(length));
  });
});
