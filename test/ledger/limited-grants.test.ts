/** Grants limited to operations, through the whole life of a reservation. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { OverCommitPolicy } from '../../src/ledger/reservation.ts';
import { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  commit,
  grantCredits,
  open,
  plan,
  postpaid,
  raise,
  refund,
  release,
  reserve,
  START,
  usagesOf,
} from './fixtures.ts';
import { audit, ledger, type Row } from './table.ts';

/** g1 has 10 credits for operation a; g2 has 10 for all operations and burns later. */
const GRANTED: readonly Row[] = [
  [
    '0s',
    grantCredits(10n, { operations: ['a'], expiresAt: at('30d') }),
    'GRANT 10: issued>g1 10',
    '10',
  ],
  ['0s', grantCredits(10n), 'GRANT 10: issued>g2 10', '20'],
];

describe('a grant limited to operations', () => {
  test('pays for usages of these operations, in burn order', () => {
    ledger(plan(), [
      ...GRANTED,
      ['1s', charge(usagesOf({ a: 4n })), 'CHARGE 4: g1>consumed 4', '16'],
      ['2s', charge(usagesOf({ b: 3n })), 'CHARGE 3: g2>consumed 3', '13'],
      ['3s', charge(5n), 'CHARGE 5: g2>consumed 5', '8'],
      [
        '4s',
        charge(usagesOf({ a: 2n, b: 3n })),
        'INSUFFICIENT_CREDITS: required 5, available 4, shortfall 1',
        '8',
      ],
      ['5s', charge(usagesOf({ a: 5n, b: 2n })), 'CHARGE 7: g1>consumed 5, g2>consumed 2', '1'],
    ]);
  });

  test('does not pay for another operation on a postpaid plan: overage does', () => {
    ledger(plan(postpaid(50n)), [
      GRANTED[0]!,
      ['1s', charge(usagesOf({ b: 4n })), 'CHARGE 4: overage>consumed 4', '10 overage 4'],
      [
        '2s',
        charge(usagesOf({ a: 12n, c: 1n })),
        'CHARGE 13: g1>consumed 10, overage>consumed 3',
        '0 overage 7',
      ],
    ]);
  });

  test('cannot be granted for an operation that the plan does not price', () => {
    const store = ledger(plan(), [GRANTED[0]!]);
    const { outcome } = store.run(at('1s'), grantCredits(5n, { operations: ['a', 'x'] }));
    expect(outcome).toMatchObject({
      reason: 'UNKNOWN_OPERATION',
      metadata: { operation: 'x', field: 'only_for.operations[1]' },
    });
  });

  test('gets back what is released and what is refunded', () => {
    ledger(plan(), [
      ...GRANTED,
      ['0s', reserve(usagesOf({ a: 12n })), 'RESERVE 12: g1>(g1) 10, g2>(g2) 2', '20 (12)'],
      ['1s', release('r1'), 'RELEASE 12: (g1)>g1 10, (g2)>g2 2', '20'],
      ['2s', charge(usagesOf({ a: 12n })), 'CHARGE 12: g1>consumed 10, g2>consumed 2', '8'],
      ['3s', refund(6n), 'REFUND 12: consumed>g2 2, consumed>g1 10', '20'],
    ]);
  });
});

test('an account knows of a limited grant that was spent, and has credits again by a refund', () => {
  const store = new AccountStore(plan(), START);
  store.run(START, open());
  store.run(START, grantCredits(10n, { operations: ['a'] }));
  store.run(START, grantCredits(10n));
  store.run(at('1s'), reserve(1n));
  store.run(at('2s'), charge(usagesOf({ a: 10n })));
  const { seq } = store.account;
  store.run(at('1h'), null); // the reservation has expired
  expect(store.account.hasLimitedGrants).toBe(false);
  store.run(at('2h'), refund(seq));
  expect(store.account.hasLimitedGrants).toBe(true);
});

describe('a commit of a reservation that holds credits of limited grants', () => {
  const RESERVED: readonly Row[] = [
    ...GRANTED,
    ['0s', reserve(usagesOf({ a: 6n, b: 4n })), 'RESERVE 10: g1>(g1) 6, g2>(g2) 4', '20 (10)'],
  ];

  test('by credits or in full may use everything that is held', () => {
    ledger(plan(), [
      ...RESERVED,
      ['1s', commit('r1', 3n, { final: false }), 'COMMIT 3: (g1)>consumed 3', '17 (7)'],
      ['2s', commit('r1'), 'COMMIT 7: (g1)>consumed 3, (g2)>consumed 4', '10'],
    ]);
  });

  test('by usages uses only what may pay for them', () => {
    ledger(plan(), [
      ...RESERVED,
      [
        '1s',
        commit('r1', usagesOf({ b: 6n })),
        'EXCEEDS_RESERVATION: asked 6, allowed 4, reservation_id r1',
        '20 (10)',
      ],
      [
        '2s',
        commit('r1', usagesOf({ a: 2n, b: 3n })),
        'COMMIT 5: (g1)>consumed 2, (g2)>consumed 3, (g1)>g1 4, (g2)>g2 1',
        '15',
      ],
    ]);
  });

  test.each<[OverCommitPolicy, string, string]>([
    ['REJECT', 'EXCEEDS_RESERVATION', '20 (10)'],
    ['CAP', 'COMMIT 4: (g2)>consumed 4, (g1)>g1 6', '16'],
    ['DRAW', 'COMMIT 6: (g2)>consumed 4, g2>consumed 2, (g1)>g1 6', '14'],
  ])('by usages beyond that follows the policy %s', (overCommitPolicy, written, balance) => {
    ledger(plan(), [
      ...GRANTED,
      [
        '0s',
        reserve(usagesOf({ a: 6n, b: 4n }), { overCommitPolicy }),
        'RESERVE 10: g1>(g1) 6, g2>(g2) 4',
        '20 (10)',
      ],
      ['1s', commit('r1', usagesOf({ b: 6n })), written, balance],
    ]);
  });

  test('with policy DRAW uses held credits where nothing else can pay', () => {
    ledger(plan(), [
      ['0s', grantCredits(5n, { priority: 0 }), 'GRANT 5: issued>g1 5', '5'],
      [
        '0s',
        reserve(usagesOf({ a: 5n }), { overCommitPolicy: 'DRAW' }),
        'RESERVE 5: g1>(g1) 5',
        '5 (5)',
      ],
      ['1s', grantCredits(5n, { operations: ['a'] }), 'GRANT 5: issued>g2 5', '10 (5)'],
      [
        '2s',
        commit('r1', usagesOf({ a: 5n, b: 5n })),
        'COMMIT 10: (g1)>consumed 5, g2>consumed 5',
        '0',
      ],
    ]);
  });

  test('in part leaves the credits that can pay for the rest', () => {
    ledger(plan(), [
      ['0s', grantCredits(5n, { operations: ['a', 'b'] }), 'GRANT 5: issued>g1 5', '5'],
      ['0s', grantCredits(5n, { operations: ['a', 'c'] }), 'GRANT 5: issued>g2 5', '10'],
      ['0s', reserve(usagesOf({ a: 5n, b: 5n })), 'RESERVE 10: g1>(g1) 5, g2>(g2) 5', '10 (10)'],
      [
        '1s',
        commit('r1', usagesOf({ a: 5n }), { final: false }),
        'COMMIT 5: (g2)>consumed 5',
        '5 (5)',
      ],
      ['2s', commit('r1', usagesOf({ b: 5n })), 'COMMIT 5: (g1)>consumed 5', '0'],
    ]);
  });

  test('in part uses limited grants first, because later parts may be of any operation', () => {
    ledger(plan(), [
      ['0s', grantCredits(5n, { priority: 0 }), 'GRANT 5: issued>g1 5', '5'],
      ['0s', reserve(usagesOf({ b: 5n })), 'RESERVE 5: g1>(g1) 5', '5 (5)'],
      ['0s', grantCredits(5n, { operations: ['a'] }), 'GRANT 5: issued>g2 5', '10 (5)'],
      ['0s', raise('r1', usagesOf({ a: 5n })), 'RAISE 5: g2>(g2) 5', '10 (10)'],
      [
        '1s',
        commit('r1', usagesOf({ a: 4n }), { final: false }),
        'COMMIT 4: (g2)>consumed 4',
        '6 (6)',
      ],
      ['2s', commit('r1', usagesOf({ b: 5n })), 'COMMIT 5: (g1)>consumed 5, (g2)>g2 1', '1'],
    ]);
  });

  test('in any parts of what was reserved is never refused, and commits all of it', () => {
    const grants = fc.array(
      fc.record({
        credits: fc.bigInt(1n, 8n),
        operations: fc.subarray(['a', 'b', 'c']),
        priority: fc.integer({ min: 49, max: 51 }),
      }),
      { minLength: 1, maxLength: 6 },
    );
    const needs = fc.array(fc.constantFrom('a' as const, 'b' as const, 'c' as const), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(grants, needs, fc.array(fc.nat(3)), (all, units, sizes) => {
        const store = new AccountStore(plan(), at('0s'));
        store.run(at('0s'), open());
        for (const { credits, ...change } of all)
          store.run(at('0s'), grantCredits(credits, change));
        const count = (some: readonly string[]) =>
          usagesOf(
            Object.fromEntries(
              (['a', 'b', 'c'] as const)
                .map((name) => [name, BigInt(some.filter((unit) => unit === name).length)] as const)
                .filter(([, credits]) => credits > 0n),
            ),
          );
        const { outcome } = store.run(at('1s'), reserve(count(units)));
        fc.pre(!(outcome instanceof Failure));
        let rest = units;
        for (const size of sizes) {
          const part = rest.slice(0, size);
          if (part.length === 0) continue;
          rest = rest.slice(size);
          const { outcome } = store.run(at('2s'), commit('r1', count(part), { final: false }));
          expect(outcome).toMatchObject({ kind: 'Commit', committed: BigInt(part.length) });
        }
        if (rest.length > 0)
          expect(store.run(at('3s'), commit('r1', count(rest))).outcome).toMatchObject({
            committed: BigInt(rest.length),
          });
        expect(store.reservations.get('r1')).toMatchObject({
          committed: BigInt(units.length),
          allocations: [],
        });
        audit(store);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a late commit of a reservation that held credits of limited grants', () => {
  const EXPIRED: readonly Row[] = [
    ...GRANTED,
    ['0s', reserve(usagesOf({ a: 6n, b: 4n })), 'RESERVE 10: g1>(g1) 6, g2>(g2) 4', '20 (10)'],
    ['15m', null, 'EXPIRE 10: (g1)>g1 6, (g2)>g2 4', '20'],
  ];

  test('in full may use as much of them as its usages cost', () => {
    ledger(plan(), [
      ...EXPIRED,
      ['16m', charge(6n), 'CHARGE 6: g2>consumed 6', '14'],
      ['17m', commit('r1'), 'late COMMIT 10: g1>consumed 6, g2>consumed 4', '4'],
    ]);
  });

  test('by credits may, too, and by usages uses what may pay for them', () => {
    ledger(plan(), [
      ...EXPIRED,
      ['16m', commit('r1', 7n), 'late COMMIT 7: g1>consumed 6, g2>consumed 1', '13'],
    ]);
    ledger(plan(), [
      ...EXPIRED,
      ['16m', commit('r1', usagesOf({ b: 7n })), 'late COMMIT 7: g2>consumed 7', '13'],
    ]);
  });

  test('after a raise uses what was added, too', () => {
    ledger(plan(), [
      ...GRANTED,
      ['0s', reserve(usagesOf({ b: 4n })), 'RESERVE 4: g2>(g2) 4', '20 (4)'],
      ['1m', raise('r1', usagesOf({ a: 3n })), 'RAISE 3: g1>(g1) 3', '20 (7)'],
      ['15m', null, 'EXPIRE 7: (g1)>g1 3, (g2)>g2 4', '20'],
      ['16m', charge(6n), 'CHARGE 6: g2>consumed 6', '14'],
      ['17m', commit('r1'), 'late COMMIT 7: g1>consumed 3, g2>consumed 4', '7'],
    ]);
  });

  test('leaves the reservation expired when nothing can pay any more', () => {
    ledger(plan(), [
      ...EXPIRED,
      ['16m', charge(7n), 'CHARGE 7: g2>consumed 7', '13'],
      ['17m', commit('r1'), 'RESERVATION_EXPIRED', '13'],
    ]);
  });
});
