import { describe, expect, test } from 'vitest';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  grantCredits,
  ms,
  plan,
  refund,
  release,
  reserve,
  updateGrant,
  usagesOf,
  voidGrant,
} from './fixtures.ts';
import { continueLedger, ledger } from './table.ts';

const GRANTED = 'GRANT 10: issued>g1 10';

describe('changing the terms of a grant', () => {
  test('says who, why, what was and what is, and tells subscribers', () => {
    const store = ledger(plan(), [['0s', grantCredits(10n), GRANTED, '10']]);
    const labels = { by: 'ann' };
    const change = { priority: 10, expiresAt: at('9d'), operations: ['b', 'a'] };
    store.run(
      at('1s'),
      updateGrant(1n, { ...change, reference: 'ticket 9', labels, reason: 'ok' }),
    );
    expect(store.entries.at(-1)).toMatchObject({
      kind: 'UPDATE_GRANT',
      grantId: 1n,
      credits: 0n,
      moves: [],
      reference: 'ticket 9',
      labels,
      personal: { reason: 'ok' },
      details: {
        priority: '10',
        previous_priority: '50',
        expires_at: '2026-01-19T00:00:00.000Z',
        previous_expires_at: 'never',
        operations: 'a,b',
        previous_operations: '',
      },
    });
    expect(store.events[0]).toMatchObject({
      type: 'grant.updated',
      data: {
        grant_id: '1',
        priority: '10',
        expires_at: '2026-01-19T00:00:00.000Z',
        operations: 'a,b',
        category: 'PAID',
      },
    });
    expect(store.grants.get(1n)).toMatchObject({ ...change, operations: ['a', 'b'] });
  });

  test('to what they are changes nothing', () => {
    const same = { priority: 50, expiresAt: null, operations: [] };
    ledger(plan(), [
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['1s', updateGrant(1n, same), 'nothing', '10'],
    ]);
  });

  test('is refused where there is nothing to change', () => {
    ledger(plan(), [
      ['0s', updateGrant(1n, { priority: 1 }), 'GRANT_NOT_FOUND: grant_id 1, account_id acme', '0'],
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['1s', charge(10n), 'CHARGE 10: g1>consumed 10', '0'],
      ['2s', updateGrant(1n, { priority: 1 }), 'GRANT_ENDED: grant_id 1, state SPENT', '0'],
      ['3s', grantCredits(5n), 'GRANT 5: issued>g2 5', '5'],
      ['4s', voidGrant(2n), 'VOID_GRANT 5: g2>voided 5', '0'],
      ['5s', updateGrant(2n, { priority: 1 }), 'GRANT_ENDED: grant_id 2, state VOIDED', '0'],
      ['6s', grantCredits(7n), 'GRANT 7: issued>g3 7', '7'],
      ['7s', updateGrant(3n, { operations: ['z'] }), 'UNKNOWN_OPERATION', '7'],
      ['8s', close(), 'CLOSE_ACCOUNT', '7'],
      ['9s', updateGrant(3n, { priority: 1 }), 'ACCOUNT_CLOSED', '7'],
    ]);
  });
});

describe('a new priority', () => {
  test('changes which grant pays first, at once', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['0s', grantCredits(10n), 'GRANT 10: issued>g2 10', '20'],
      ['1s', charge(1n), 'CHARGE 1: g1>consumed 1', '19'],
      ['2s', updateGrant(2n, { priority: 49 }), 'UPDATE_GRANT', '19'],
      ['3s', charge(1n), 'CHARGE 1: g2>consumed 1', '18'],
      ['4s', updateGrant(2n, { priority: 51 }), 'UPDATE_GRANT', '18'],
      ['5s', charge(10n), 'CHARGE 10: g1>consumed 9, g2>consumed 1', '8'],
    ]);
  });

  test('holds for further commands of the same unit of work, whatever grants were loaded', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['0s', grantCredits(10n), 'GRANT 10: issued>g2 10', '20'],
      ['0s', grantCredits(10n), 'GRANT 10: issued>g3 10', '30'],
    ]);
    store.runGroup(at('1s'), [
      updateGrant(1n, { priority: 60 }),
      charge(12n),
      updateGrant(3n, { priority: 70 }),
      charge(9n),
    ]);
    const paid = store.entries
      .filter(({ kind }) => kind === 'CHARGE')
      .map(({ moves }) => moves.map(({ grantId, credits }) => `g${grantId} ${credits}`).join(', '));
    expect(paid).toEqual(['g2 10, g3 2', 'g1 9']);
    continueLedger(store, [['2s', charge(9n), 'CHARGE 9: g1>consumed 1, g3>consumed 8', '0']]);
  });
});

describe('a new expiry', () => {
  test('later: the credits stay; earlier: they go', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n, { expiresAt: at('1h') }), GRANTED, '10'],
      ['1m', updateGrant(1n, { expiresAt: at('2h') }), 'UPDATE_GRANT', '10'],
      ['1h', null, 'nothing', '10'],
      ['90m', updateGrant(1n, { expiresAt: null }), 'UPDATE_GRANT', '10'],
      ['3h', charge(1n), 'CHARGE 1: g1>consumed 1', '9'],
      ['4h', updateGrant(1n, { expiresAt: at('5h') }), 'UPDATE_GRANT', '9'],
      ['5h', null, 'GRANT_EXPIRED 9: g1>expired 9', '0'],
      ['5h', updateGrant(1n, { expiresAt: null }), 'GRANT_ENDED: grant_id 1, state EXPIRED', '0'],
    ]);
  });

  test('does not bring back what has expired, not even while it is reserved', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n, { expiresAt: at('5m') }), GRANTED, '10'],
      ['1s', reserve(4n), 'RESERVE 4: g1>(g1) 4', '10 (4)'],
      [
        '6m',
        updateGrant(1n, { expiresAt: null }),
        'GRANT_EXPIRED 6: g1>expired 6 | GRANT_ENDED: grant_id 1, state EXPIRED',
        '4 (4)',
      ],
      ['7m', release('r1'), 'RELEASE 4: (g1)>expired 4', '0'],
    ]);
  });

  test('decides what a job and a refund give back', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n, { expiresAt: at('5m') }), GRANTED, '10'],
      ['1s', charge(3n), 'CHARGE 3: g1>consumed 3', '7'],
      ['2s', reserve(4n), 'RESERVE 4: g1>(g1) 4', '7 (4)'],
      ['3s', updateGrant(1n, { expiresAt: at('1d') }), 'UPDATE_GRANT', '7 (4)'],
      ['6m', release('r1'), 'RELEASE 4: (g1)>g1 4', '7'],
      ['7m', refund(3n), 'REFUND 3: consumed>g1 3', '10'],
    ]);
  });

  test.each([
    ['now', at('1h')],
    ['before now', at('1m')],
  ])('is not %s', (_, expiresAt) => {
    ledger(plan(), [
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['1h', updateGrant(1n, { expiresAt }), 'INVALID_FIELD: field expiry.expires_at', '10'],
    ]);
  });

  test('of a grant that is not effective yet is after its start', () => {
    const scheduled = grantCredits(10n, { effectiveAt: at('1d') });
    ledger(plan(), [
      ['0s', scheduled, 'GRANT 10', '0'],
      ['1s', updateGrant(1n, { expiresAt: at('1d') }), 'INVALID_FIELD', '0'],
      ['2s', updateGrant(1n, { expiresAt: at('2d') }), 'UPDATE_GRANT', '0'],
      ['3d', null, 'GRANT_EFFECTIVE 10: issued>g1 10 | GRANT_EXPIRED 10: g1>expired 10', '0'],
    ]);
  });

  test('gets a notice of its own', () => {
    const store = ledger(plan({ expiringNoticeMs: ms('1d') }), [
      ['0s', grantCredits(10n, { expiresAt: at('12h') }), GRANTED, '10'],
      ['1h', updateGrant(1n, { expiresAt: at('3d') }), 'UPDATE_GRANT', '10'],
      ['2d', null, 'nothing', '10'],
      ['50h', updateGrant(1n, { expiresAt: at('60h') }), 'UPDATE_GRANT', '10'],
    ]);
    const told = store.events.flatMap(({ type, data }) =>
      type === 'grant.expiring' ? [data['expires_at']] : [],
    );
    expect(told).toEqual(
      [at('12h'), at('3d'), at('60h')].map((time) => new Date(time).toISOString()),
    );
  });

  test('has an allowance outlast its period', () => {
    ledger(plan(allowance(50n)), [
      ['2026-01-10', null, 'nothing', '50'],
      ['2026-01-20', updateGrant(1n, { expiresAt: at('2026-02-10') }), 'UPDATE_GRANT', '50'],
      [
        '2026-02-01',
        charge(60n),
        'GRANT 50: issued>g2 50 | CHARGE 60: g1>consumed 50, g2>consumed 10',
        '40',
      ],
    ]);
  });
});

describe('new operations', () => {
  test('decide what the credits pay for', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['1s', updateGrant(1n, { operations: ['a'] }), 'UPDATE_GRANT', '10'],
      ['2s', charge(usagesOf({ b: 1n })), 'INSUFFICIENT_CREDITS', '10'],
      ['3s', charge(usagesOf({ a: 1n })), 'CHARGE 1: g1>consumed 1', '9'],
      ['4s', updateGrant(1n, { operations: [] }), 'UPDATE_GRANT', '9'],
      ['5s', charge(usagesOf({ b: 1n })), 'CHARGE 1: g1>consumed 1', '8'],
    ]);
    expect(store.grants.get(1n)?.operations).toEqual([]);
  });

  test('can only be added while jobs hold credits: they can commit what they have reserved', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n, { operations: ['a'] }), GRANTED, '10'],
      ['1s', reserve(usagesOf({ a: 4n })), 'RESERVE 4: g1>(g1) 4', '10 (4)'],
      [
        '2s',
        updateGrant(1n, { operations: ['b'] }),
        'GRANT_RESERVED: grant_id 1, reserved 4',
        '10 (4)',
      ],
      ['3s', updateGrant(1n, { operations: ['b', 'a'] }), 'UPDATE_GRANT', '10 (4)'],
      ['4s', updateGrant(1n, { operations: [] }), 'UPDATE_GRANT', '10 (4)'],
      ['5s', updateGrant(1n, { operations: ['a', 'b'] }), 'GRANT_RESERVED', '10 (4)'],
      ['6s', commit('r1', usagesOf({ a: 4n })), 'COMMIT 4: (g1)>consumed 4', '6'],
      ['7s', updateGrant(1n, { operations: ['b'] }), 'UPDATE_GRANT', '6'],
    ]);
  });

  test('that other operations cannot use lower what is usable, and report it', () => {
    const store = ledger(plan({ lowBalanceLevels: [{ credits: 8n }] }), [
      ['0s', grantCredits(10n), GRANTED, '10'],
      ['1s', charge(1n), 'CHARGE 1: g1>consumed 1', '9'],
      ['2s', updateGrant(1n, { operations: ['a'] }), 'UPDATE_GRANT', '9'],
      ['3s', updateGrant(1n, { operations: [] }), 'UPDATE_GRANT', '9'],
    ]);
    expect(store.events.map(({ type }) => type)).toEqual([
      'grant.updated',
      'balance.low',
      'balance.depleted',
      'grant.updated',
      'balance.recovered',
      'balance.recovered',
    ]);
  });
});
