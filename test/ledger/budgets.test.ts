import { describe, expect, test } from 'vitest';
import { ann, bob, none, run, usedOf } from './budgeting.ts';
import {
  charge,
  commit,
  grantCredits,
  ms,
  plan,
  postpaid,
  raise,
  refund,
  release,
  reserve,
  setBudget,
  usagesOf,
} from './fixtures.ts';

describe('a hard budget', () => {
  test('caps each value by itself, also work without the label', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(60n, null, ann), 'CHARGE'],
      ['3s', charge(41n, null, ann), '60 of 100, and 41'],
      ['4s', charge(100n, null, bob), 'CHARGE'],
      ['5s', charge(90n, null, none), 'CHARGE'],
      ['6s', charge(11n, null, none), '90 of 100, and 11'],
      ['7s', reserve(40n, ann), 'RESERVE'],
      ['8s', charge(1n, null, ann), '100 of 100, and 1'],
      ['9s', charge(0n, null, ann), 'CHARGE'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 100', 'bob 01-10: 100', '(none) 01-10: 90']);
  });

  test('says which, how much, and when it begins again', () => {
    const store = run([
      ['1s', setBudget({ period: 'WEEK' }), 'SET_BUDGET'],
      ['2s', charge(60n, null, ann), 'CHARGE'],
    ]);
    const { outcome } = store.run(store.account.lastAt, reserve(41n, ann));
    expect(outcome).toMatchObject({
      reason: 'BUDGET_EXCEEDED',
      message:
        'budget per-user caps user ann at 100 credits: 60 are used, and 41 more were requested; it resets at 2026-01-12T00:00:00.000Z',
      metadata: {
        budget_id: 'per-user',
        label: 'user',
        value: 'ann',
        cap: '100',
        used: '60',
        requested: '41',
        resets_at: '2026-01-12T00:00:00.000Z',
      },
    });
  });

  test('has exceptions: another cap, or none', () => {
    const exceptions = new Map([
      ['ann', 150n],
      ['bob', null],
    ]);
    const store = run([
      ['1s', setBudget({ exceptions }), 'SET_BUDGET'],
      ['2s', charge(150n, null, ann), 'CHARGE'],
      ['3s', charge(1n, null, ann), '150 of 150, and 1'],
      ['4s', charge(400n, null, bob), 'CHARGE'],
      ['5s', charge(101n, null, none), '0 of 100, and 101'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 150', 'bob 01-10: 400']);
  });

  test('can cap one value and leave the others', () => {
    run([
      ['1s', setBudget({ value: 'ann', cap: 10n }), 'SET_BUDGET'],
      ['2s', charge(11n, null, ann), '0 of 10, and 11'],
      ['3s', charge(11n, null, bob), 'CHARGE'],
      ['4s', setBudget({ value: '', cap: 5n }), 'SET_BUDGET'],
      ['5s', charge(6n, null, none), '0 of 5, and 6'],
      ['6s', charge(500n, null, ann), 'CHARGE'],
    ]);
  });

  test('works beside others: the first that refuses is named', () => {
    const store = run([
      ['1s', setBudget({ budgetId: 'b', cap: 10n, period: 'MONTH' }), 'SET_BUDGET'],
      ['2s', setBudget({ budgetId: 'a', cap: 20n }), 'SET_BUDGET'],
      ['3s', charge(15n, null, ann), '0 of 10, and 15'],
      ['4s', charge(25n, null, ann), '0 of 20, and 25'],
      ['5s', charge(9n, null, ann), 'CHARGE'],
      ['1d', charge(2n, null, ann), '9 of 10, and 2'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 9', 'ann 01-01: 9']);
  });

  test('is not about labels that objects have by nature', () => {
    run([
      ['1s', setBudget({ label: 'constructor', cap: 5n }), 'SET_BUDGET'],
      ['2s', charge(5n, null, none), 'CHARGE'],
      ['3s', charge(1n, null, ann), '5 of 5, and 1'],
    ]);
  });

  test('looks at the budget before the balance: no top-up follows from it', () => {
    run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(2_000n, null, ann), '0 of 100, and 2000'],
    ]);
  });
});

describe('a reservation counts', () => {
  test('with what it holds, then with what it has committed', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', reserve(80n, ann), 'RESERVE'],
      ['3s', commit('r1', 10n, { final: false }), 'COMMIT'],
      ['4s', raise('r1', 21n), '80 of 100, and 21'],
      ['5s', raise('r1', 20n), 'RAISE'],
      ['6s', charge(1n, null, ann), '100 of 100, and 1'],
      ['7s', commit('r1', 25n), 'COMMIT'],
      ['8s', charge(65n, null, ann), 'CHARGE'],
      ['9s', charge(1n, null, ann), '100 of 100, and 1'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 100']);
  });

  test('until it is released or expires', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', reserve(50n, ann), 'RESERVE'],
      ['3s', reserve(50n, { ...ann, ttlMs: ms('1m') }), 'RESERVE'],
      ['4s', release('r1'), 'RELEASE'],
      ['5s', charge(50n, null, ann), 'CHARGE'],
      ['2m', charge(50n, null, ann), 'EXPIRE CHARGE'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 100']);
  });

  test('what it draws beyond what it reserved', () => {
    const draw = { ...ann, overCommitPolicy: 'DRAW' as const };
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', reserve(50n, draw), 'RESERVE'],
      ['3s', reserve(20n, draw), 'RESERVE'],
      ['4s', commit('r1', 81n), '70 of 100, and 31'],
      ['5s', commit('r1', 80n), 'COMMIT'],
      ['6s', commit('r2', 20n), 'COMMIT'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 100']);
  });

  test('at most once if it is committed late, and not if others have used the budget', () => {
    const brief = { ...ann, ttlMs: ms('1m') };
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', reserve(60n, brief), 'RESERVE'],
      ['3s', reserve(40n, brief), 'RESERVE'],
      ['2m', charge(50n, null, ann), 'EXPIRE EXPIRE CHARGE'],
      ['3m', commit('r1'), '50 of 100, and 60'],
      ['4m', commit('r2', 40n), 'COMMIT'],
      ['4m', commit('r1', 10n), 'COMMIT'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 100']);
  });

  test('in the period in which it was reserved, whenever it ends', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['23h', reserve(90n, { ...ann, ttlMs: ms('24h') }), 'RESERVE'],
      ['25h', charge(100n, null, ann), 'CHARGE'],
      ['26h', raise('r1', 11n), '90 of 100, and 11'],
      ['27h', raise('r1', 10n), 'RAISE'],
      ['28h', commit('r1', 30n), 'COMMIT'],
      ['29h', charge(1n, null, ann), '100 of 100, and 1'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 30', 'ann 01-11: 100']);
  });

  test('overage like other credits', () => {
    const store = run(
      [
        ['1s', setBudget({ period: 'TOTAL', cap: 1_100n }), 'SET_BUDGET'],
        ['2s', reserve(1_050n, ann), 'RESERVE'],
        ['3s', grantCredits(30n), 'GRANT'],
        ['4s', commit('r1', 1_040n), 'COMMIT'],
        ['5s', charge(61n, null, ann), '1040 of 1100, and 61'],
        ['6s', charge(60n, null, ann), 'CHARGE'],
      ],
      plan(postpaid(500n)),
    );
    expect(usedOf(store)).toEqual(['ann 01-01: 1100']);
  });
});

describe('a refund', () => {
  test('gives back within the period of its job', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(100n, null, ann), 'CHARGE'],
      ['3s', refund(4n, 30n), 'REFUND'],
      ['4s', charge(31n, null, ann), '70 of 100, and 31'],
      ['25h', refund(4n, 30n), 'REFUND'],
      ['25h', charge(100n, null, ann), 'CHARGE'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 70', 'ann 01-11: 100']);
  });

  test('of a commit: the period of its reservation', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['23h', reserve(50n, { ...ann, ttlMs: ms('24h') }), 'RESERVE'],
      ['25h', commit('r1', 20n), 'COMMIT'],
      ['26h', refund(5n, 5n), 'REFUND'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 20']);
  });

  test('counts for the value of the charge, whatever its own labels are', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(50n, null, ann), 'CHARGE'],
      ['3s', refund(4n, 20n, bob), 'REFUND'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 30']);
  });
});

describe('a budget of operations', () => {
  const perOperation = setBudget({ budgetId: 'ops', label: null, cap: 50n });

  test('caps each operation, and credits without one', () => {
    const store = run([
      ['1s', perOperation, 'SET_BUDGET'],
      ['2s', charge(usagesOf({ a: 30n, b: 50n })), 'CHARGE'],
      ['3s', charge(usagesOf({ a: 21n })), '30 of 50, and 21'],
      ['4s', charge(usagesOf({ a: 20n })), 'CHARGE'],
      ['5s', charge(51n), '0 of 50, and 51'],
      ['6s', charge(50n), 'CHARGE'],
    ]);
    expect(usedOf(store)).toEqual(['a 01-10: 50', 'b 01-10: 50', '(none) 01-10: 50']);
  });

  test('names no label when it refuses', () => {
    const store = run([['1s', perOperation, 'SET_BUDGET']]);
    const { outcome } = store.run(store.account.lastAt, charge(usagesOf({ a: 51n })));
    expect(outcome).toMatchObject({ metadata: { budget_id: 'ops', value: 'a' } });
    expect(outcome).not.toHaveProperty('metadata.label');
  });

  test('moves a commit of usages from what was reserved to what was done', () => {
    const store = run([
      ['1s', perOperation, 'SET_BUDGET'],
      ['2s', reserve(usagesOf({ a: 40n, b: 20n })), 'RESERVE'],
      ['3s', commit('r1', usagesOf({ b: 51n }), { final: false }), '20 of 50, and 31'],
      ['4s', commit('r1', usagesOf({ a: 10n, b: 25n }), { final: false }), 'COMMIT'],
      ['5s', commit('r1', usagesOf({ a: 5n })), 'COMMIT'],
    ]);
    expect(usedOf(store)).toEqual(['a 01-10: 15', 'b 01-10: 25']);
  });

  test('counts a commit of credits for each operation of the reservation, at most what was reserved', () => {
    const store = run([
      ['1s', perOperation, 'SET_BUDGET'],
      ['2s', reserve(usagesOf({ a: 40n, b: 10n }), { overCommitPolicy: 'DRAW' }), 'RESERVE'],
      ['3s', commit('r1', 25n, { final: false }), 'COMMIT'],
      ['4s', commit('r1', 30n), 'COMMIT'],
    ]);
    expect(usedOf(store)).toEqual(['a 01-10: 40', 'b 01-10: 10', '(none) 01-10: 5']);
  });

  test('counts a commit that was capped as it was reserved', () => {
    const store = run([
      ['1s', perOperation, 'SET_BUDGET'],
      ['2s', reserve(usagesOf({ a: 40n, b: 10n }), { overCommitPolicy: 'CAP' }), 'RESERVE'],
      ['3s', commit('r1', usagesOf({ a: 30n, b: 60n })), 'COMMIT'],
    ]);
    expect(usedOf(store)).toEqual(['a 01-10: 40', 'b 01-10: 10']);
  });

  test('refunds give back to each operation what cannot be of another', () => {
    const store = run([
      ['1s', perOperation, 'SET_BUDGET'],
      ['2s', charge(usagesOf({ a: 30n, b: 10n })), 'CHARGE'],
      ['3s', refund(4n, 15n), 'REFUND'],
    ]);
    expect(usedOf(store)).toEqual(['a 01-10: 25', 'b 01-10: 10']);
    store.run(store.account.lastAt, refund(4n));
    expect(usedOf(store)).toEqual(['a 01-10: 0', 'b 01-10: 0']);
  });

  test('expires with all that the reservation held', () => {
    const store = run([
      ['1s', perOperation, 'SET_BUDGET'],
      ['2s', reserve(usagesOf({ a: 40n, b: 10n }), { ttlMs: ms('1m') }), 'RESERVE'],
      ['2m', commit('r1', usagesOf({ a: 5n }), { final: false }), 'EXPIRE COMMIT'],
      ['3m', commit('r1', 10n), 'COMMIT'],
    ]);
    expect(usedOf(store)).toEqual(['a 01-10: 15', 'b 01-10: 10']);
  });
});

describe('a soft budget', () => {
  const soft = (cap: bigint) => setBudget({ enforcement: 'SOFT', cap });

  test('refuses nothing, and says once in a period that it was exceeded', () => {
    const store = run([
      ['1s', soft(50n), 'SET_BUDGET'],
      ['2s', charge(50n, null, ann), 'CHARGE'],
      ['3s', reserve(10n, ann), 'RESERVE'],
      ['4s', release('r1'), 'RELEASE'],
      ['5s', charge(20n, null, ann), 'CHARGE'],
      ['25h', charge(60n, null, ann), 'CHARGE'],
    ]);
    expect(store.events.map(({ type, data }) => [type, data])).toEqual([
      [
        'budget.exceeded',
        {
          budget_id: 'per-user',
          label: 'user',
          value: 'ann',
          cap: '50',
          used: '60',
          resets_at: '2026-01-11T00:00:00.000Z',
        },
      ],
      ['budget.exceeded', expect.objectContaining({ used: '60' })],
    ]);
  });

  test('says it again for a cap that was raised, and exceeded as well', () => {
    const store = run([
      ['1s', soft(50n), 'SET_BUDGET'],
      ['2s', charge(60n, null, ann), 'CHARGE'],
      ['3s', soft(40n), 'SET_BUDGET'],
      ['4s', charge(1n, null, ann), 'CHARGE'],
      ['5s', soft(70n), 'SET_BUDGET'],
      ['6s', charge(9n, null, ann), 'CHARGE'],
      ['7s', charge(1n, null, ann), 'CHARGE'],
    ]);
    expect(store.events.map(({ data }) => data['cap'])).toEqual(['50', '70']);
  });
});

test('nothing counts beyond what a counter can hold', () => {
  const max = 9_223_372_036_854_775_807n;
  const soft = setBudget({ period: 'TOTAL', enforcement: 'SOFT', cap: max });
  const store = run([['1s', soft, 'SET_BUDGET']]);
  for (const counter of store.account.budgets ?? [])
    store.budgetCounters.set(`${counter.since} 0 ann`, {
      accountId: 'acme',
      since: counter.since,
      periodFrom: 0,
      value: 'ann',
      used: max - 5n,
      reportedCap: null,
    });
  expect(store.run(store.account.lastAt, charge(6n, null, ann)).outcome).toMatchObject({
    reason: 'BUDGET_EXCEEDED',
    metadata: { cap: `${max}` },
  });
  expect(store.run(store.account.lastAt, charge(5n, null, ann)).outcome).toMatchObject({
    kind: 'Charge',
  });
});
