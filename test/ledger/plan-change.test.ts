import { describe, expect, test } from 'vitest';
import { balanceOf } from '../../src/ledger/balance.ts';
import {
  allowance,
  at,
  charge,
  commit,
  grantCredits,
  open,
  plan,
  postpaid,
  release,
  reserve,
} from './fixtures.ts';
import { audit, continueLedger, ledger } from './table.ts';

describe('when a plan changes', () => {
  test('a new allowance is granted from the next month on', () => {
    const store = ledger(plan(), [['0s', grantCredits(5n), 'GRANT 5: issued>g1 5', '5']]);
    store.plan = plan(allowance(50n));
    continueLedger(store, [
      ['1d', charge(1n), 'CHARGE 1: g1>consumed 1', '4'],
      ['2026-02-01', null, 'GRANT 50: issued>g2 50', '54'],
    ]);
  });

  test('a new allowance is granted to an account whose calls all fail for lack of credits', () => {
    const store = ledger(plan(), []);
    store.plan = plan(allowance(50n));
    continueLedger(store, [
      ['1d', charge(1n), 'INSUFFICIENT_CREDITS', '0'],
      ['2026-02-01', charge(1n), 'GRANT 50: issued>g1 50 | CHARGE 1: g1>consumed 1', '49'],
    ]);
  });

  test('a new allowance is granted although something else was due before and not settled', () => {
    const store = ledger(plan(), [
      ['0s', grantCredits(5n, { expiresAt: at('2d') }), 'GRANT 5: issued>g1 5', '5'],
    ]);
    store.plan = plan(allowance(50n));
    continueLedger(store, [
      ['1d', charge(6n), 'INSUFFICIENT_CREDITS', '5'],
      ['2026-02-01', null, 'GRANT_EXPIRED 5: g1>expired 5 | GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('a removed allowance is granted no more', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan();
    continueLedger(store, [['2026-03-01', null, 'GRANT_EXPIRED 50: g1>expired 50', '0']]);
  });

  test('an allowance that was removed and added again is granted from the next month on', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan();
    continueLedger(store, [['2026-03-01', null, 'GRANT_EXPIRED 50: g1>expired 50', '0']]);
    store.plan = plan(allowance(60n));
    continueLedger(store, [
      ['2026-03-15', grantCredits(1n), 'GRANT 1: issued>g2 1', '1'],
      ['2026-04-01', null, 'GRANT 60: issued>g3 60', '61'],
    ]);
  });

  test('a month’s allowance is granted once, although the plan had none and another period since', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan();
    continueLedger(store, [['1d', null, 'nothing', '50']]);
    store.plan = plan(allowance(20n, { every: { days: 10 } }));
    continueLedger(store, [['2d', null, 'nothing', '50']]);
    store.plan = plan(allowance(50n));
    continueLedger(store, [
      ['12d', null, 'nothing', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('no period is granted while the allowance of another lasts, also after a plan without one', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan();
    continueLedger(store, [['1d', null, 'nothing', '50']]);
    store.plan = plan(allowance(20n, { every: { days: 10 } }));
    continueLedger(store, [
      ['2d', null, 'nothing', '50'],
      ['2026-01-31', null, 'nothing', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 20: issued>g2 20', '20'],
    ]);
  });

  test('an allowance that ended before the plan had one again is not made up for', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan();
    continueLedger(store, [
      ['1d', null, 'nothing', '50'],
      ['2026-03-02', null, 'GRANT_EXPIRED 50: g1>expired 50', '0'],
    ]);
    store.plan = plan(allowance(50n));
    continueLedger(store, [
      ['2026-03-03', null, 'nothing', '0'],
      ['2026-04-01', null, 'GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('a new amount is granted from the next month on', () => {
    const store = ledger(plan(allowance(50n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    store.plan = plan(allowance(60n));
    continueLedger(store, [
      ['1d', null, 'nothing', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 60: issued>g2 60', '60'],
    ]);
  });

  test('a higher overage limit applies from the next call on', () => {
    const store = ledger(plan(postpaid(10n)), [
      ['0s', charge(10n), 'CHARGE 10: overage>consumed 10', '0 overage 10'],
    ]);
    store.plan = plan(postpaid(30n));
    continueLedger(store, [
      [
        '1s',
        charge(21n),
        'OVERAGE_LIMIT_REACHED: required 21, available 20, shortfall 1, limit 30',
        '0 overage 10',
      ],
      ['2s', charge(20n), 'CHARGE 20: overage>consumed 20', '0 overage 30'],
    ]);
  });

  test('a plan that becomes prepaid allows no more overage, not even what is given back', () => {
    const store = ledger(plan(postpaid(50n)), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
      ['0s', reserve(10n), 'RESERVE 10: overage>(overage) 10', '0 (10) overage 30'],
    ]);
    store.plan = plan();
    const { outcomes } = store.runGroup(at('1s'), [release('r1'), charge(1n)]);
    expect(outcomes).toMatchObject([
      { kind: 'Release', released: 10n },
      { reason: 'INSUFFICIENT_CREDITS', metadata: { available: '0', shortfall: '1' } },
    ]);
    audit(store, 50n);
  });

  test('a balance has the plan’s present limit', () => {
    const store = ledger(plan(postpaid(50n)), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
    ]);
    store.plan = plan(postpaid(20n));
    const { account, grants, plan: now } = store.run(at('1s'), null).book;
    expect(balanceOf(account, grants, now, at('1s'))).toMatchObject({
      overage: 30n,
      overageLimit: 20n,
    });
  });

  test('a lower overage limit keeps what was used, and allows no more', () => {
    const store = ledger(plan(postpaid(50n)), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
      ['0s', reserve(10n), 'RESERVE 10: overage>(overage) 10', '0 (10) overage 30'],
    ]);
    store.plan = plan(postpaid(20n));
    expect(store.run(at('1s'), charge(1n)).outcome).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
    });
    store.run(at('2s'), commit('r1'));
    expect(store.account).toMatchObject({ overage: 40n, overageLimit: 40n });
  });
});
