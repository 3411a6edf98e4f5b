import { describe, expect, test } from 'vitest';
import { currentGrantState } from '../../src/ledger/grant.ts';
import {
  at,
  charge,
  commit,
  extend,
  grant,
  grantCredits,
  plan,
  postpaid,
  refund,
  release,
  reserve,
  START,
} from './fixtures.ts';
import { ledger, type Row } from './table.ts';

test('a grant that became effective and expired since expires in its order of time', () => {
  const lasts = (from: string, until: string) => ({
    effectiveAt: at(from),
    expiresAt: at(until),
  });
  ledger(plan(), [
    ['0s', grantCredits(5n, lasts('0s', '3h')), 'GRANT 5: issued>g1 5', '5'],
    ['0s', grantCredits(9n, lasts('1h', '2h')), 'GRANT 9', '5'],
    [
      '4h',
      null,
      'GRANT_EFFECTIVE 9: issued>g2 9 | GRANT_EXPIRED 9: g2>expired 9 | GRANT_EXPIRED 5: g1>expired 5',
      '0',
    ],
  ]);
});

describe('a reservation that expires', () => {
  const RESERVED: readonly Row[] = [
    ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
    ['0s', grantCredits(20n), 'GRANT 20: issued>g2 20', '30'],
    ['0s', reserve(25n), 'RESERVE 25: g1>(g1) 10, g2>(g2) 15', '30 (25)'],
  ];

  test('gives its credits back in time for the next call, with or without a sweeper', () => {
    const store = ledger(plan(), [
      ...RESERVED,
      ['2026-01-10T00:14:59.999Z', charge(6n), 'INSUFFICIENT_CREDITS', '30 (25)'],
      [
        '15m',
        charge(30n),
        'EXPIRE 25: (g1)>g1 10, (g2)>g2 15 | CHARGE 30: g1>consumed 10, g2>consumed 20',
        '0',
      ],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'EXPIRED',
      returned: 25n,
      committed: 0n,
      allocations: [],
      endedAt: at('15m'),
    });
  });

  test('ended when it expired, not when the account was settled', () => {
    const store = ledger(plan(), [
      ...RESERVED,
      ['9h', null, 'EXPIRE 25: (g1)>g1 10, (g2)>g2 15', '30'],
    ]);
    expect(store.reservations.get('r1')?.endedAt).toBe(at('15m'));
    expect(store.entries.at(-1)?.at).toBe(at('9h'));
  });

  test('gives back only what partial commits did not charge', () => {
    ledger(plan(), [
      ...RESERVED,
      [
        '1m',
        commit('r1', 12n, { final: false }),
        'COMMIT 12: (g1)>consumed 10, (g2)>consumed 2',
        '18 (13)',
      ],
      ['15m', null, 'EXPIRE 13: (g2)>g2 13', '18'],
    ]);
  });

  test('gives back reserved overage', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', reserve(50n), 'RESERVE 50: overage>(overage) 50', '0 (50)'],
      [
        '15m',
        charge(50n),
        'EXPIRE 50: (overage)>overage 50 | CHARGE 50: overage>consumed 50',
        '0 overage 50',
      ],
    ]);
  });

  test('expires together with others, in order of their times', () => {
    ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(1n, { ttlMs: 3_000 }), 'RESERVE 1: g1>(g1) 1', '10 (1)'],
      ['0s', reserve(2n, { ttlMs: 1_000 }), 'RESERVE 2: g1>(g1) 2', '10 (3)'],
      ['0s', reserve(3n, { ttlMs: 2_000 }), 'RESERVE 3: g1>(g1) 3', '10 (6)'],
      ['0s', reserve(4n, { ttlMs: 9_000 }), 'RESERVE 4: g1>(g1) 4', '10 (10)'],
      ['1s', null, 'EXPIRE 2: (g1)>g1 2', '10 (8)'],
      ['5s', null, 'EXPIRE 3: (g1)>g1 3 | EXPIRE 1: (g1)>g1 1', '10 (4)'],
      ['9s', null, 'EXPIRE 4: (g1)>g1 4', '10'],
      ['20s', null, 'nothing', '10'],
    ]);
  });
});

describe('a grant that expires', () => {
  const EXPIRING: readonly Row[] = [
    ['0s', grantCredits(30n, { expiresAt: at('10m') }), 'GRANT 30: issued>g1 30', '30'],
  ];

  test('becomes breakage at its expiry', () => {
    const store = ledger(plan(), [
      ...EXPIRING,
      ['1m', charge(10n), 'CHARGE 10: g1>consumed 10', '20'],
      ['2026-01-10T00:09:59.999Z', charge(1n), 'CHARGE 1: g1>consumed 1', '19'],
      ['10m', charge(1n), 'GRANT_EXPIRED 19: g1>expired 19 | INSUFFICIENT_CREDITS', '0'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ state: 'EXPIRED', remaining: 0n });
  });

  test('writes no entry if all of it was spent', () => {
    const store = ledger(plan(), [
      ...EXPIRING,
      ['1m', charge(30n), 'CHARGE 30: g1>consumed 30', '0'],
      ['10m', null, 'nothing', '0'],
    ]);
    expect(store.grants.get(1n)?.state).toBe('SPENT');
  });

  test('stays usable by the reservation that holds it', () => {
    const store = ledger(plan(), [
      ...EXPIRING,
      ['0s', reserve(20n), 'RESERVE 20: g1>(g1) 20', '30 (20)'],
      ['10m', null, 'GRANT_EXPIRED 10: g1>expired 10', '20 (20)'],
      ['11m', reserve(1n), 'INSUFFICIENT_CREDITS', '20 (20)'],
      ['12m', commit('r1', 5n, { final: false }), 'COMMIT 5: (g1)>consumed 5', '15 (15)'],
      ['13m', extend('r1', '1h'), 'EXTEND', '15 (15)'],
      ['14m', commit('r1'), 'COMMIT 15: (g1)>consumed 15', '0'],
    ]);
    expect(store.grants.get(1n)?.state).toBe('EXPIRED');
  });

  test.each<[string, Row]>([
    [
      'a commit does not charge',
      ['11m', commit('r1', 5n), 'COMMIT 5: (g1)>consumed 5, (g1)>expired 15', '0'],
    ],
    ['a release gives back', ['11m', release('r1'), 'RELEASE 20: (g1)>expired 20', '0']],
    ['an expiry gives back', ['15m', null, 'EXPIRE 20: (g1)>expired 20', '0']],
  ])('makes breakage of what %s', (_, row) => {
    ledger(plan(), [
      ...EXPIRING,
      ['0s', reserve(20n), 'RESERVE 20: g1>(g1) 20', '30 (20)'],
      ['10m', null, 'GRANT_EXPIRED 10: g1>expired 10', '20 (20)'],
      row,
    ]);
  });

  test('makes breakage only of its own part of a reservation', () => {
    ledger(plan(), [
      ...EXPIRING,
      ['0s', grantCredits(40n), 'GRANT 40: issued>g2 40', '70'],
      ['0s', reserve(50n), 'RESERVE 50: g1>(g1) 30, g2>(g2) 20', '70 (50)'],
      ['10m', null, 'nothing', '70 (50)'],
      ['11m', commit('r1', 10n), 'COMMIT 10: (g1)>consumed 10, (g2)>g2 20, (g1)>expired 20', '40'],
    ]);
  });

  test('expires once, after a reservation that expired before it, if both are settled together', () => {
    ledger(plan(), [
      ...EXPIRING,
      ['0s', reserve(20n, { ttlMs: 60_000 }), 'RESERVE 20: g1>(g1) 20', '30 (20)'],
      ['20m', null, 'EXPIRE 20: (g1)>expired 20 | GRANT_EXPIRED 10: g1>expired 10', '0'],
      ['30m', null, 'nothing', '0'],
    ]);
  });

  test('makes the account due again after a refund gave it credits back', () => {
    ledger(plan(), [
      ...EXPIRING,
      ['1m', charge(30n), 'CHARGE 30: g1>consumed 30', '0'],
      ['2m', null, 'nothing', '0'],
      ['3m', refund(3n, 7n), 'REFUND 7: consumed>g1 7', '7'],
      ['10m', null, 'GRANT_EXPIRED 7: g1>expired 7', '0'],
    ]);
  });
});

describe('the state of a grant', () => {
  test.each([
    ['SCHEDULED', 'SCHEDULED, however late it is', { state: 'SCHEDULED', expiresAt: START }],
    ['OPEN', 'OPEN while it has credits', {}],
    ['OPEN', 'OPEN again when it has credits again', { state: 'SPENT' }],
    ['SPENT', 'SPENT when nothing remains', { remaining: 0n }],
    [
      'SPENT',
      'SPENT for ever if all of it was spent in time',
      { remaining: 0n, state: 'SPENT', expiresAt: START },
    ],
    [
      'EXPIRED',
      'EXPIRED with credits that are still reserved',
      { expiresAt: START, reserved: 100n },
    ],
    [
      'EXPIRED',
      'EXPIRED if the rest was spent after the expiry',
      { expiresAt: START, remaining: 0n },
    ],
    ['OPEN', 'OPEN a millisecond before it expires', { expiresAt: START + 1 }],
  ] as const)('%s: it is %s', (state, _, change) => {
    expect(currentGrantState(grant(1n, change), START)).toBe(state);
  });
});

test('time never runs backwards within an account', () => {
  const store = ledger(plan(), [
    ['2h', grantCredits(10n, { expiresAt: at('3h') }), 'GRANT 10: issued>g1 10', '10'],
  ]);
  store.run(at('1h'), reserve(4n));
  expect(store.entries.map((entry) => entry.at)).toEqual([at('2h'), at('2h'), at('2h')]);
  expect(store.reservations.get('r1')).toMatchObject({
    createdAt: at('2h'),
    expiresAt: at('2h') + 900_000,
  });
});
