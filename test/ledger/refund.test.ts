import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import type { AccountStore } from './account-store.ts';
import {
  at,
  charge,
  close,
  commit,
  grantCredits,
  plan,
  postpaid,
  refund,
  reserve,
} from './fixtures.ts';
import { audit, ledger, type Row } from './table.ts';

/** Entry 4 charges 40 of grants of 10, 20 and 30, in this order. */
const CHARGED: readonly Row[] = [
  ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
  ['0s', grantCredits(20n), 'GRANT 20: issued>g2 20', '30'],
  ['0s', grantCredits(30n), 'GRANT 30: issued>g3 30', '60'],
  ['1s', charge(40n), 'CHARGE 40: g1>consumed 10, g2>consumed 20, g3>consumed 10', '20'],
];

describe('a refund', () => {
  test('in full gives every grant back what it paid, last used first', () => {
    const store = ledger(plan(), [
      ...CHARGED,
      ['2s', refund(5n), 'REFUND 40: consumed>g3 10, consumed>g2 20, consumed>g1 10', '60'],
    ]);
    expect([...store.grants.values()].map(({ state }) => state)).toEqual(['OPEN', 'OPEN', 'OPEN']);
    expect(store.entries.at(-1)).toMatchObject({ refundedSeq: 5n, credits: 40n });
  });

  test('in part gives back what was used last', () => {
    ledger(plan(), [
      ...CHARGED,
      ['2s', refund(5n, 15n), 'REFUND 15: consumed>g3 10, consumed>g2 5', '35'],
    ]);
  });

  test('continues where the previous one stopped, until nothing is left', () => {
    ledger(plan(), [
      ...CHARGED,
      ['2s', refund(5n, 1n), 'REFUND 1: consumed>g3 1', '21'],
      ['3s', refund(5n, 12n), 'REFUND 12: consumed>g3 9, consumed>g2 3', '33'],
      ['4s', refund(5n, 28n), 'EXCEEDS_COMMIT: asked 28, allowed 27, seq 5', '33'],
      ['5s', refund(5n), 'REFUND 27: consumed>g2 17, consumed>g1 10', '60'],
      ['6s', refund(5n, 1n), 'EXCEEDS_COMMIT: asked 1, allowed 0, seq 5', '60'],
      ['7s', refund(5n), 'EXCEEDS_COMMIT: asked 0, allowed 0, seq 5', '60'],
    ]);
  });

  test('in any number of parts gives every grant back exactly what it paid', () => {
    const parts = fc.array(fc.bigInt(1n, 40n), { maxLength: 12 });
    fc.assert(
      fc.property(parts, (all) => {
        const store = ledger(plan(), CHARGED);
        let left = 40n;
        for (const credits of all) {
          const { outcome } = store.run(at('2s'), refund(5n, credits));
          expect(outcome instanceof Failure).toBe(credits > left);
          if (credits <= left) left -= credits;
        }
        if (left > 0n) store.run(at('3s'), refund(5n));
        expect(remaining(store)).toEqual([10n, 20n, 30n]);
        audit(store);
      }),
      { numRuns: 50 },
    );
  });

  test('of a commit gives back what was committed, not what was reserved', () => {
    ledger(plan(), [
      CHARGED[0]!,
      ['0s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '10 (10)'],
      ['1s', commit('r1', 4n), 'COMMIT 4: (g1)>consumed 4, (g1)>g1 6', '6'],
      ['2s', refund(4n, 5n), 'EXCEEDS_COMMIT: asked 5, allowed 4, seq 4', '6'],
      ['3s', refund(4n), 'REFUND 4: consumed>g1 4', '10'],
      ['4s', commit('r1', 4n), 'nothing', '10'],
    ]);
  });

  test('of each partial commit is counted separately', () => {
    ledger(plan(), [
      CHARGED[0]!,
      ['0s', reserve(10n), 'RESERVE 10: g1>(g1) 10', '10 (10)'],
      ['1s', commit('r1', 4n, { final: false }), 'COMMIT 4: (g1)>consumed 4', '6 (6)'],
      ['2s', refund(4n, 4n), 'REFUND 4: consumed>g1 4', '10 (6)'],
      ['3s', commit('r1', 5n), 'COMMIT 5: (g1)>consumed 5, (g1)>g1 1', '5'],
      ['4s', refund(4n, 1n), 'EXCEEDS_COMMIT', '5'],
      ['5s', refund(6n, 5n), 'REFUND 5: consumed>g1 5', '10'],
    ]);
  });

  test('of what a grant paid from held and available credits is one allocation', () => {
    ledger(plan(), [
      ...CHARGED.slice(0, 2),
      [
        '0s',
        reserve(12n, { overCommitPolicy: 'DRAW' }),
        'RESERVE 12: g1>(g1) 10, g2>(g2) 2',
        '30 (12)',
      ],
      [
        '1s',
        commit('r1', 20n),
        'COMMIT 20: (g1)>consumed 10, (g2)>consumed 2, g2>consumed 8',
        '10',
      ],
      ['2s', refund(5n, 11n), 'REFUND 11: consumed>g2 10, consumed>g1 1', '21'],
    ]);
  });

  test('gives back first what the commit drew beyond its reservation', () => {
    ledger(plan(), [
      CHARGED[0]!,
      ['0s', reserve(10n, { overCommitPolicy: 'DRAW' }), 'RESERVE 10: g1>(g1) 10', '10 (10)'],
      ['1s', grantCredits(9n, { priority: 1 }), 'GRANT 9: issued>g2 9', '19 (10)'],
      ['2s', commit('r1', 15n), 'COMMIT 15: (g1)>consumed 10, g2>consumed 5', '4'],
      ['3s', refund(5n, 11n), 'REFUND 11: consumed>g2 5, consumed>g1 6', '15'],
    ]);
  });

  test('can be of a charge in the same unit of work', () => {
    const store = ledger(plan(), CHARGED.slice(0, 1));
    const { outcomes } = store.runGroup(at('1s'), [
      charge(7n),
      refund(3n, 3n),
      refund(3n, 5n),
      refund(4n),
      refund(3n),
    ]);
    expect(outcomes).toMatchObject([
      { kind: 'Charge', entrySeq: 3n },
      { refunded: 3n, entrySeq: 4n },
      { reason: 'EXCEEDS_COMMIT', metadata: { asked: '5', allowed: '4' } },
      { reason: 'ENTRY_NOT_FOUND' },
      { refunded: 4n, entrySeq: 5n },
    ]);
    expect(remaining(store)).toEqual([10n]);
    expect(store.run(at('2s'), refund(3n)).outcome).toMatchObject({ reason: 'EXCEEDS_COMMIT' });
    audit(store);
  });

  test('is possible for commits and charges only', () => {
    ledger(plan(), [
      ...CHARGED,
      ['2s', refund(1n), 'ENTRY_NOT_FOUND: seq 1, account_id acme', '20'],
      ['2s', refund(2n), 'ENTRY_NOT_FOUND: seq 2, account_id acme', '20'],
      ['3s', refund(5n, 1n), 'REFUND 1: consumed>g3 1', '21'],
      ['4s', refund(6n), 'ENTRY_NOT_FOUND', '21'],
      ['5s', refund(100n), 'ENTRY_NOT_FOUND', '21'],
    ]);
  });

  test('of a charge of 0 credits fails', () => {
    ledger(plan(), [
      ['0s', charge(0n), 'CHARGE 0', '0'],
      ['1s', refund(2n), 'EXCEEDS_COMMIT: asked 0, allowed 0, seq 2', '0'],
    ]);
  });

  test('makes credits that can be spent again', () => {
    ledger(plan(), [
      CHARGED[0]!,
      ['1s', charge(10n), 'CHARGE 10: g1>consumed 10', '0'],
      ['2s', refund(3n), 'REFUND 10: consumed>g1 10', '10'],
      ['3s', charge(10n), 'CHARGE 10: g1>consumed 10', '0'],
      ['4s', refund(5n), 'REFUND 10: consumed>g1 10', '10'],
    ]);
  });

  test('is possible on a closed account', () => {
    ledger(plan(), [
      CHARGED[0]!,
      ['1s', charge(10n), 'CHARGE 10: g1>consumed 10', '0'],
      ['2s', close(), 'CLOSE_ACCOUNT', '0'],
      ['3s', refund(3n), 'REFUND 10: consumed>g1 10', '10'],
    ]);
  });

  test('keeps the reference and labels of the commit, and adds its own labels', () => {
    const store = ledger(plan(), [CHARGED[0]!]);
    store.run(at('1s'), {
      kind: 'Charge',
      amount: { credits: 4n },
      rateCardVersion: null,
      reference: 'job 7',
      labels: { team: 'blue', tier: 'gold' },
      criticality: 'CRITICAL',
      usedAt: null,
    });
    store.run(at('2s'), refund(3n, 1n, { labels: { tier: 'none', why: 'blurred' } }));
    store.run(at('3s'), refund(3n, 1n, { reference: 'ticket 9' }));
    expect(store.entries.slice(3)).toMatchObject([
      { reference: 'job 7', labels: { team: 'blue', tier: 'none', why: 'blurred' } },
      { reference: 'ticket 9', labels: { team: 'blue', tier: 'gold' } },
    ]);
  });
});

describe('a refund to a grant', () => {
  const EXPIRING: readonly Row[] = [
    ['0s', grantCredits(10n, { expiresAt: at('1d') }), 'GRANT 10: issued>g1 10', '10'],
    ['0s', grantCredits(20n), 'GRANT 20: issued>g2 20', '30'],
    ['1s', charge(15n), 'CHARGE 15: g1>consumed 10, g2>consumed 5', '15'],
  ];

  test('that has expired is breakage', () => {
    const store = ledger(plan(), [
      ...EXPIRING,
      ['1d', refund(4n, 8n), 'REFUND 8: consumed>g2 5, consumed>expired 3', '20'],
    ]);
    expect(store.run(at('2d'), refund(4n)).outcome).toMatchObject({
      refunded: 7n,
      expired: 7n,
      split: [{ grantId: 1n, credits: 7n }],
    });
  });

  test('that was spent and has not expired reopens it until its expiry', () => {
    const store = ledger(plan(), [
      ...EXPIRING,
      ['1m', refund(4n), 'REFUND 15: consumed>g2 5, consumed>g1 10', '30'],
      ['1d', null, 'GRANT_EXPIRED 10: g1>expired 10', '20'],
    ]);
    expect(store.grants.get(1n)?.state).toBe('EXPIRED');
  });
});

describe('a refund of overage', () => {
  test('lowers the month’s overage before grants get credits back', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', grantCredits(10n), 'GRANT 10: issued>g1 10', '10'],
      ['1s', charge(40n), 'CHARGE 40: g1>consumed 10, overage>consumed 30', '0 overage 30'],
      ['2s', refund(3n, 20n), 'REFUND 20: consumed>overage 20', '0 overage 10'],
      ['3s', charge(40n), 'CHARGE 40: overage>consumed 40', '0 overage 50'],
      ['4s', refund(3n), 'REFUND 20: consumed>overage 10, consumed>g1 10', '10 overage 40'],
    ]);
  });

  test('of an earlier month does not change this month’s overage', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', charge(40n), 'CHARGE 40: overage>consumed 40', '0 overage 40'],
      ['2026-02-01', refund(2n, 10n), 'REFUND 10: consumed>overage 10', '0'],
      ['2026-02-02', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
      ['2026-02-03', refund(2n, 20n), 'REFUND 20: consumed>overage 20', '0 overage 30'],
      ['2026-02-04', refund(4n, 20n), 'REFUND 20: consumed>overage 20', '0 overage 10'],
    ]);
  });
});

const remaining = (store: AccountStore) =>
  [...store.grants.values()].map((grant) => grant.remaining);
