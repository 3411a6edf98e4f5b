import { describe, expect, test } from 'vitest';
import type { Reserve } from '../../src/ledger/rules/reserve.ts';
import {
  at,
  charge,
  commit,
  extend,
  grantCredits,
  ms,
  pages,
  plan,
  postpaid,
  rateCard,
  release,
  reserve,
} from './fixtures.ts';
import { continueLedger, ledger } from './table.ts';

const GRANT = ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'] as const;

describe('a reservation', () => {
  test('sets credits aside, which cannot be reserved again', () => {
    ledger(plan(), [
      GRANT,
      ['1s', reserve(60n), 'RESERVE 60: g1>(g1) 60', '100 (60)'],
      [
        '2s',
        reserve(41n),
        'INSUFFICIENT_CREDITS: required 41, available 40, shortfall 1',
        '100 (60)',
      ],
      ['3s', reserve(40n), 'RESERVE 40: g1>(g1) 40', '100 (100)'],
      ['4s', charge(1n), 'INSUFFICIENT_CREDITS', '100 (100)'],
      ['5s', reserve(0n), 'RESERVE 0', '100 (100)'],
    ]);
  });

  test('uses several grants in burn order', () => {
    ledger(plan(), [
      GRANT,
      ['0s', grantCredits(10n, { priority: 1 }), 'GRANT 10: issued>g2 10', '110'],
      ['0s', grantCredits(10n, { expiresAt: at('1d') }), 'GRANT 10: issued>g3 10', '120'],
      ['1s', reserve(25n), 'RESERVE 25: g2>(g2) 10, g3>(g3) 10, g1>(g1) 5', '120 (25)'],
      ['2s', release('r1'), 'RELEASE 25: (g2)>g2 10, (g3)>g3 10, (g1)>g1 5', '120'],
    ]);
  });

  test('uses overage on a postpaid plan, up to the limit', () => {
    ledger(plan(postpaid(50n)), [
      GRANT,
      ['1s', reserve(120n), 'RESERVE 120: g1>(g1) 100, overage>(overage) 20', '100 (120)'],
      ['2s', reserve(30n), 'RESERVE 30: overage>(overage) 30', '100 (150)'],
      [
        '3s',
        reserve(1n),
        'OVERAGE_LIMIT_REACHED: required 1, available 0, shortfall 1, limit 50',
        '100 (150)',
      ],
      ['4s', release('r2'), 'RELEASE 30: (overage)>overage 30', '100 (120)'],
      ['5s', commit('r1'), 'COMMIT 120: (g1)>consumed 100, (overage)>consumed 20', '0 overage 20'],
      ['6s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 50'],
      ['7s', charge(1n), 'OVERAGE_LIMIT_REACHED', '0 overage 50'],
    ]);
  });

  test('is priced on the rate card in force or the version asked for, and so are its commits', () => {
    const store = ledger(plan(), [
      GRANT,
      ['1s', reserve(pages(10n)), 'RESERVE 10: g1>(g1) 10', '100 (10)'],
    ]);
    store.publish(rateCard(2, 3n));
    continueLedger(store, [
      ['2s', reserve(pages(10n)), 'RESERVE 30: g1>(g1) 30', '100 (40)'],
      ['3s', reserve(pages(5n), { rateCardVersion: 1 }), 'RESERVE 5: g1>(g1) 5', '100 (45)'],
      ['4s', commit('r1', pages(10n)), 'COMMIT 10: (g1)>consumed 10', '90 (35)'],
      ['5s', commit('r2', pages(10n)), 'COMMIT 30: (g1)>consumed 30', '60 (5)'],
      ['6s', commit('r3', pages(5n)), 'COMMIT 5: (g1)>consumed 5', '55'],
      ['7s', charge(pages(1n)), 'CHARGE 3: g1>consumed 3', '52'],
      ['8s', charge(pages(1n), 1), 'CHARGE 1: g1>consumed 1', '51'],
    ]);
    const versions = store.entries.slice(2).map(({ rateCardVersion }) => rateCardVersion);
    expect(versions).toEqual([1, 2, 1, 1, 2, 1, 2, 1]);
  });

  test('cannot be priced on a version that the plan never had', () => {
    ledger(plan(), [
      GRANT,
      [
        '1s',
        reserve(pages(1n), { rateCardVersion: 9 }),
        'RATE_CARD_VERSION_UNKNOWN: plan_id test, version 9',
        '100',
      ],
      ['2s', charge(pages(1n), 9), 'RATE_CARD_VERSION_UNKNOWN: plan_id test, version 9', '100'],
    ]);
  });

  test('of credits cannot pin a version that the plan never had', () => {
    ledger(plan(), [
      GRANT,
      ['1s', reserve(1n, { rateCardVersion: 9 }), 'RATE_CARD_VERSION_UNKNOWN', '100'],
      ['2s', charge(1n, 9), 'RATE_CARD_VERSION_UNKNOWN', '100'],
    ]);
  });

  test('of a usage without a price fails with the field’s path', () => {
    const store = ledger(plan(), [GRANT]);
    const { outcome } = store.run(at('1s'), reserve(pages(0n)));
    expect(outcome).toMatchObject({
      reason: 'QUANTITY_OUT_OF_RANGE',
      violations: [{ field: 'usages.items[0].quantities["pages"]' }],
    });
  });

  test('carries the caller’s reference and labels', () => {
    const labels = { team: 'blue' };
    const store = ledger(plan(), [
      GRANT,
      ['1s', reserve(pages(5n), { reference: 'job 7', labels }), 'RESERVE 5: g1>(g1) 5', '100 (5)'],
      ['2s', commit('r1', 1n, { final: false }), 'COMMIT 1: (g1)>consumed 1', '99 (4)'],
      ['15m', null, 'nothing', '99 (4)'],
      ['901s', null, 'EXPIRE 4: (g1)>g1 4', '99'],
    ]);
    for (const entry of store.entries.slice(2))
      expect(entry).toMatchObject({ reservationId: 'r1', reference: 'job 7', labels });
    expect(store.entries[2]).toMatchObject({
      caller: 'pages',
      requestId: 'request-1',
      usages: [{ unitCredits: 5n, credits: 5n }],
    });
    expect(store.entries.at(-1)).toMatchObject({ caller: 'scrip', requestId: '', usages: [] });
  });
});

describe('a reservation lasts', () => {
  test.each<[string, Partial<Reserve>, string]>([
    ['the plan’s 15 minutes by default', {}, '2026-01-10T00:15:00Z'],
    ['as long as asked for', { ttlMs: ms('90s') }, '2026-01-10T00:01:30Z'],
    ['a millisecond, if asked for', { ttlMs: 1 }, '2026-01-10T00:00:00.001Z'],
    ['at most the plan’s maximum', { ttlMs: ms('24h') }, '2026-01-11T00:00:00Z'],
  ])('%s', (_, change, until) => {
    const store = ledger(plan(), [
      GRANT,
      ['0s', reserve(1n, change), 'RESERVE 1: g1>(g1) 1', '100 (1)'],
    ]);
    expect(store.reservations.get('r1')?.expiresAt).toBe(at(until));
    store.run(at(until) - 1, null);
    expect(store.reservations.get('r1')?.state).toBe('ACTIVE');
    store.run(at(until), null);
    expect(store.reservations.get('r1')).toMatchObject({ state: 'EXPIRED', endedAt: at(until) });
  });

  test('not longer than the plan’s maximum', () => {
    ledger(plan(), [
      GRANT,
      [
        '1s',
        reserve(1n, { ttlMs: ms('24h') + 1 }),
        'INVALID_FIELD: field ttl, allowed 86400s',
        '100',
      ],
    ]);
  });
});

describe('an extension', () => {
  const rows = [GRANT, ['0s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '100 (10)']] as const;

  test('counts from the call and moves the expiry later', () => {
    ledger(plan(), [
      ...rows,
      ['10m', extend('r1', '15m'), 'EXTEND', '100 (10)'],
      ['15m', null, 'nothing', '100 (10)'],
      ['24m', extend('r1', '24h'), 'EXTEND', '100 (10)'],
      ['24h', null, 'nothing', '100 (10)'],
      ['25h', null, 'EXPIRE 10: (g1)>g1 10', '100'],
    ]);
  });

  test('never moves the expiry earlier', () => {
    const store = ledger(plan(), [...rows, ['1m', extend('r1', '1m'), 'nothing', '100 (10)']]);
    expect(store.reservations.get('r1')?.expiresAt).toBe(at('15m'));
  });

  test('is bounded by the plan’s maximum, counted from the call', () => {
    ledger(plan(), [
      ...rows,
      ['10m', extend('r1', '25h'), 'INVALID_FIELD: field ttl, allowed 86400s', '100 (10)'],
      ['15m', null, 'EXPIRE 10: (g1)>g1 10', '100'],
    ]);
  });

  test('fails once the reservation has ended', () => {
    ledger(plan(), [
      ...rows,
      [
        '15m',
        extend('r1', '15m'),
        'EXPIRE 10: (g1)>g1 10 | RESERVATION_EXPIRED: reservation_id r1, state EXPIRED, at 2026-01-10T00:15:00.000Z, committed 0',
        '100',
      ],
      ['16m', reserve(10n), 'RESERVE 10: g1>(g1) 10', '100 (10)'],
      ['17m', commit('r2'), 'COMMIT 10: (g1)>consumed 10', '90'],
      ['18m', extend('r2', '15m'), 'RESERVATION_COMMITTED', '90'],
      ['19m', reserve(10n), 'RESERVE 10: g1>(g1) 10', '90 (10)'],
      ['20m', release('r3'), 'RELEASE 10: (g1)>g1 10', '90'],
      ['21m', extend('r3', '15m'), 'RESERVATION_RELEASED', '90'],
      [
        '22m',
        extend('r9', '15m'),
        'RESERVATION_NOT_FOUND: reservation_id r9, account_id acme',
        '90',
      ],
    ]);
  });
});

describe('a release', () => {
  test('gives everything back once', () => {
    const store = ledger(plan(), [
      GRANT,
      ['1s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['2s', release('r1'), 'RELEASE 30: (g1)>g1 30', '100'],
      ['3s', release('r1'), 'nothing', '100'],
      [
        '4s',
        commit('r1'),
        'RESERVATION_RELEASED: reservation_id r1, state RELEASED, at 2026-01-10T00:00:02.000Z, committed 0',
        '100',
      ],
      ['5s', release('r2'), 'RESERVATION_NOT_FOUND', '100'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'RELEASED',
      committed: 0n,
      returned: 30n,
      allocations: [],
      endedAt: at('2s'),
    });
  });

  test('gives back what partial commits did not charge', () => {
    ledger(plan(), [
      GRANT,
      ['1s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['2s', commit('r1', 12n, { final: false }), 'COMMIT 12: (g1)>consumed 12', '88 (18)'],
      ['3s', release('r1'), 'RELEASE 18: (g1)>g1 18', '88'],
    ]);
  });

  test('of an expired reservation succeeds, and of a committed one fails', () => {
    ledger(plan(), [
      GRANT,
      ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['15m', release('r1'), 'EXPIRE 30: (g1)>g1 30 | RELEASE 0', '100'],
      ['16m', release('r1'), 'nothing', '100'],
      ['17m', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'],
      ['18m', commit('r2', 0n), 'COMMIT 0: (g1)>g1 30', '100'],
      [
        '19m',
        release('r2'),
        'RESERVATION_COMMITTED: reservation_id r2, state COMMITTED, at 2026-01-10T00:18:00.000Z, committed 0',
        '100',
      ],
    ]);
  });
});
