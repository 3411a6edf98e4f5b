import { describe, expect, test } from 'vitest';
import { at, charge, commit, grantCredits, plan, postpaid, release, reserve } from './fixtures.ts';
import { continueLedger, ledger, type Row } from './table.ts';

/** A reservation of 30 of 100 that expires at 15m, with a grace period of 5 minutes. */
const ROWS: readonly Row[] = [
  ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'],
  ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
];
const EXPIRED =
  'RESERVATION_EXPIRED: reservation_id r1, state EXPIRED, at 2026-01-10T00:15:00.000Z, committed 0';

describe('a commit within the grace period', () => {
  test('charges what is available, and is marked late', () => {
    const store = ledger(plan(), [
      ...ROWS,
      ['15m', commit('r1'), 'EXPIRE 30: (g1)>g1 30 | late COMMIT 30: g1>consumed 30', '70'],
      ['16m', commit('r1'), 'nothing', '70'],
      ['17m', release('r1'), 'RESERVATION_COMMITTED', '70'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'COMMITTED',
      late: true,
      credits: 30n,
      committed: 30n,
      returned: 0n,
      endedAt: at('15m'),
    });
  });

  test('may charge less: the expiry has given the rest back', () => {
    const store = ledger(plan(), [
      ...ROWS,
      ['15m', null, 'EXPIRE 30: (g1)>g1 30', '100'],
      ['16m', commit('r1', 10n), 'late COMMIT 10: g1>consumed 10', '90'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 10n, returned: 20n });
  });

  test('leaves the reservation expired until a final one: each charges', () => {
    const store = ledger(plan(), [
      ...ROWS,
      ['1m', commit('r1', 10n, { final: false }), 'COMMIT 10: (g1)>consumed 10', '90 (20)'],
      ['15m', null, 'EXPIRE 20: (g1)>g1 20', '90'],
      ['16m', commit('r1', 5n, { final: false }), 'late COMMIT 5: g1>consumed 5', '85'],
      ['17m', commit('r1', 5n, { final: false }), 'late COMMIT 5: g1>consumed 5', '80'],
      [
        '18m',
        commit('r1', 11n, { final: false }),
        'EXCEEDS_RESERVATION: asked 11, allowed 10, reservation_id r1',
        '80',
      ],
    ]);
    const reservation = store.reservations.get('r1');
    expect(reservation).toMatchObject({ state: 'EXPIRED', committed: 20n, returned: 10n });
    expect(reservation).toMatchObject({ late: true, endedAt: at('15m') });
    continueLedger(store, [
      ['19m', commit('r1', 4n), 'late COMMIT 4: g1>consumed 4', '76'],
      ['19m', commit('r1', 4n), 'nothing', '76'],
      ['19m', commit('r1', 5n), 'RESERVATION_COMMITTED', '76'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'COMMITTED',
      committed: 24n,
      returned: 6n,
    });
  });

  test('takes credits first from the grants that the reservation held', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(30n), 'GRANT 30: issued>g1 30', '30'],
      ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '30 (30)'],
      ['1m', grantCredits(50n, { priority: 1 }), 'GRANT 50: issued>g2 50', '80 (30)'],
      [
        '16m',
        commit('r1', 20n, { final: false }),
        'EXPIRE 30: (g1)>g1 30 | late COMMIT 20: g1>consumed 20',
        '60',
      ],
      ['17m', charge(53n), 'CHARGE 53: g2>consumed 50, g1>consumed 3', '7'],
      ['18m', grantCredits(5n, { priority: 1 }), 'GRANT 5: issued>g3 5', '12'],
      ['19m', commit('r1'), 'late COMMIT 10: g1>consumed 7, g3>consumed 3', '2'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 30n, returned: 0n });
  });

  test('takes no more of a grant first than the reservation held of it', () => {
    ledger(plan(), [
      ['0s', grantCredits(20n), 'GRANT 20: issued>g1 20', '20'],
      ['0s', reserve(5n, { overCommitPolicy: 'DRAW' }), 'RESERVE 5: g1>(g1) 5', '20 (5)'],
      ['1m', grantCredits(50n, { priority: 1 }), 'GRANT 50: issued>g2 50', '70 (5)'],
      [
        '16m',
        commit('r1', 8n),
        'EXPIRE 5: (g1)>g1 5 | late COMMIT 8: g1>consumed 5, g2>consumed 3',
        '62',
      ],
    ]);
  });

  test('is impossible after a release', () => {
    const store = ledger(plan(), [
      ...ROWS,
      ['16m', release('r1'), 'EXPIRE 30: (g1)>g1 30 | RELEASE 0', '100'],
      ['17m', commit('r1'), 'RESERVATION_RELEASED', '100'],
      ['17m', release('r1'), 'nothing', '100'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ state: 'RELEASED', returned: 30n });
  });

  test('charges what the expiry gave back, if all is asked for', () => {
    ledger(plan(), [
      ...ROWS,
      ['1m', commit('r1', 10n, { final: false }), 'COMMIT 10: (g1)>consumed 10', '90 (20)'],
      ['16m', commit('r1'), 'EXPIRE 20: (g1)>g1 20 | late COMMIT 20: g1>consumed 20', '70'],
    ]);
  });

  test('fails if the credits are no longer available', () => {
    ledger(plan(), [
      ...ROWS,
      ['15m', charge(71n), 'EXPIRE 30: (g1)>g1 30 | CHARGE 71: g1>consumed 71', '29'],
      ['16m', commit('r1'), EXPIRED, '29'],
      ['17m', commit('r1', 29n), 'late COMMIT 29: g1>consumed 29', '0'],
    ]);
  });

  test('uses other grants for credits that became breakage meanwhile', () => {
    ledger(plan(), [
      ['0s', grantCredits(30n, { expiresAt: at('10m') }), 'GRANT 30: issued>g1 30', '30'],
      ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '30 (30)'],
      ['1m', grantCredits(50n), 'GRANT 50: issued>g2 50', '80 (30)'],
      ['16m', commit('r1'), 'EXPIRE 30: (g1)>expired 30 | late COMMIT 30: g2>consumed 30', '20'],
    ]);
  });

  test('follows the policy of the reservation', () => {
    ledger(plan(), [
      ...ROWS,
      ['0s', reserve(30n, { overCommitPolicy: 'CAP' }), 'RESERVE 30: g1>(g1) 30', '100 (60)'],
      ['0s', reserve(30n, { overCommitPolicy: 'DRAW' }), 'RESERVE 30: g1>(g1) 30', '100 (90)'],
      ['15m', null, Array(3).fill('EXPIRE 30: (g1)>g1 30').join(' | '), '100'],
      [
        '16m',
        commit('r1', 31n),
        'EXCEEDS_RESERVATION: asked 31, allowed 30, reservation_id r1',
        '100',
      ],
      ['17m', commit('r2', 31n), 'late COMMIT 30: g1>consumed 30', '70'],
      ['18m', commit('r3', 31n), 'late COMMIT 31: g1>consumed 31', '39'],
    ]);
  });

  test('can charge at most what the expiry gave back, if parts were committed before', () => {
    ledger(plan(), [
      ...ROWS,
      ['1m', commit('r1', 10n, { final: false }), 'COMMIT 10: (g1)>consumed 10', '90 (20)'],
      ['15m', null, 'EXPIRE 20: (g1)>g1 20', '90'],
      [
        '16m',
        commit('r1', 21n),
        'EXCEEDS_RESERVATION: asked 21, allowed 20, reservation_id r1',
        '90',
      ],
    ]);
  });

  test('with policy DRAW charges more than was reserved', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'],
      ['0s', reserve(30n, { overCommitPolicy: 'DRAW' }), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['16m', commit('r1', 45n), 'EXPIRE 30: (g1)>g1 30 | late COMMIT 45: g1>consumed 45', '55'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'COMMITTED',
      late: true,
      committed: 45n,
      returned: 0n,
    });
  });

  test('uses overage on a postpaid plan', () => {
    ledger(plan(postpaid(40n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 10, overage>(overage) 20', '10 (30)'],
      ['15m', null, 'EXPIRE 30: (g1)>g1 10, (overage)>overage 20', '10'],
      ['16m', commit('r1'), 'late COMMIT 30: g1>consumed 10, overage>consumed 20', '0 overage 20'],
    ]);
  });
});

describe('the grace period', () => {
  test('ends with its last millisecond', () => {
    const grace: Row = ['20m', commit('r1', 1n), 'late COMMIT 1: g1>consumed 1', '99'];
    ledger(plan(), [...ROWS, ['15m', null, 'EXPIRE 30: (g1)>g1 30', '100'], grace]);
    ledger(plan(), [
      ...ROWS,
      ['15m', null, 'EXPIRE 30: (g1)>g1 30', '100'],
      ['2026-01-10T00:20:00.001Z', commit('r1', 1n), EXPIRED, '100'],
    ]);
  });

  test('counts from the expiry, whenever the account was settled', () => {
    ledger(plan(), [...ROWS, ['21m', commit('r1'), `EXPIRE 30: (g1)>g1 30 | ${EXPIRED}`, '100']]);
  });

  test('can be 0', () => {
    const terms = { reservation: { ttlMs: 900_000, maxTtlMs: 900_000, graceMs: 0 } };
    ledger(plan(terms), [
      ...ROWS,
      ['2026-01-10T00:15:00.001Z', commit('r1'), `EXPIRE 30: (g1)>g1 30 | ${EXPIRED}`, '100'],
    ]);
  });

  test('does not apply to a released reservation', () => {
    ledger(plan(), [
      ...ROWS,
      ['14m', release('r1'), 'RELEASE 30: (g1)>g1 30', '100'],
      ['16m', commit('r1'), 'RESERVATION_RELEASED', '100'],
    ]);
  });
});
