import { describe, expect, test } from 'vitest';
import type { OverCommitPolicy } from '../../src/ledger/reservation.ts';
import {
  at,
  charge,
  close,
  commit,
  extend,
  grantCredits,
  pages,
  plan,
  postpaid,
  raise,
  rateCard,
  release,
  reserve,
} from './fixtures.ts';
import { continueLedger, ledger, type Row } from './table.ts';

const GRANTED: Row = ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'];
const RESERVED: Row = ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'];

describe('a raise', () => {
  test('reserves more for the same reservation, which ends as one', () => {
    const store = ledger(plan(), [
      GRANTED,
      RESERVED,
      ['1m', raise('r1', 20n), 'RAISE 20: g1>(g1) 20', '100 (50)'],
      ['2m', raise('r1', pages(5n)), 'RAISE 5: g1>(g1) 5', '100 (55)'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      credits: 55n,
      expiresAt: at('15m'),
      allocations: [{ grantId: 1n, credits: 55n }],
    });
    continueLedger(store, [
      ['3m', commit('r1', 50n), 'COMMIT 50: (g1)>consumed 50, (g1)>g1 5', '50'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 50n, returned: 5n });
  });

  test('of 0 credits makes an entry without moves', () => {
    ledger(plan(), [GRANTED, RESERVED, ['1m', raise('r1', 0n), 'RAISE 0', '100 (30)']]);
  });

  test('reserves everything that is asked for, or fails with what is missing', () => {
    ledger(plan(), [
      GRANTED,
      RESERVED,
      [
        '1m',
        raise('r1', 71n),
        'INSUFFICIENT_CREDITS: required 71, available 70, shortfall 1',
        '100 (30)',
      ],
      ['2m', raise('r1', 70n), 'RAISE 70: g1>(g1) 70', '100 (100)'],
    ]);
  });

  test('keeps allocations in burn order, each grant once, overage last', () => {
    const store = ledger(plan(postpaid(50n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(15n), 'RESERVE 15: g1>(g1) 10, overage>(overage) 5', '10 (15)'],
      ['1s', grantCredits(10n, { priority: 0 }), 'GRANT 10: issued>g2 10', '20 (15)'],
      ['2s', raise('r1', 12n), 'RAISE 12: g2>(g2) 10, overage>(overage) 2', '20 (27)'],
    ]);
    expect(store.reservations.get('r1')?.allocations).toEqual([
      { grantId: 2n, credits: 10n },
      { grantId: 1n, credits: 10n },
      { grantId: 0n, credits: 7n },
    ]);
    continueLedger(store, [
      [
        '3s',
        commit('r1', 15n),
        'COMMIT 15: (g2)>consumed 10, (g1)>consumed 5, (g1)>g1 5, (overage)>overage 7',
        '5',
      ],
    ]);
  });

  test('says on a postpaid plan that the overage limit is reached', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', reserve(40n), 'RESERVE 40: overage>(overage) 40', '0 (40)'],
      [
        '1s',
        raise('r1', 11n),
        'OVERAGE_LIMIT_REACHED: required 11, available 10, shortfall 1, limit 50',
        '0 (40)',
      ],
    ]);
  });

  test('is priced on the reservation’s rate card version', () => {
    const store = ledger(plan(), [GRANTED, RESERVED]);
    store.publish(rateCard(2, 5n));
    continueLedger(store, [
      ['1m', raise('r1', pages(4n)), 'RAISE 4: g1>(g1) 4', '100 (34)'],
      ['1m', charge(pages(4n)), 'CHARGE 20: g1>consumed 20', '80 (34)'],
    ]);
  });

  test('can be combined with partial commits and extensions', () => {
    const store = ledger(plan(), [
      GRANTED,
      RESERVED,
      ['1m', commit('r1', 30n, { final: false }), 'COMMIT 30: (g1)>consumed 30', '70'],
      ['2m', raise('r1', 10n), 'RAISE 10: g1>(g1) 10', '70 (10)'],
      ['14m', extend('r1', '15m'), 'EXTEND', '70 (10)'],
      ['20m', commit('r1', 4n, { final: false }), 'COMMIT 4: (g1)>consumed 4', '66 (6)'],
      ['28m', extend('r1', '15m'), 'EXTEND', '66 (6)'],
      ['29m', raise('r1', 10n), 'RAISE 10: g1>(g1) 10', '66 (16)'],
      ['42m', commit('r1', 9n), 'COMMIT 9: (g1)>consumed 9, (g1)>g1 7', '57'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      credits: 50n,
      committed: 43n,
      returned: 7n,
    });
  });

  test.each<[OverCommitPolicy, string, string]>([
    ['REJECT', 'EXCEEDS_RESERVATION: asked 60, allowed 50, reservation_id r1', '100 (50)'],
    ['CAP', 'COMMIT 50: (g1)>consumed 50', '50'],
    ['DRAW', 'COMMIT 60: (g1)>consumed 50, g1>consumed 10', '40'],
  ])('raises what the policy %s allows', (overCommitPolicy, written, balance) => {
    ledger(plan(), [
      GRANTED,
      ['0s', reserve(30n, { overCommitPolicy }), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['1s', raise('r1', 20n), 'RAISE 20: g1>(g1) 20', '100 (50)'],
      ['2s', commit('r1', 60n), written, balance],
    ]);
  });

  test('is included in a release, an expiry and a late commit', () => {
    const raised: readonly Row[] = [
      GRANTED,
      RESERVED,
      ['1m', raise('r1', 20n), 'RAISE 20: g1>(g1) 20', '100 (50)'],
    ];
    ledger(plan(), [...raised, ['2m', release('r1'), 'RELEASE 50: (g1)>g1 50', '100']]);
    ledger(plan(), [
      ...raised,
      ['15m', null, 'EXPIRE 50: (g1)>g1 50', '100'],
      [
        '16m',
        commit('r1', 51n),
        'EXCEEDS_RESERVATION: asked 51, allowed 50, reservation_id r1',
        '100',
      ],
      ['17m', commit('r1', 45n), 'late COMMIT 45: g1>consumed 45', '55'],
    ]);
  });

  test('fails for an ended reservation, saying how it ended, and on a closed account', () => {
    ledger(plan(), [
      GRANTED,
      RESERVED,
      ['1s', raise('r9', 1n), 'RESERVATION_NOT_FOUND', '100 (30)'],
      ['1s', commit('r1', 1n), 'COMMIT 1: (g1)>consumed 1, (g1)>g1 29', '99'],
      ['2s', raise('r1', 1n), 'RESERVATION_COMMITTED', '99'],
      ['3s', reserve(5n), 'RESERVE 5: g1>(g1) 5', '99 (5)'],
      ['4s', release('r2'), 'RELEASE 5: (g1)>g1 5', '99'],
      ['5s', raise('r2', 1n), 'RESERVATION_RELEASED', '99'],
      ['6s', reserve(5n), 'RESERVE 5: g1>(g1) 5', '99 (5)'],
      ['16m', raise('r3', 1n), 'EXPIRE 5: (g1)>g1 5 | RESERVATION_EXPIRED', '99'],
      ['17m', reserve(5n), 'RESERVE 5: g1>(g1) 5', '99 (5)'],
      ['18m', close(), 'CLOSE_ACCOUNT', '99 (5)'],
      ['19m', raise('r4', 1n), 'ACCOUNT_CLOSED', '99 (5)'],
    ]);
  });
});
