import { describe, test } from 'vitest';
import { charge, commit, plan, postpaid, reserve } from './fixtures.ts';
import { ledger } from './table.ts';

describe('overage', () => {
  test('is counted per calendar month', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', charge(50n), 'CHARGE 50: overage>consumed 50', '0 overage 50'],
      ['2026-01-31T23:59:59.999Z', charge(1n), 'OVERAGE_LIMIT_REACHED', '0 overage 50'],
      ['2026-02-01', charge(50n), 'CHARGE 50: overage>consumed 50', '0 overage 50'],
      ['2026-02-28', charge(1n), 'OVERAGE_LIMIT_REACHED', '0 overage 50'],
    ]);
  });

  test('is 0 in the balance of a new month, before its first charge', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', charge(50n), 'CHARGE 50: overage>consumed 50', '0 overage 50'],
      ['2026-02-01', null, 'nothing', '0'],
    ]);
  });

  test('that is reserved is counted in the month of its commit', () => {
    ledger(plan(postpaid(50n)), [
      ['2026-01-31T23:55:00Z', charge(10n), 'CHARGE 10: overage>consumed 10', '0 overage 10'],
      [
        '2026-01-31T23:55:00Z',
        reserve(30n),
        'RESERVE 30: overage>(overage) 30',
        '0 (30) overage 10',
      ],
      ['2026-02-01', commit('r1'), 'COMMIT 30: (overage)>consumed 30', '0 overage 30'],
      ['2026-02-02', charge(20n), 'CHARGE 20: overage>consumed 20', '0 overage 50'],
    ]);
  });
});
