import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { monthName, monthStart } from '../../src/ledger/account.ts';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  grantCredits,
  ms,
  open,
  plan,
  postpaid,
  reserve,
} from './fixtures.ts';
import { Shelf } from './shelf.ts';
import { audit, ledger, play } from './table.ts';

const monthsOf = (shelf: Shelf) =>
  [...shelf.grants.values()]
    .filter(({ source }) => source === 'ALLOWANCE')
    .map(({ sourceReference }) => sourceReference);

describe('an allowance', () => {
  test('comes at the first moment of every month, UTC, without rollover', () => {
    ledger(plan(allowance(50n)), [
      ['0s', open(), 'GRANT 50: issued>g1 50', '50'],
      ['1d', charge(20n), 'CHARGE 20: g1>consumed 20', '30'],
      ['2026-01-31T23:59:59.999Z', charge(1n), 'CHARGE 1: g1>consumed 1', '29'],
      [
        '2026-02-01',
        charge(50n),
        'GRANT_EXPIRED 29: g1>expired 29 | GRANT 50: issued>g2 50 | CHARGE 50: g2>consumed 50',
        '0',
      ],
      ['2026-02-28T23:59:59.999Z', charge(1n), 'INSUFFICIENT_CREDITS', '0'],
      ['2026-03-01', null, 'GRANT 50: issued>g3 50', '50'],
    ]);
  });

  test('falls on its own before credits that were bought', () => {
    ledger(plan(allowance(50n)), [
      ['0s', open(), 'GRANT 50: issued>g1 50', '50'],
      ['0s', grantCredits(100n), 'GRANT 100: issued>g2 100', '150'],
      ['1s', charge(51n), 'CHARGE 51: g1>consumed 50, g2>consumed 1', '99'],
    ]);
  });

  test('of the month is whole, however late in it the account was opened', () => {
    ledger(plan(allowance(50n)), [
      ['2026-01-31T23:59:59.999Z', open(), 'GRANT 50: issued>g1 50', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('of an account opened in a month’s first moment comes once', () => {
    ledger(plan(allowance(50n)), [
      ['2026-03-01', open(), 'GRANT 50: issued>g1 50', '50'],
      ['2026-03-01', null, 'nothing', '50'],
    ]);
  });

  test('of months nobody looked in is granted and has expired, each in its turn', () => {
    const shelf = ledger(plan(allowance(50n)), [
      ['0s', open(), 'GRANT 50: issued>g1 50', '50'],
      [
        '2026-04-15',
        charge(1n),
        [
          'GRANT_EXPIRED 50: g1>expired 50',
          'GRANT 50: issued>g2 50',
          'GRANT_EXPIRED 50: g2>expired 50',
          'GRANT 50: issued>g3 50',
          'GRANT_EXPIRED 50: g3>expired 50',
          'GRANT 50: issued>g4 50',
          'CHARGE 1: g4>consumed 1',
        ].join(' | '),
        '49',
      ],
    ]);
    expect(monthsOf(shelf)).toEqual(['2026-01', '2026-02', '2026-03', '2026-04']);
    expect(shelf.grants.get(4n)).toMatchObject({
      effectiveAt: at('2026-04-01'),
      expiresAt: at('2026-05-01'),
    });
  });

  test('that is reserved over the end of its month stays with the reservation', () => {
    ledger(plan(allowance(50n)), [
      ['2026-01-31T23:50:00Z', open(), 'GRANT 50: issued>g1 50', '50'],
      ['2026-01-31T23:50:00Z', reserve(30n), 'RESERVE 30: g1>(g1) 30', '50 (30)'],
      ['2026-02-01', null, 'GRANT_EXPIRED 20: g1>expired 20 | GRANT 50: issued>g2 50', '80 (30)'],
      [
        '2026-02-01T00:01:00Z',
        commit('r1', 10n),
        'COMMIT 10: (g1)>consumed 10, (g1)>expired 20',
        '50',
      ],
    ]);
  });

  test('does not come to a closed account', () => {
    ledger(plan(allowance(50n)), [
      ['0s', open(), 'GRANT 50: issued>g1 50', '50'],
      ['1s', close(), 'nothing', '50'],
      ['2026-04-15', null, 'GRANT_EXPIRED 50: g1>expired 50', '0'],
      ['2027-01-01', null, 'nothing', '0'],
    ]);
  });

  test('comes exactly once for every month, whenever anybody looks', () => {
    const looks = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 25 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), looks, (openedDay, days) => {
        const opened = at(`${openedDay}d`);
        const shelf = new Shelf(plan(allowance(50n)), opened);
        shelf.work(opened, open());
        const moments = days.map((day) => opened + day * ms('1d')).toSorted((a, b) => a - b);
        for (const moment of moments) shelf.work(moment, null);
        const months: string[] = [];
        for (let m = monthStart(opened); m <= (moments.at(-1) ?? opened); m = monthStart(m, 1))
          months.push(monthName(m));
        expect(monthsOf(shelf)).toEqual(months);
        expect(shelf.account.remaining).toBe(50n);
        audit(shelf);
      }),
    );
  });
});

describe('when a plan changes', () => {
  test('a new allowance comes from the next month on', () => {
    const shelf = ledger(plan(), [['0s', grantCredits(5n), 'GRANT 5: issued>g1 5', '5']]);
    shelf.plan = plan(allowance(50n));
    play(shelf, [
      ['1d', charge(1n), 'CHARGE 1: g1>consumed 1', '4'],
      ['2026-02-01', null, 'GRANT 50: issued>g2 50', '54'],
    ]);
  });

  test('a new allowance comes to an account whose every call fails for lack of credits', () => {
    const shelf = ledger(plan(), []);
    shelf.plan = plan(allowance(50n));
    play(shelf, [
      ['1d', charge(1n), 'INSUFFICIENT_CREDITS', '0'],
      ['2026-02-01', charge(1n), 'GRANT 50: issued>g1 50 | CHARGE 1: g1>consumed 1', '49'],
    ]);
  });

  test('a new allowance comes though nobody looked when something else was due before', () => {
    const shelf = ledger(plan(), [
      ['0s', grantCredits(5n, { expiresAt: at('2d') }), 'GRANT 5: issued>g1 5', '5'],
    ]);
    shelf.plan = plan(allowance(50n));
    play(shelf, [
      ['1d', charge(6n), 'INSUFFICIENT_CREDITS', '5'],
      ['2026-02-01', null, 'GRANT_EXPIRED 5: g1>expired 5 | GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('an allowance that was dropped comes no more', () => {
    const shelf = ledger(plan(allowance(50n)), [['0s', open(), 'GRANT 50: issued>g1 50', '50']]);
    shelf.plan = plan();
    play(shelf, [['2026-03-01', null, 'GRANT_EXPIRED 50: g1>expired 50', '0']]);
  });

  test('an allowance that was dropped and taken up again comes from the next month on', () => {
    const shelf = ledger(plan(allowance(50n)), [['0s', open(), 'GRANT 50: issued>g1 50', '50']]);
    shelf.plan = plan();
    play(shelf, [['2026-03-01', null, 'GRANT_EXPIRED 50: g1>expired 50', '0']]);
    shelf.plan = plan(allowance(60n));
    play(shelf, [
      ['2026-03-15', grantCredits(1n), 'GRANT 1: issued>g2 1', '1'],
      ['2026-04-01', null, 'GRANT 60: issued>g3 60', '61'],
    ]);
  });

  test('a new amount counts from the next month on', () => {
    const shelf = ledger(plan(allowance(50n)), [['0s', open(), 'GRANT 50: issued>g1 50', '50']]);
    shelf.plan = plan(allowance(60n));
    play(shelf, [
      ['1d', null, 'nothing', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 60: issued>g2 60', '60'],
    ]);
  });

  test('a higher overage limit holds from the next call on', () => {
    const shelf = ledger(plan(postpaid(10n)), [
      ['0s', charge(10n), 'CHARGE 10: overage>consumed 10', '0 overage 10'],
    ]);
    shelf.plan = plan(postpaid(30n));
    play(shelf, [
      [
        '1s',
        charge(21n),
        'OVERAGE_LIMIT_REACHED: required 21, available 20, shortfall 1, limit 30',
        '0 overage 10',
      ],
      ['2s', charge(20n), 'CHARGE 20: overage>consumed 20', '0 overage 30'],
    ]);
  });

  test('a lower overage limit leaves what was used, and allows no more', () => {
    const shelf = ledger(plan(postpaid(50n)), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
      ['0s', reserve(10n), 'RESERVE 10: overage>(overage) 10', '0 (10) overage 30'],
    ]);
    shelf.plan = plan(postpaid(20n));
    expect(shelf.work(at('1s'), charge(1n)).outcome).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
    });
    shelf.work(at('2s'), commit('r1'));
    expect(shelf.account).toMatchObject({ overage: 40n, overageLimit: 40n });
  });
});

describe('overage', () => {
  test('is counted per calendar month', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', charge(50n), 'CHARGE 50: overage>consumed 50', '0 overage 50'],
      ['2026-01-31T23:59:59.999Z', charge(1n), 'OVERAGE_LIMIT_REACHED', '0 overage 50'],
      ['2026-02-01', charge(50n), 'CHARGE 50: overage>consumed 50', '0 overage 50'],
      ['2026-02-28', charge(1n), 'OVERAGE_LIMIT_REACHED', '0 overage 50'],
    ]);
  });

  test('is 0 in a balance of a new month, before anything is charged in it', () => {
    ledger(plan(postpaid(50n)), [
      ['0s', charge(50n), 'CHARGE 50: overage>consumed 50', '0 overage 50'],
      ['2026-02-01', null, 'nothing', '0'],
    ]);
  });

  test('that is reserved counts in the month of its commit', () => {
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
