import { describe, expect, test } from 'vitest';
import type { OverCommitPolicy } from '../../src/ledger/reservation.ts';
import {
  at,
  commit,
  grantCredits,
  pages,
  plan,
  postpaid,
  release,
  reserve,
  usagesOf,
} from './fixtures.ts';
import { ledger, type Row } from './table.ts';

const GRANT: Row = ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'];
const RESERVE: Row = ['0s', reserve(30n), 'RESERVE 30: g1>(g1) 30', '100 (30)'];

/** A reservation of 30 from grants of 10, 15 and 20, with an over-commit policy. */
const overThree = (overCommitPolicy: OverCommitPolicy): readonly Row[] => [
  ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
  ['0s', grantCredits(15n), 'GRANT 15: issued>g2 15', '25'],
  ['0s', grantCredits(20n), 'GRANT 20: issued>g3 20', '45'],
  [
    '0s',
    reserve(30n, { overCommitPolicy }),
    'RESERVE 30: g1>(g1) 10, g2>(g2) 15, g3>(g3) 5',
    '45 (30)',
  ],
];

describe('a commit charges', () => {
  test.each<[string, ReturnType<typeof commit>, string, string]>([
    [
      'everything that is held, if all is asked for',
      commit('r1'),
      'COMMIT 30: (g1)>consumed 30',
      '70',
    ],
    ['the credits asked for', commit('r1', 12n), 'COMMIT 12: (g1)>consumed 12, (g1)>g1 18', '88'],
    ['nothing, if 0 credits are asked for', commit('r1', 0n), 'COMMIT 0: (g1)>g1 30', '100'],
    [
      'nothing, for an empty list of usages',
      commit('r1', { usages: [] }),
      'COMMIT 0: (g1)>g1 30',
      '100',
    ],
    [
      'the price of the usages',
      commit('r1', pages(29n)),
      'COMMIT 29: (g1)>consumed 29, (g1)>g1 1',
      '71',
    ],
  ])('%s', (_, command, written, balance) => {
    const store = ledger(plan(), [GRANT, RESERVE, ['1s', command, written, balance]]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'COMMITTED',
      allocations: [],
      endedAt: at('1s'),
      late: false,
    });
  });

  test('nothing if its usages have no price, and the reservation stays active', () => {
    ledger(plan(), [
      GRANT,
      RESERVE,
      ['1s', commit('r1', pages(0n)), 'QUANTITY_OUT_OF_RANGE', '100 (30)'],
      ['2s', commit('r9'), 'RESERVATION_NOT_FOUND: reservation_id r9, account_id acme', '100 (30)'],
      ['3s', commit('r1'), 'COMMIT 30: (g1)>consumed 30', '70'],
    ]);
  });

  test('grants in burn order, and gives the rest back to the grants it came from', () => {
    ledger(plan(), [
      ...overThree('REJECT'),
      [
        '1s',
        commit('r1', 12n),
        'COMMIT 12: (g1)>consumed 10, (g2)>consumed 2, (g2)>g2 13, (g3)>g3 5',
        '33',
      ],
    ]);
  });

  test('nothing if the same was committed already', () => {
    const store = ledger(plan(), [
      GRANT,
      RESERVE,
      ['1s', commit('r1', 12n), 'COMMIT 12: (g1)>consumed 12, (g1)>g1 18', '88'],
      ['2s', commit('r1', 12n), 'nothing', '88'],
    ]);
    const { outcome } = store.run(at('5s'), commit('r1', 12n));
    expect(outcome).toEqual({
      kind: 'Commit',
      reservation: store.reservations.get('r1'),
      committed: 0n,
      split: [],
      entrySeq: 0n,
      lines: [],
    });
    expect(store.reservations.get('r1')).toMatchObject({ committed: 12n, endedAt: at('1s') });
  });
});

describe('a second commit of a committed reservation', () => {
  const COMMITTED =
    'RESERVATION_COMMITTED: reservation_id r1, state COMMITTED, at 2026-01-10T00:00:02.000Z, committed 16';
  /** 4 and then 12 of 30 are committed, and the rest is given back. */
  const TWICE: readonly Row[] = [
    GRANT,
    RESERVE,
    ['1s', commit('r1', 4n, { final: false }), 'COMMIT 4: (g1)>consumed 4', '96 (26)'],
    ['2s', commit('r1', 12n), 'COMMIT 12: (g1)>consumed 12, (g1)>g1 14', '84'],
  ];

  test.each<[string, ReturnType<typeof commit>, string]>([
    ['succeeds if it asks for what the last one asked for', commit('r1', 12n), 'nothing'],
    ['succeeds if it asks for the total', commit('r1', 16n), 'nothing'],
    ['fails if it asks for more', commit('r1', 17n), COMMITTED],
    ['fails if it asks for less', commit('r1', 11n), COMMITTED],
    ['fails if it asks for nothing', commit('r1', 0n), COMMITTED],
    ['fails for an empty list of usages', commit('r1', { usages: [] }), COMMITTED],
    ['fails if it asks for all, where some was given back', commit('r1'), COMMITTED],
    ['fails if it is not final', commit('r1', 12n, { final: false }), COMMITTED],
    ['fails if its usages have no price', commit('r1', pages(0n)), 'QUANTITY_OUT_OF_RANGE'],
  ])('%s', (_, command, written) => {
    ledger(plan(), [...TWICE, ['3s', command, written, '84']]);
  });

  test('by usages succeeds for the same usages only, whatever others cost', () => {
    const of = (operation: 'a' | 'b') => usagesOf({ [operation]: 9n });
    ledger(plan(), [
      GRANT,
      RESERVE,
      ['1s', commit('r1', of('a')), 'COMMIT 9: (g1)>consumed 9, (g1)>g1 21', '91'],
      ['2s', commit('r1', of('a')), 'nothing', '91'],
      ['3s', commit('r1', of('b')), 'RESERVATION_COMMITTED', '91'],
      ['4s', commit('r1', usagesOf({ a: 4n, b: 5n })), 'RESERVATION_COMMITTED', '91'],
      ['5s', commit('r1', 9n), 'nothing', '91'],
    ]);
  });

  test('by usages fails after a commit by credits: its usages would be lost', () => {
    ledger(plan(), [
      GRANT,
      RESERVE,
      ['1s', commit('r1', 12n), 'COMMIT 12: (g1)>consumed 12, (g1)>g1 18', '88'],
      ['2s', commit('r1', pages(12n)), 'RESERVATION_COMMITTED', '88'],
    ]);
  });

  test('succeeds if it asks for all, where all was committed', () => {
    ledger(plan(), [
      GRANT,
      RESERVE,
      ['1s', commit('r1', 4n, { final: false }), 'COMMIT 4: (g1)>consumed 4', '96 (26)'],
      ['2s', commit('r1', 26n), 'COMMIT 26: (g1)>consumed 26', '70'],
      ['3s', commit('r1'), 'nothing', '70'],
    ]);
  });

  test('succeeds if it asks for more than the policy CAP allowed, as the first did', () => {
    ledger(plan(), [
      ...overThree('CAP'),
      [
        '1s',
        commit('r1', 44n),
        'COMMIT 30: (g1)>consumed 10, (g2)>consumed 15, (g3)>consumed 5',
        '15',
      ],
      ['2s', commit('r1', 44n), 'nothing', '15'],
      ['3s', commit('r1', 30n), 'nothing', '15'],
      ['4s', commit('r1', 43n), 'RESERVATION_COMMITTED', '15'],
    ]);
  });
});

test('the outcome of a commit has the credits, the grants that paid and the price per line', () => {
  const store = ledger(plan(), overThree('REJECT'));
  const { outcome } = store.run(at('1s'), commit('r1', pages(12n)));
  expect(outcome).toMatchObject({
    committed: 12n,
    split: [
      { grantId: 1n, credits: 10n },
      { grantId: 2n, credits: 2n },
    ],
    entrySeq: 6n,
    lines: [{ credits: 12n }],
    reservation: { credits: 30n, committed: 12n, returned: 18n },
  });
  expect(store.entries.at(-1)).toMatchObject({ usages: [{ credits: 12n }], rateCardVersion: 1 });
});

describe('commits that are not final', () => {
  test('use the grants in burn order until the reservation ends', () => {
    const store = ledger(plan(), [
      ...overThree('REJECT'),
      ['1s', commit('r1', 4n, { final: false }), 'COMMIT 4: (g1)>consumed 4', '41 (26)'],
      [
        '2s',
        commit('r1', 8n, { final: false }),
        'COMMIT 8: (g1)>consumed 6, (g2)>consumed 2',
        '33 (18)',
      ],
      ['3s', commit('r1', 0n, { final: false }), 'COMMIT 0', '33 (18)'],
      [
        '4s',
        commit('r1', 19n, { final: false }),
        'EXCEEDS_RESERVATION: asked 19, allowed 18, reservation_id r1',
        '33 (18)',
      ],
      ['5s', commit('r1', 13n, { final: false }), 'COMMIT 13: (g2)>consumed 13', '20 (5)'],
      ['6s', commit('r1', 1n), 'COMMIT 1: (g3)>consumed 1, (g3)>g3 4', '19'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      state: 'COMMITTED',
      committed: 26n,
      returned: 4n,
    });
  });

  test('leave an empty reservation active, which a final commit or its expiry ends', () => {
    ledger(plan(), [
      GRANT,
      RESERVE,
      ['1s', commit('r1', 'all', { final: false }), 'COMMIT 30: (g1)>consumed 30', '70'],
      ['2s', commit('r1', 1n, { final: false }), 'EXCEEDS_RESERVATION', '70'],
      ['3s', commit('r1'), 'COMMIT 0', '70'],
      ['4s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '70 (10)'],
      ['5s', commit('r2', 'all', { final: false }), 'COMMIT 10: (g1)>consumed 10', '60'],
      ['904s', null, 'EXPIRE 0', '60'],
    ]);
  });
});

describe('a commit of more than is held', () => {
  test('fails with policy REJECT, and changes nothing', () => {
    ledger(plan(), [
      ...overThree('REJECT'),
      [
        '1s',
        commit('r1', 31n),
        'EXCEEDS_RESERVATION: asked 31, allowed 30, reservation_id r1',
        '45 (30)',
      ],
      ['2s', commit('r1', pages(31n)), 'EXCEEDS_RESERVATION', '45 (30)'],
      [
        '3s',
        commit('r1', 30n),
        'COMMIT 30: (g1)>consumed 10, (g2)>consumed 15, (g3)>consumed 5',
        '15',
      ],
    ]);
  });

  test('charges what is held with policy CAP', () => {
    const store = ledger(plan(), [
      ...overThree('CAP'),
      ['1s', commit('r1', 10n, { final: false }), 'COMMIT 10: (g1)>consumed 10', '35 (20)'],
      ['2s', commit('r1', 31n), 'COMMIT 20: (g2)>consumed 15, (g3)>consumed 5', '15'],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 30n, returned: 0n });
  });

  test('draws the difference from what is available with policy DRAW', () => {
    const store = ledger(plan(), [
      ...overThree('DRAW'),
      [
        '1s',
        commit('r1', 44n),
        'COMMIT 44: (g1)>consumed 10, (g2)>consumed 15, (g3)>consumed 5, g3>consumed 14',
        '1',
      ],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({
      credits: 30n,
      committed: 44n,
      returned: 0n,
      state: 'COMMITTED',
    });
  });

  test('draws the whole difference or nothing with policy DRAW', () => {
    ledger(plan(), [
      ...overThree('DRAW'),
      [
        '1s',
        commit('r1', 46n),
        'INSUFFICIENT_CREDITS: required 16, available 15, shortfall 1',
        '45 (30)',
      ],
      ['2s', commit('r1', 5n, { final: false }), 'COMMIT 5: (g1)>consumed 5', '40 (25)'],
      [
        '3s',
        commit('r1', 26n, { final: false }),
        'COMMIT 26: (g1)>consumed 5, (g2)>consumed 15, (g3)>consumed 5, g3>consumed 1',
        '14',
      ],
      ['4s', commit('r1', 3n), 'COMMIT 3: g3>consumed 3', '11'],
    ]);
  });

  test('lists each grant once, although it paid from held and from available credits', () => {
    const store = ledger(plan(), overThree('DRAW'));
    const { outcome } = store.run(at('1s'), commit('r1', 44n));
    expect(outcome).toMatchObject({
      split: [
        { grantId: 1n, credits: 10n },
        { grantId: 2n, credits: 15n },
        { grantId: 3n, credits: 19n },
      ],
    });
  });

  test('lists grants in burn order, although the first to burn was drawn last', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(10n, { overCommitPolicy: 'DRAW' }), 'RESERVE 10: g1>(g1) 10', '10 (10)'],
      ['1s', grantCredits(10n, { priority: 1 }), 'GRANT 10: issued>g2 10', '20 (10)'],
    ]);
    expect(store.run(at('2s'), commit('r1', 15n)).outcome).toMatchObject({
      split: [
        { grantId: 2n, credits: 5n },
        { grantId: 1n, credits: 10n },
      ],
    });
  });

  test('lists overage last, although grants were drawn after it', () => {
    const store = ledger(plan(postpaid(20n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      [
        '0s',
        reserve(15n, { overCommitPolicy: 'DRAW' }),
        'RESERVE 15: g1>(g1) 10, overage>(overage) 5',
        '10 (15)',
      ],
      ['1s', grantCredits(10n), 'GRANT 10: issued>g2 10', '20 (15)'],
    ]);
    expect(store.run(at('2s'), commit('r1', 22n)).outcome).toMatchObject({
      split: [
        { grantId: 1n, credits: 10n },
        { grantId: 2n, credits: 10n },
        { grantId: 0n, credits: 2n },
      ],
    });
  });

  test('draws from overage on a postpaid plan with policy DRAW', () => {
    ledger(plan(postpaid(20n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      [
        '0s',
        reserve(15n, { overCommitPolicy: 'DRAW' }),
        'RESERVE 15: g1>(g1) 10, overage>(overage) 5',
        '10 (15)',
      ],
      [
        '1s',
        commit('r1', 31n),
        'OVERAGE_LIMIT_REACHED: required 16, available 15, shortfall 1, limit 20',
        '10 (15)',
      ],
      [
        '2s',
        commit('r1', 30n),
        'COMMIT 30: (g1)>consumed 10, (overage)>consumed 5, overage>consumed 15',
        '0 overage 20',
      ],
    ]);
  });
});

describe('a commit of reserved overage', () => {
  test('returns unused overage before credits of grants', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(40n), 'RESERVE 40: g1>(g1) 10, overage>(overage) 30', '10 (40)'],
      [
        '1s',
        commit('r1', 12n, { final: false }),
        'COMMIT 12: (g1)>consumed 10, (overage)>consumed 2',
        '0 (28) overage 2',
      ],
      [
        '2s',
        commit('r1', 3n),
        'COMMIT 3: (overage)>consumed 3, (overage)>overage 25',
        '0 overage 5',
      ],
    ]);
  });

  test('uses it as the last resort: credits that became available meanwhile pay first', () => {
    const store = ledger(plan(postpaid(50n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['0s', reserve(40n), 'RESERVE 40: g1>(g1) 10, overage>(overage) 30', '10 (40)'],
      ['1s', grantCredits(20n), 'GRANT 20: issued>g2 20', '30 (40)'],
      [
        '2s',
        commit('r1', 35n),
        'COMMIT 35: (g1)>consumed 10, g2>consumed 20, (overage)>consumed 5, (overage)>overage 5, (overage)>overage 20',
        '0 overage 5',
      ],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 35n, returned: 5n });
  });

  test('gives it back for what other credits pay, also if the commit is not final', () => {
    const store = ledger(plan(postpaid(50n)), [
      ['0s', reserve(40n), 'RESERVE 40: overage>(overage) 40', '0 (40)'],
      ['1s', grantCredits(15n), 'GRANT 15: issued>g1 15', '15 (40)'],
      [
        '2s',
        commit('r1', 10n, { final: false }),
        'COMMIT 10: g1>consumed 10, (overage)>overage 10',
        '5 (30)',
      ],
      [
        '3s',
        commit('r1'),
        'COMMIT 30: g1>consumed 5, (overage)>consumed 25, (overage)>overage 5',
        '0 overage 25',
      ],
    ]);
    expect(store.reservations.get('r1')).toMatchObject({ committed: 40n, returned: 0n });
  });

  test('in part gives it back also for credits of a grant of which it holds some', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', grantCredits(4n, { operations: ['a'] }), 'GRANT 4: issued>g1 4', '4'],
      ['0s', reserve(usagesOf({ a: 2n })), 'RESERVE 2: g1>(g1) 2', '4 (2)'],
      ['0s', reserve(usagesOf({ a: 9n })), 'RESERVE 9: g1>(g1) 2, overage>(overage) 7', '4 (11)'],
      ['1s', release('r1'), 'RELEASE 2: (g1)>g1 2', '4 (9)'],
      [
        '2s',
        commit('r2', usagesOf({ a: 5n }), { final: false }),
        'COMMIT 5: (g1)>consumed 2, g1>consumed 2, (overage)>consumed 1, (overage)>overage 2',
        '0 (4) overage 1',
      ],
    ]);
  });

  test('lets a limited grant pay for its operations only, in place of overage', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', reserve(usagesOf({ a: 10n, b: 10n })), 'RESERVE 20: overage>(overage) 20', '0 (20)'],
      ['1s', grantCredits(15n, { operations: ['a'] }), 'GRANT 15: issued>g1 15', '15 (20)'],
      [
        '2s',
        commit('r1', usagesOf({ a: 10n, b: 10n })),
        'COMMIT 20: g1>consumed 10, (overage)>consumed 10, (overage)>overage 10',
        '5 overage 10',
      ],
    ]);
  });

  test('frees a held grant for another operation, where a new one can pay in its place', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', grantCredits(10n, { operations: ['a', 'b'] }), 'GRANT 10: issued>g1 10', '10'],
      [
        '0s',
        reserve(usagesOf({ a: 10n, b: 10n })),
        'RESERVE 20: g1>(g1) 10, overage>(overage) 10',
        '10 (20)',
      ],
      ['1s', grantCredits(10n, { operations: ['a'] }), 'GRANT 10: issued>g2 10', '20 (20)'],
      [
        '2s',
        commit('r1', usagesOf({ a: 10n, b: 10n })),
        'COMMIT 20: (g1)>consumed 10, g2>consumed 10, (overage)>overage 10',
        '0',
      ],
    ]);
  });
});
