/** What has expired of an allowance, and returns for late usage of its time. */
import { describe, expect, test } from 'vitest';
import {
  allowance,
  at,
  charge,
  commit,
  open,
  plan,
  refund,
  release,
  reserve,
  updateGrant,
  usagesOf,
} from './fixtures.ts';
import { LATE, late, MONTHLY, opened } from './late-usage.ts';
import { continueLedger, ledger, type Row } from './table.ts';

describe('an allowance that has expired since', () => {
  const IN_FEBRUARY: Row = [
    '2026-02-02',
    null,
    'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50',
    '50',
  ];

  test('returns as far as late usage of its time needs it', () => {
    const store = opened(MONTHLY, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'REINSTATE 30: expired>g1 30 | CHARGE 30: g1>consumed 30',
        '50',
      ],
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'REINSTATE 20: expired>g1 20 | CHARGE 30: g1>consumed 20, g2>consumed 10',
        '40',
      ],
      ['2026-02-02', late(5n, '2026-01-31'), 'CHARGE 5: g2>consumed 5', '35'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ remaining: 0n, expired: 0n, state: 'EXPIRED' });
    expect(store.entries.filter(({ kind }) => kind === 'REINSTATE')).toMatchObject([
      { grantId: 1n, purchaseId: null, requestId: '', caller: 'scrip', usedAt: at('2026-01-31') },
      { grantId: 1n },
    ]);
  });

  test('returns in the unit of work in which it expires', () => {
    opened(MONTHLY, [
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50 | REINSTATE 30: expired>g1 30 | CHARGE 30: g1>consumed 30',
        '50',
      ],
    ]);
  });

  test('stays expired for usage of now, of another time, or that fails', () => {
    opened(MONTHLY, [
      IN_FEBRUARY,
      ['2026-02-02', charge(10n), 'CHARGE 10: g2>consumed 10', '40'],
      ['2026-02-02', late(10n, '2026-02-01'), 'CHARGE 10: g2>consumed 10', '30'],
      [
        '2026-02-02',
        late(81n, '2026-01-31'),
        'INSUFFICIENT_CREDITS: required 81, available 80, shortfall 1',
        '30',
      ],
      [
        '2026-02-02',
        late(80n, '2026-01-31'),
        'REINSTATE 50: expired>g1 50 | CHARGE 80: g1>consumed 50, g2>consumed 30',
        '0',
      ],
    ]);
  });

  test('stays expired for usage from before it was given', () => {
    opened({ ...allowance(50n, { every: { days: 1 } }), ...LATE }, [
      [
        '2026-01-12',
        null,
        'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50 | GRANT_EXPIRED 50: g2>expired 50 | GRANT 50: issued>g3 50',
        '50',
      ],
      [
        '2026-01-12',
        late(60n, '2026-01-10T12:00Z'),
        'REINSTATE 50: expired>g1 50 | CHARGE 60: g1>consumed 50, g3>consumed 10',
        '40',
      ],
    ]);
  });

  test('expires again when the charge is refunded', () => {
    const store = opened(MONTHLY, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        late(30n, '2026-01-31'),
        'REINSTATE 30: expired>g1 30 | CHARGE 30: g1>consumed 30',
        '50',
      ],
      ['2026-02-03', refund(6n), 'REFUND 30: consumed>expired 30', '50'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ expired: 50n, state: 'EXPIRED' });
  });

  test('is reserved and committed, and what the reservation gives back expires again', () => {
    const usedAt = at('2026-01-31');
    const store = opened(MONTHLY, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        reserve(60n, { usedAt }),
        'REINSTATE 50: expired>g1 50 | RESERVE 60: g1>(g1) 50, g2>(g2) 10',
        '100 (60)',
      ],
      [
        '2026-02-02T00:01Z',
        commit('r1', 20n),
        'COMMIT 20: (g1)>consumed 20, (g2)>g2 10, (g1)>expired 30',
        '50',
      ],
      [
        '2026-02-02T00:02Z',
        reserve(30n, { usedAt }),
        'REINSTATE 30: expired>g1 30 | RESERVE 30: g1>(g1) 30',
        '80 (30)',
      ],
      ['2026-02-02T00:03Z', release('r2'), 'RELEASE 30: (g1)>expired 30', '50'],
    ]);
    expect(store.grants.get(1n)).toMatchObject({ remaining: 0n, expired: 30n });
  });

  test('returns only for the operations that it pays for', () => {
    const store = opened(MONTHLY);
    const { book } = store.run(at('2026-01-12'), null);
    const first = store.grants.get(1n);
    expect(book.hasLimitedGrants).toBe(false);
    if (first) store.grants.set(1n, { ...first, operations: ['a'] });
    store.account.hasLimitedGrants = true;
    store.run(at('2026-02-02'), null);
    expect(
      store.run(at('2026-02-02'), late(usagesOf({ a: 5n, b: 7n }), '2026-01-31')).outcome,
    ).toMatchObject({
      split: [
        { grantId: 1n, credits: 5n },
        { grantId: 2n, credits: 7n },
      ],
    });
  });

  test('does not return where the plan took no late usage when it expired', () => {
    const store = opened(allowance(50n), [IN_FEBRUARY]);
    store.plan = plan(MONTHLY);
    continueLedger(store, [
      ['2026-02-02', late(5n, '2026-01-31'), 'CHARGE 5: g2>consumed 5', '45'],
    ]);
  });

  test('does not return where it rolls over: what is left of it is there', () => {
    opened({ ...allowance(50n, { rollover: { upTo: 10n } }), ...LATE }, [
      [
        '2026-02-02',
        late(15n, '2026-01-31'),
        'GRANT_EXPIRED 40: g1>expired 40 | GRANT 50: issued>g2 50 | CHARGE 15: g1>consumed 10, g2>consumed 5',
        '45',
      ],
    ]);
  });

  test('does not return while it lasts, and what was not carried over never does', () => {
    const store = opened({ ...allowance(50n, { rollover: { upTo: 10n } }), ...LATE });
    store.run(at('2026-02-02'), updateGrant(1n, { expiresAt: at('2026-02-20') }));
    expect(store.grants.get(1n)).toMatchObject({ remaining: 10n, expired: 0n });
    continueLedger(store, [
      ['2026-02-02', late(4n, '2026-01-31'), 'CHARGE 4: g1>consumed 4', '56'],
      ['2026-02-20', null, 'GRANT_EXPIRED 6: g1>expired 6', '50'],
      [
        '2026-02-21',
        late(15n, '2026-02-19'),
        'REINSTATE 6: expired>g1 6 | CHARGE 15: g1>consumed 6, g2>consumed 9',
        '41',
      ],
    ]);
  });

  test.each([
    ['America/New_York', '2026-02-01T04:59:59Z', '2026-02-01T05:00:00Z'],
    ['Asia/Kolkata', '2026-01-31T18:29:59Z', '2026-01-31T18:30:00Z'],
    ['Pacific/Kiritimati', '2026-01-31T09:59:59Z', '2026-01-31T10:00:00Z'],
  ])('in %s returns for usage of the last second of its month', (zone, last, first) => {
    ledger(plan(MONTHLY), [
      ['2026-01-10', open(zone), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      IN_FEBRUARY,
      ['2026-02-02', late(5n, first), 'CHARGE 5: g2>consumed 5', '45'],
      ['2026-02-02', late(5n, last), 'REINSTATE 5: expired>g1 5 | CHARGE 5: g1>consumed 5', '45'],
    ]);
  });

  test('pays nothing of what the account owes', () => {
    opened({ ...MONTHLY, payOwed: true }, [
      IN_FEBRUARY,
      [
        '2026-02-02',
        reserve(50n, { overCommitPolicy: 'TAKE' }),
        'RESERVE 50: g2>(g2) 50',
        '50 (50)',
      ],
      [
        '2026-02-02T00:01Z',
        commit('r1', 80n),
        'COMMIT 80: (g2)>consumed 50, owed>consumed 30',
        '0 owes 30',
      ],
      [
        '2026-02-02T00:02Z',
        late(20n, '2026-01-31'),
        'REINSTATE 20: expired>g1 20 | CHARGE 20: g1>consumed 20',
        '0 owes 30',
      ],
    ]);
  });
});
