import { describe, expect, test } from 'vitest';
import {
  at,
  charge,
  close,
  commit,
  grantCredits,
  plan,
  raise,
  refund,
  release,
  reserve,
  voidGrant,
} from './fixtures.ts';
import { ledger } from './table.ts';

const granted = grantCredits(100n);
const GRANTED = 'GRANT 100: issued>g1 100';
const onReturn = { voidReturned: true };

describe('voiding credits of a grant', () => {
  test('takes all that is available, and the grant is over', () => {
    const store = ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', charge(30n), 'CHARGE 30: g1>consumed 30', '70'],
      ['2s', voidGrant(1n), 'VOID_GRANT 70: g1>voided 70', '0'],
      ['3s', voidGrant(1n), 'GRANT_ENDED: grant_id 1, state VOIDED', '0'],
      ['4s', charge(1n), 'INSUFFICIENT_CREDITS', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'VOIDED', remaining: 0n, voided: 70n });
    expect(store.account.granted).toBe(0n);
  });

  test('takes as many as are asked for', () => {
    const store = ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', voidGrant(1n, 30n), 'VOID_GRANT 30: g1>voided 30', '70'],
      [
        '2s',
        voidGrant(1n, 71n),
        'EXCEEDS_GRANT: grant_id 1, asked 71, allowed 70, reserved 0',
        '70',
      ],
      ['3s', voidGrant(1n, 70n), 'VOID_GRANT 70: g1>voided 70', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'VOIDED', voided: 100n });
  });

  test('says who and why, and tells subscribers', () => {
    const store = ledger(plan(), [['0s', granted, GRANTED, '100']]);
    const labels = { by: 'ann' };
    store.run(
      at('1s'),
      voidGrant(1n, 4n, { reference: 'ticket 9', labels, reason: 'granted twice' }),
    );
    expect(store.entries.at(-1)).toMatchObject({
      kind: 'VOID_GRANT',
      grantId: 1n,
      credits: 4n,
      reference: 'ticket 9',
      labels,
      personal: { reason: 'granted twice' },
      details: {},
    });
    expect(store.events.at(-1)).toMatchObject({
      type: 'grant.voided',
      data: { grant_id: '1', credits: '4', void_on_return: '0', category: 'PAID' },
    });
  });

  test('is refused for a grant that the account does not have, is spent, or has expired', () => {
    ledger(plan(), [
      ['0s', voidGrant(1n), 'GRANT_NOT_FOUND: grant_id 1, account_id acme', '0'],
      ['0s', grantCredits(10n, { expiresAt: at('1h') }), 'GRANT 10: issued>g1 10', '10'],
      ['1s', grantCredits(5n, { priority: 1 }), 'GRANT 5: issued>g2 5', '15'],
      ['2s', charge(5n), 'CHARGE 5: g2>consumed 5', '10'],
      ['3s', voidGrant(2n, 1n), 'GRANT_ENDED: grant_id 2, state SPENT', '10'],
      [
        '1h',
        voidGrant(1n, 1n),
        'GRANT_EXPIRED 10: g1>expired 10 | GRANT_ENDED: grant_id 1, state EXPIRED',
        '0',
      ],
    ]);
  });

  test('is refused for a grant that has expired while it was reserved', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n, { expiresAt: at('1m') }), 'GRANT 10: issued>g1 10', '10'],
      ['1s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '10 (10)'],
      ['2m', voidGrant(1n, 'all', onReturn), 'GRANT_ENDED: grant_id 1, state EXPIRED', '10 (10)'],
      ['3m', release('r1'), 'RELEASE 10: (g1)>expired 10', '0'],
    ]);
  });

  test('works on a closed account', () => {
    ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', close(), 'CLOSE_ACCOUNT', '100'],
      ['2s', voidGrant(1n), 'VOID_GRANT 100: g1>voided 100', '0'],
    ]);
  });

  test('reports a low balance', () => {
    const store = ledger(plan({ lowBalanceLevels: [{ credits: 50n }] }), [
      ['0s', granted, GRANTED, '100'],
      ['1s', voidGrant(1n, 60n), 'VOID_GRANT 60: g1>voided 60', '40'],
    ]);
    expect(store.events.map(({ type }) => type)).toEqual(['grant.voided', 'balance.low']);
  });
});

describe('credits that reservations hold', () => {
  test('stay with their jobs, and come back by default', () => {
    ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', reserve(40n), 'RESERVE 40: g1>(g1) 40', '100 (40)'],
      ['2s', voidGrant(1n), 'VOID_GRANT 60: g1>voided 60', '40 (40)'],
      [
        '3s',
        voidGrant(1n),
        'EXCEEDS_GRANT: grant_id 1, asked 40, allowed 0, reserved 40',
        '40 (40)',
      ],
      ['4s', commit('r1', 10n), 'COMMIT 10: (g1)>consumed 10, (g1)>g1 30', '30'],
      ['5s', charge(30n), 'CHARGE 30: g1>consumed 30', '0'],
    ]);
  });

  test.each([
    ['a release', release('r1'), 'RELEASE 40: (g1)>voided 40', '0'],
    ['the rest of a commit', commit('r1', 10n), 'COMMIT 10: (g1)>consumed 10, (g1)>voided 30', '0'],
  ])('are voided by %s, if the operator wants that', (_, command, written, balance) => {
    const store = ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', reserve(40n), 'RESERVE 40: g1>(g1) 40', '100 (40)'],
      ['2s', voidGrant(1n, 'all', onReturn), 'VOID_GRANT 60: g1>voided 60', '40 (40)'],
      ['3s', command, written, balance],
    ]);
    expect(store.entries[3]).toMatchObject({ details: { void_on_return: '40' } });
    expect(store.grants.get(1n)).toMatchObject({ state: 'VOIDED', remaining: 0n });
  });

  test('are voided by an expiry, and gone for a late commit', () => {
    ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', reserve(40n, { ttlMs: 60_000 }), 'RESERVE 40: g1>(g1) 40', '100 (40)'],
      ['2s', voidGrant(1n, 'all', onReturn), 'VOID_GRANT 60: g1>voided 60', '40 (40)'],
      ['2m', null, 'EXPIRE 40: (g1)>voided 40', '0'],
      ['3m', commit('r1'), 'RESERVATION_EXPIRED', '0'],
    ]);
  });

  test('are voided by a refund of what their job committed', () => {
    const store = ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', charge(50n), 'CHARGE 50: g1>consumed 50', '50'],
      ['2s', reserve(40n), 'RESERVE 40: g1>(g1) 40', '50 (40)'],
      ['3s', voidGrant(1n, 'all', onReturn), 'VOID_GRANT 10: g1>voided 10', '40 (40)'],
      ['4s', commit('r1'), 'COMMIT 40: (g1)>consumed 40', '0'],
      ['5s', refund(6n), 'REFUND 40: consumed>voided 40', '0'],
      // No more was held. What was charged before comes back.
      ['6s', refund(3n), 'REFUND 50: consumed>g1 50', '50'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'OPEN', voided: 50n, voidOnReturn: 0n });
  });

  test('count among what is left: a part beyond what is available is voided as it comes back', () => {
    ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['2s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (60)'],
      ['3s', voidGrant(1n, 75n, onReturn), 'VOID_GRANT 40: g1>voided 40', '60 (60)'],
      [
        '4s',
        voidGrant(1n, 26n, onReturn),
        'EXCEEDS_GRANT: grant_id 1, asked 26, allowed 25, reserved 60',
        '60 (60)',
      ],
      ['5s', release('r1'), 'RELEASE 30: (g1)>voided 30', '30 (30)'],
      ['6s', release('r2'), 'RELEASE 30: (g1)>g1 25, (g1)>voided 5', '25'],
    ]);
  });

  test('of a grant that has expired since are voided, and the others are breakage', () => {
    ledger(plan(), [
      ['0s', grantCredits(100n, { expiresAt: at('5m') }), GRANTED, '100'],
      ['1s', reserve(100n), 'RESERVE 100: g1>(g1) 100', '100 (100)'],
      ['2s', voidGrant(1n, 60n, onReturn), 'VOID_GRANT 0', '100 (100)'],
      ['6m', release('r1'), 'RELEASE 100: (g1)>expired 40, (g1)>voided 60', '0'],
    ]);
  });

  test('are not granted again by a plan that refunds expired grants as new ones', () => {
    ledger(plan({ refundExpired: 'new_grant' }), [
      ['0s', grantCredits(100n, { expiresAt: at('5m') }), GRANTED, '100'],
      ['1s', reserve(100n), 'RESERVE 100: g1>(g1) 100', '100 (100)'],
      ['2s', voidGrant(1n, 60n, onReturn), 'VOID_GRANT 0', '100 (100)'],
      ['3s', commit('r1'), 'COMMIT 100: (g1)>consumed 100', '0'],
      [
        '6m',
        refund(5n),
        'REFUND 100: consumed>issued 40, consumed>voided 60 | GRANT 40: issued>g2 40',
        '40',
      ],
    ]);
  });

  test('can be raised from other grants as before', () => {
    ledger(plan(), [
      ['0s', granted, GRANTED, '100'],
      ['1s', reserve(40n), 'RESERVE 40: g1>(g1) 40', '100 (40)'],
      ['2s', voidGrant(1n, 'all', onReturn), 'VOID_GRANT 60: g1>voided 60', '40 (40)'],
      ['3s', grantCredits(9n), 'GRANT 9: issued>g2 9', '49 (40)'],
      ['4s', raise('r1', 9n), 'RAISE 9: g2>(g2) 9', '49 (49)'],
      ['5s', release('r1'), 'RELEASE 49: (g2)>g2 9, (g1)>voided 40', '9'],
    ]);
  });
});

describe('a grant that is not effective yet', () => {
  const later = grantCredits(100n, { effectiveAt: at('1d') });

  test('never becomes effective if all of it is voided', () => {
    const store = ledger(plan(), [
      ['0s', later, 'GRANT 100', '0'],
      ['1s', voidGrant(1n), 'VOID_GRANT 100', '0'],
      ['2s', voidGrant(1n), 'GRANT_ENDED: grant_id 1, state VOIDED', '0'],
      ['2d', null, 'nothing', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'VOIDED', voided: 100n });
    expect(store.account.scheduled).toBe(0n);
  });

  test('issues the rest', () => {
    const store = ledger(plan(), [
      ['0s', later, 'GRANT 100', '0'],
      ['1s', voidGrant(1n, 30n), 'VOID_GRANT 30', '0'],
      [
        '2s',
        voidGrant(1n, 71n),
        'EXCEEDS_GRANT: grant_id 1, asked 71, allowed 70, reserved 0',
        '0',
      ],
      ['1d', charge(70n), 'GRANT_EFFECTIVE 70: issued>g1 70 | CHARGE 70: g1>consumed 70', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'SPENT', voided: 30n });
  });
});

test('what a refund gives back to a voided grant can be spent and voided', () => {
  ledger(plan(), [
    ['0s', granted, GRANTED, '100'],
    ['1s', charge(30n), 'CHARGE 30: g1>consumed 30', '70'],
    ['2s', voidGrant(1n), 'VOID_GRANT 70: g1>voided 70', '0'],
    ['3s', refund(3n, 20n), 'REFUND 20: consumed>g1 20', '20'],
    ['4s', charge(5n), 'CHARGE 5: g1>consumed 5', '15'],
    ['5s', voidGrant(1n), 'VOID_GRANT 15: g1>voided 15', '0'],
  ]);
});
