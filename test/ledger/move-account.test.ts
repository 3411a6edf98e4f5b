import { describe, expect, test } from 'vitest';
import type { Plan, Terms } from '../../src/pricing/plan.ts';
import {
  allowance,
  at,
  charge,
  close,
  commit,
  grantCredits,
  move,
  open,
  pages,
  plan,
  postpaid,
  rateCard,
  refund,
  release,
  reserve,
} from './fixtures.ts';
import { audit, continueLedger, ledger, type Row } from './table.ts';

/** A plan with three credits a page; the account is opened under a plan with one. */
const gold = (terms: Partial<Terms> = {}): Plan => ({
  ...plan(terms),
  planId: 'gold',
  rateCard: rateCard(1, 3n),
});

/** An account under `plan`, which can move to `gold`. */
function under(from: Plan, to: Plan, rows: readonly Row[]) {
  const store = ledger(from, rows);
  store.otherPlans.set(to.planId, to);
  return store;
}

const CREDITS: Row = ['0s', grantCredits(100n), 'GRANT 100: issued>g1 100', '100'];

describe('an account that moves to another plan', () => {
  test('keeps its balance and has the new prices', () => {
    const store = under(plan(), gold(), [
      CREDITS,
      ['1s', charge(pages(2n)), 'CHARGE 2: g1>consumed 2', '98'],
    ]);
    continueLedger(store, [
      ['2s', move('gold', 'contract 7'), 'PLAN_CHANGE', '98'],
      ['3s', charge(pages(2n)), 'CHARGE 6: g1>consumed 6', '92'],
    ]);
    expect(store.account.planId).toBe('gold');
    expect(store.entries.slice(-3)).toMatchObject([
      { planId: 'test', previousPlanId: null, rateCardVersion: 1 },
      {
        planId: 'gold',
        previousPlanId: 'test',
        rateCardVersion: null,
        reference: 'contract 7',
        moves: [],
      },
      { planId: 'gold', previousPlanId: null, rateCardVersion: 1 },
    ]);
  });

  test('commits earlier reservations at their old prices', () => {
    const store = under(plan(), gold(), [
      CREDITS,
      ['1s', reserve(pages(10n)), 'RESERVE 10: g1>(g1) 10', '100 (10)'],
    ]);
    continueLedger(store, [
      ['2s', move('gold'), 'PLAN_CHANGE', '100 (10)'],
      ['3s', reserve(pages(2n)), 'RESERVE 6: g1>(g1) 6', '100 (16)'],
      ['4s', commit('r1', pages(7n)), 'COMMIT 7: (g1)>consumed 7, (g1)>g1 3', '93 (6)'],
      ['5s', commit('r2', pages(1n)), 'COMMIT 3: (g1)>consumed 3, (g1)>g1 3', '90'],
      ['6s', refund(6n, 2n), 'REFUND 2: consumed>g1 2', '92'],
    ]);
    expect(store.entries.map(({ kind, planId }) => [kind, planId])).toEqual([
      ['OPEN_ACCOUNT', 'test'],
      ['GRANT', 'test'],
      ['RESERVE', 'test'],
      ['PLAN_CHANGE', 'gold'],
      ['RESERVE', 'gold'],
      ['COMMIT', 'test'],
      ['COMMIT', 'gold'],
      ['REFUND', 'test'],
    ]);
  });

  test('gets no welcome credits, and the new allowance from the next month on', () => {
    const welcome = { welcome: { credits: 20n, validity: null } };
    const store = under(
      plan({ ...welcome, ...allowance(50n) }),
      gold({ ...welcome, ...allowance(80n) }),
      [['0s', open(), 'OPEN_ACCOUNT | GRANT 20: issued>g1 20 | GRANT 50: issued>g2 50', '70']],
    );
    continueLedger(store, [
      ['1d', move('gold'), 'PLAN_CHANGE', '70'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 80: issued>g3 80', '100'],
    ]);
  });

  test('keeps its allowance to the end of the month if the new plan has none', () => {
    const store = under(plan(allowance(50n)), gold(), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    continueLedger(store, [
      ['1d', move('gold'), 'PLAN_CHANGE', '50'],
      ['2d', charge(5n), 'CHARGE 5: g1>consumed 5', '45'],
      ['2026-03-01', null, 'GRANT_EXPIRED 45: g1>expired 45', '0'],
    ]);
  });

  test('and back within a month gets no second allowance', () => {
    const store = under(plan(allowance(50n)), gold(), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    continueLedger(store, [
      ['1d', move('gold'), 'PLAN_CHANGE', '50'],
      ['2d', move('test'), 'PLAN_CHANGE', '50'],
      ['3d', null, 'nothing', '50'],
      ['2026-02-01', null, 'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50', '50'],
    ]);
  });

  test('gets the allowance of a month that began before the move from the old plan', () => {
    const store = under(plan(allowance(50n)), gold(allowance(80n)), [
      ['0s', open(), 'OPEN_ACCOUNT | GRANT 50: issued>g1 50', '50'],
    ]);
    continueLedger(store, [
      [
        '2026-02-03',
        move('gold'),
        'GRANT_EXPIRED 50: g1>expired 50 | GRANT 50: issued>g2 50 | PLAN_CHANGE',
        '50',
      ],
      ['2026-03-01', null, 'GRANT_EXPIRED 50: g2>expired 50 | GRANT 80: issued>g3 80', '80'],
    ]);
  });

  test('counts the overage of the month against the new limit', () => {
    const store = under(plan(postpaid(50n)), gold(postpaid(40n)), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
      ['1s', reserve(5n), 'RESERVE 5: overage>(overage) 5', '0 (5) overage 30'],
    ]);
    continueLedger(store, [
      ['2s', move('gold'), 'PLAN_CHANGE', '0 (5) overage 30'],
      [
        '3s',
        charge(6n),
        'OVERAGE_LIMIT_REACHED: required 6, available 5, shortfall 1, limit 40',
        '0 (5) overage 30',
      ],
      ['4s', charge(5n), 'CHARGE 5: overage>consumed 5', '0 (5) overage 35'],
      [
        '2026-02-01',
        charge(40n),
        'EXPIRE 5: (overage)>overage 5 | CHARGE 40: overage>consumed 40',
        '0 overage 40',
      ],
    ]);
    audit(store, 50n);
  });

  test('that has used more than the new limit keeps its usage, and may use no more', () => {
    const store = under(plan(postpaid(50n)), gold(postpaid(10n)), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
    ]);
    const { outcome } = store.run(at('1s'), move('gold'));
    expect(outcome).toMatchObject({ kind: 'MoveAccount', entrySeq: 3n });
    expect(store.run(at('2s'), charge(1n)).outcome).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { available: '0', limit: '10' },
    });
    expect(store.account).toMatchObject({ overage: 30n, overageLimit: 30n });
    audit(store, 50n);
  });

  test('to a prepaid plan must have no reserved overage, but may have used overage', () => {
    const store = under(plan(postpaid(50n)), gold(), [
      ['0s', charge(30n), 'CHARGE 30: overage>consumed 30', '0 overage 30'],
      ['1s', reserve(5n), 'RESERVE 5: overage>(overage) 5', '0 (5) overage 30'],
      ['2s', move('gold'), 'PLAN_NOT_FOUND: plan_id gold', '0 (5) overage 30'],
    ]);
    continueLedger(store, [
      [
        '3s',
        move('gold'),
        'OVERAGE_RESERVED: account_id acme, plan_id gold, reserved 5',
        '0 (5) overage 30',
      ],
      ['4s', release('r1'), 'RELEASE 5: (overage)>overage 5', '0 overage 30'],
    ]);
    store.run(at('5s'), move('gold'));
    expect(store.account).toMatchObject({ planId: 'gold', overage: 30n, overageLimit: 30n });
    expect(store.run(at('6s'), charge(1n)).outcome).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
    });
    audit(store, 50n);
  });

  test('has a low balance if a level of the new plan is above its usable credits', () => {
    const store = under(plan(), gold({ lowBalanceLevels: [{ credits: 500n }] }), [CREDITS]);
    const { book } = store.run(at('1s'), move('gold'));
    expect(book.changes.events).toMatchObject([
      { type: 'balance.low', data: { level: '500', usable: '100', threshold: '500' } },
    ]);
  });

  test.each([
    ['its own plan changes nothing', move('test'), 'nothing'],
    ['an unknown plan fails', move('silver'), 'PLAN_NOT_FOUND: plan_id silver'],
  ])('to %s', (_, command, written) => {
    const store = under(plan(), gold(), [CREDITS]);
    continueLedger(store, [['1s', command, written, '100']]);
    expect(store.account.planId).toBe('test');
  });

  test('fails if it is closed', () => {
    const store = under(plan(), gold(), [CREDITS]);
    store.run(at('1s'), close());
    continueLedger(store, [['2s', move('gold'), 'ACCOUNT_CLOSED', '100']]);
  });
});

describe('a rate card version', () => {
  test('that a caller names is a version of the account’s present plan', () => {
    const store = under(plan(), gold(), [CREDITS]);
    store.publish(rateCard(2, 5n));
    continueLedger(store, [
      ['1s', charge(pages(1n)), 'CHARGE 5: g1>consumed 5', '95'],
      ['2s', charge(pages(1n), 1), 'CHARGE 1: g1>consumed 1', '94'],
      ['3s', move('gold'), 'PLAN_CHANGE', '94'],
      ['4s', charge(pages(1n), 1), 'CHARGE 3: g1>consumed 3', '91'],
      ['5s', charge(pages(1n), 2), 'RATE_CARD_VERSION_UNKNOWN: plan_id gold, version 2', '91'],
    ]);
  });
});
