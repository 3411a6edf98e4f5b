import { describe, expect, test } from 'vitest';
import { ann, check, run, type Step, usedOf } from './budgeting.ts';
import {
  charge,
  close,
  commit,
  eraseData,
  raise,
  refund,
  removeBudget,
  reserve,
  setBudget,
} from './fixtures.ts';

describe('SetBudget', () => {
  test('counts jobs that begin after it', () => {
    const store = run([
      ['1s', reserve(80n, ann), 'RESERVE'],
      ['2s', charge(80n, null, ann), 'CHARGE'],
      ['3s', setBudget(), 'SET_BUDGET'],
      ['4s', raise('r1', 80n), 'RAISE'],
      ['5s', commit('r1', 60n), 'COMMIT'],
      ['6s', refund(4n), 'REFUND'],
      ['7s', charge(100n, null, ann), 'CHARGE'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 100']);
  });

  test('goes on counting with another cap, enforcement or exception', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(60n, null, ann), 'CHARGE'],
      ['3s', setBudget({ cap: 50n }), 'SET_BUDGET'],
      ['4s', charge(1n, null, ann), '60 of 50, and 1'],
      ['5s', setBudget({ exceptions: new Map([['ann', 70n]]) }), 'SET_BUDGET'],
      ['6s', charge(11n, null, ann), '60 of 70, and 11'],
      ['7s', setBudget({ exceptions: new Map([['ann', 70n]]) }), ''],
    ]);
    expect(store.account.budgets).toMatchObject([{ since: 3n }]);
  });

  test.each([
    ['another period', setBudget({ period: 'MONTH' })],
    ['another label', setBudget({ label: 'team' })],
    ['one value', setBudget({ value: 'ann' })],
    ['operations', setBudget({ label: null })],
  ])('counts anew with %s', (_, command) => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(60n, null, ann), 'CHARGE'],
      ['3s', command, 'SET_BUDGET'],
      ['4s', charge(100n, null, ann), 'CHARGE'],
    ]);
    expect(store.account.budgets).toMatchObject([{ since: 5n }]);
  });

  test('counts anew after it was removed', () => {
    run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(100n, null, ann), 'CHARGE'],
      ['3s', removeBudget(), 'REMOVE_BUDGET'],
      ['4s', charge(100n, null, ann), 'CHARGE'],
      ['5s', removeBudget(), 'BUDGET_NOT_FOUND'],
      ['6s', setBudget(), 'SET_BUDGET'],
      ['7s', charge(100n, null, ann), 'CHARGE'],
      ['8s', charge(1n, null, ann), '100 of 100, and 1'],
    ]);
  });

  test('caps the work of the same unit of work that follows it', () => {
    const store = run([]);
    const { outcomes } = store.runGroup(store.account.lastAt, [
      charge(70n, null, ann),
      setBudget(),
      charge(70n, null, ann),
      charge(31n, null, ann),
      refund(3n, 1n),
      refund(5n, 10n),
    ]);
    expect(outcomes.map((outcome) => ('reason' in outcome ? outcome.reason : 'done'))).toEqual([
      ...['done', 'done', 'done', 'BUDGET_EXCEEDED', 'done', 'done'],
    ]);
    expect(usedOf(store)).toEqual(['ann 01-10: 60']);
    check(store);
  });

  test('states the budget in its entry: what can be about a person apart from the rest', () => {
    const exceptions = new Map([
      ['bob', null],
      ['ann', 5n],
    ]);
    const store = run([['1s', setBudget({ exceptions }), 'SET_BUDGET']]);
    expect(store.entries.at(-1)).toMatchObject({
      details: {
        budget_id: 'per-user',
        of: 'label',
        label: 'user',
        cap: '100',
        period: 'DAY',
        enforcement: 'HARD',
        since: '3',
      },
      personal: { exceptions: '{"ann":5,"bob":null}', reason: 'a test' },
    });
  });

  test('is refused on a closed account, and beyond 20 budgets', () => {
    const many = Array.from({ length: 20 }, (_, index): Step => {
      const budgetId = `b${index}`;
      return ['1s', setBudget({ budgetId }), 'SET_BUDGET'];
    });
    run([
      ...many,
      ['2s', setBudget({ budgetId: 'one more' }), 'INVALID_FIELD'],
      ['3s', setBudget({ budgetId: 'b7', cap: 1n }), 'SET_BUDGET'],
      ['4s', close(), 'CLOSE_ACCOUNT'],
      ['5s', setBudget(), 'ACCOUNT_CLOSED'],
      ['6s', removeBudget('b7'), 'REMOVE_BUDGET'],
    ]);
  });

  test('erasing the data of an account removes its budgets', () => {
    const store = run([
      ['1s', setBudget(), 'SET_BUDGET'],
      ['2s', charge(60n, null, ann), 'CHARGE'],
      ['3s', close(), 'CLOSE_ACCOUNT'],
      ['4s', eraseData(), 'ERASE_ACCOUNT_DATA'],
    ]);
    expect(store.account.budgets).toBeNull();
  });
});
