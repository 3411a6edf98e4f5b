import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatMonth, monthStart } from '../../src/ledger/month.ts';
import { AccountStore } from './account-store.ts';
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
  reserve,
} from './fixtures.ts';
import { audit, ledger } from './table.ts';

const monthsOf = (store: AccountStore) =>
  [...store.grants.values()]
    .filter(({ source }) => source === 'ALLOWANCE')
    .map(({ sourceReference }) => sourceReference);

describe('an allowance', () => {
  test('is granted at the first moment of every month (UTC) and does not roll over', () => {
    ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
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

  test('is spent before bought credits', () => {
    ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['0s', grantCredits(100n), 'GRANT 100: issued>g2 100', '150'],
      ['1s', charge(51n), 'CHARGE 51: g1>consumed 50, g2>consumed 1', '99'],
    ]);
  });

  test('is granted in full, however late in the month the account was opened', () => {
    ledger(plan(allowance(50n)), [
      ['2026-01-31T23:59:59.999Z', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('is granted once to an account opened in the first moment of a month', () => {
    ledger(plan(allowance(50n)), [
      ['2026-03-01', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['2026-03-01', null, 'nothing', '50'],
    ]);
  });

  test('of months without a call is granted and expires, month by month', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
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
    expect(monthsOf(store)).toEqual(['2026-01', '2026-02', '2026-03', '2026-04']);
    expect(store.grants.get(4n)).toMatchObject({
      effectiveAt: at('2026-04-01'),
      expiresAt: at('2026-05-01'),
    });
  });

  test('that is reserved at the end of its month stays usable by the reservation', () => {
    ledger(plan(allowance(50n)), [
      ['2026-01-31T23:50:00Z', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
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

  test('is not granted to a closed account', () => {
    ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
      ['1s', close(), 'CLOSE_ACCOUNT', '50'],
      ['2026-04-15', null, 'GRANT_EXPIRED 50: g1>expired 50', '0'],
      ['2027-01-01', null, 'nothing', '0'],
    ]);
  });

  test('is granted exactly once per month, whenever the account is settled', () => {
    const settledDays = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 25 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), settledDays, (openedDay, days) => {
        const opened = at(`${openedDay}d`);
        const store = new AccountStore(plan(allowance(50n)), opened);
        store.run(opened, open());
        const moments = days.map((day) => opened + day * ms('1d')).toSorted((a, b) => a - b);
        for (const moment of moments) store.run(moment, null);
        const months: string[] = [];
        for (let m = monthStart(opened); m <= (moments.at(-1) ?? opened); m = monthStart(m, 1))
          months.push(formatMonth(m));
        expect(monthsOf(store)).toEqual(months);
        expect(store.account.remaining).toBe(50n);
        audit(store);
      }),
    );
  });
});
