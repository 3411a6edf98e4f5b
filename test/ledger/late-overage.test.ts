/** Overage of late usage: the month in which it counts, and the limits for it. */
import { describe, expect, test } from 'vitest';
import type { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  commit,
  move,
  ms,
  plan,
  postpaid,
  raise,
  refund,
  reserve,
} from './fixtures.ts';
import { closeMonth, late, opened, POSTPAID } from './late-usage.ts';
import { continueLedger, type Row } from './table.ts';

describe('late overage', () => {
  const rows: readonly Row[] = [
    ['2026-01-20', charge(60n), 'CHARGE 60: overage>consumed 60', '0 overage 60'],
    ['2026-02-01', charge(90n), 'CHARGE 90: overage>consumed 90', '0 overage 90'],
  ];

  test('counts in its own month, and against the limit of that', () => {
    const store = opened(POSTPAID, [
      ...rows,
      ['2026-02-02', late(30n, '2026-01-31'), 'CHARGE 30: overage>consumed 30', '0 overage 90'],
      [
        '2026-02-02',
        late(11n, '2026-01-31'),
        'OVERAGE_LIMIT_REACHED: required 11, available 10, shortfall 1, limit 100',
        '0 overage 90',
      ],
      ['2026-02-02', late(10n, '2026-02-01'), 'CHARGE 10: overage>consumed 10', '0 overage 100'],
      [
        '2026-02-02',
        late(10n, '2026-01-30T12:00Z'),
        'CHARGE 10: overage>consumed 10',
        '0 overage 100',
      ],
    ]);
    expect(store.account.overageBefore).toBe(100n);
    closeMonth(store, '2026-02-04');
    expect(store.account).toMatchObject({ overageBefore: null, overage: 100n });
  });

  test('is the first that the new month sees', () => {
    const store = opened(POSTPAID, [
      rows[0] as Row,
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0'],
      ['2026-02-02', late(1n, '2026-01-31'), 'OVERAGE_LIMIT_REACHED', '0'],
      ['2026-02-02', charge(100n), 'CHARGE 100: overage>consumed 100', '0 overage 100'],
    ]);
    expect(store.account.overageBefore).toBe(100n);
  });

  test('that is refunded gives nothing back to the month that runs', () => {
    const store = opened(POSTPAID, [
      ...rows,
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0 overage 90'],
      ['2026-02-03', refund(4n), 'REFUND 40: consumed>overage 40', '0 overage 90'],
    ]);
    // As of any refund of an earlier month: the statement of this one adjusts it.
    expect(store.account.overageBefore).toBe(100n);
  });

  test('that is reserved must have room in both months', () => {
    const usedAt = at('2026-01-31');
    opened(POSTPAID, [
      ...rows,
      ['2026-02-02', reserve(11n, { usedAt }), 'OVERAGE_LIMIT_REACHED', '0 overage 90'],
      [
        '2026-02-02',
        reserve(10n, { usedAt }),
        'RESERVE 10: overage>(overage) 10',
        '0 (10) overage 90',
      ],
      ['2026-02-02', late(31n, '2026-01-31'), 'OVERAGE_LIMIT_REACHED', '0 (10) overage 90'],
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'CHARGE 30: overage>consumed 30',
        '0 (10) overage 90',
      ],
      ['2026-02-02T00:01Z', commit('r1'), 'COMMIT 10: (overage)>consumed 10', '0 overage 90'],
    ]);
  });

  test('of an account that was quiet for months is of no month that is kept', () => {
    const store = opened(POSTPAID, [rows[0] as Row]);
    store.run(at('2026-05-05'), charge(5n));
    expect(store.account).toMatchObject({ overage: 5n, overageBefore: null });
  });

  test('that a raise adds must have room in its month, too', () => {
    const usedAt = at('2026-01-31');
    opened(POSTPAID, [
      rows[0] as Row,
      ['2026-02-02', reserve(10n, { usedAt }), 'RESERVE 10: overage>(overage) 10', '0 (10)'],
      [
        '2026-02-02',
        raise('r1', 31n),
        'OVERAGE_LIMIT_REACHED: required 31, available 30, shortfall 1, limit 100',
        '0 (10)',
      ],
      ['2026-02-02', raise('r1', 30n), 'RAISE 30: overage>(overage) 30', '0 (40)'],
      ['2026-02-02', commit('r1'), 'COMMIT 40: (overage)>consumed 40', '0'],
    ]);
  });

  test('of a raise that is charged when it is made needs room of then alone', () => {
    const store = opened(POSTPAID, [rows[0] as Row]);
    const reserved = reserve(10n, { usedAt: at('2026-01-31T23:30Z'), ttlMs: ms('24h') });
    store.run(at('2026-02-03T23:00Z'), reserved);
    continueLedger(store, [
      ['2026-02-04', raise('r1', 90n), 'RAISE 90: overage>(overage) 90', '0 (100)'],
    ]);
  });

  test('counts against what its month had, also where the account was under another plan meanwhile', () => {
    const store = opened(POSTPAID, [rows[0] as Row]);
    store.otherPlans.set('other', { ...plan(postpaid(100n)), planId: 'other' });
    store.run(at('2026-02-01'), move('other'));
    expect(store.account.overageBefore).toBe(60n);
    store.run(at('2026-02-01T12:00Z'), move('test'));
    continueLedger(store, [
      ['2026-02-02', late(41n, '2026-01-31'), 'OVERAGE_LIMIT_REACHED', '0'],
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0'],
    ]);
  });

  test('counts against the limit of its month, and not what an earlier one had', () => {
    const store = opened(POSTPAID, [
      ...rows,
      ['2026-02-02', late(40n, '2026-01-31'), 'CHARGE 40: overage>consumed 40', '0 overage 90'],
    ]);
    // Nobody has closed a month yet.
    continueLedger(store, [
      ['2026-03-02', late(10n, '2026-02-28'), 'CHARGE 10: overage>consumed 10', '0'],
      ['2026-03-02', late(1n, '2026-02-28'), 'OVERAGE_LIMIT_REACHED', '0'],
      ['2026-05-02', late(100n, '2026-04-30'), 'CHARGE 100: overage>consumed 100', '0'],
    ]);
  });

  test('is not kept where the plan takes no late usage', () => {
    const store = opened(postpaid(100n), rows);
    expect(store.account.overageBefore).toBeNull();
  });
});

describe('a commit', () => {
  const usedAt = at('2026-01-31');
  const lastUsedAt = ({ entries }: AccountStore) => entries.at(-1)?.usedAt;

  test('counts when its reservation says, while that can be charged', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), reserve(10n, { usedAt, ttlMs: ms('24h') }));
    store.run(at('2026-02-02T01:00Z'), commit('r1', 4n, { final: false }));
    expect(lastUsedAt(store)).toBe(usedAt);
    expect(store.account).toMatchObject({ overage: 0n, overageBefore: 4n });
  });

  test('counts when it is made, once that cannot be charged any more', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), reserve(10n, { usedAt, ttlMs: ms('24h') }));
    for (const hours of [20, 40, 48])
      store.run(at('2026-02-02') + hours * 3_600_000, {
        kind: 'ExtendReservation',
        reservationId: 'r1',
        ttlMs: ms('24h'),
      });
    store.run(at('2026-02-04'), commit('r1', 4n));
    expect(lastUsedAt(store)).toBeNull();
    expect(store.account).toMatchObject({ overage: 4n, overageBefore: null });
  });

  test('counts when it is made, where it draws overage that was not held', () => {
    const store = opened(POSTPAID);
    store.run(at('2026-02-02'), reserve(10n, { usedAt, overCommitPolicy: 'DRAW' }));
    store.run(at('2026-02-02T00:01Z'), commit('r1', 14n));
    expect(lastUsedAt(store)).toBeNull();
    expect(store.account).toMatchObject({ overage: 14n, overageBefore: null });
  });
});
