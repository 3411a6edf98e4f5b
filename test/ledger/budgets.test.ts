/** Budgets: what counts on them, what they refuse, and when they begin again. The account has 1,000 credits. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/ledger/decide.ts';
import type { Plan } from '../../src/pricing/plan.ts';
import { auditStore } from '../verify/audit-store.ts';
import type { AccountStore } from './account-store.ts';
import {
  charge,
  close,
  commit,
  eraseData,
  grantCredits,
  inLaterUnit,
  ms,
  plan,
  postpaid,
  raise,
  refund,
  release,
  removeBudget,
  reserve,
  setBudget,
  usagesOf,
} from './fixtures.ts';
import { ledger, type Row } from './table.ts';
import { budgetedScenarios, reservationScenarios, runScenario, scenarios } from './workload.ts';

const ann = { labels: { user: 'ann' } };
const bob = { labels: { user: 'bob' } };
const none = { labels: {} };

type Step = readonly [at: string, command: Command, written: string];

/** Runs the commands and compares what they wrote: the kind of the entry, or the failure with its metadata. */
function run(steps: readonly Step[], accountPlan: Plan = plan()): AccountStore {
  const store = ledger(accountPlan, [
    ['0s', grantCredits(1_000n), 'GRANT 1000: issued>g1 1000', '1000'] satisfies Row,
  ]);
  const actual = steps.map(([when, command]) => {
    const before = store.entries.length;
    const { outcome } = store.run(Date.parse('2026-01-10T00:00Z') + ms(when), command);
    const kinds = store.entries.slice(before).map(({ kind }) => kind);
    if (!(outcome && 'reason' in outcome)) return kinds.join(' ');
    const { cap, used, requested } = outcome.metadata;
    return outcome.reason === 'BUDGET_EXCEEDED'
      ? `${used} of ${cap}, and ${requested}`
      : outcome.reason;
  });
  expect(actual).toEqual(steps.map(([, , written]) => written));
  check(store);
  return store;
}

/** The audit shares no rule with the ledger. */
const check = (store: AccountStore) => expect(auditStore(store)).toEqual([]);

/** What each value has used, by the day on which the period began. */
const usedOf = ({ budgetCounters }: AccountStore) =>
  [...budgetCounters.values()].map(
    ({ value, periodFrom, used }) =>
      `${value || '(none)'} ${new Date(periodFrom).toISOString().slice(5, 10)}: ${used}`,
  );

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

describe('in every scenario', () => {
  const RUNS = { numRuns: 300 };
  const TIMEOUT_MS = 120_000;

  test.each([
    ['of an account', scenarios(60), 20],
    ['of reservations', reservationScenarios(60), 100],
    ['of budgets', budgetedScenarios(60), 300],
  ])(
    '%s: counters are sums of the entries of their period, and none was brought above its cap',
    (_, all, atLeast) => {
      let counters = 0;
      fc.assert(
        fc.property(all, (scenario) => {
          const store = runScenario(scenario);
          expect(auditStore(store)).toEqual([]);
          counters += store.budgetCounters.size;
        }),
        RUNS,
      );
      expect(counters).toBeGreaterThan(atLeast);
    },
    TIMEOUT_MS,
  );

  test(
    'budgets refuse, are exceeded, and give back',
    () => {
      const seen = new Map<string, number>();
      const add = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
      for (const scenario of fc.sample(budgetedScenarios(60), { seed: 7, numRuns: 600 }))
        runScenario(scenario, (store, now, command) => {
          const before = new Map([...store.budgetCounters].map(([name, { used }]) => [name, used]));
          const { outcome, book } = store.run(now, command);
          const { kind = 'nothing' } = command ?? {};
          if (outcome && 'reason' in outcome && outcome.reason === 'BUDGET_EXCEEDED')
            add(`${kind} refused`);
          for (const { type } of book.changes.events) if (type === 'budget.exceeded') add(type);
          for (const [name, { used }] of store.budgetCounters)
            if (used < (before.get(name) ?? 0n)) add(`${kind} gave back`);
        });
      expect(
        [...seen]
          .filter(([, times]) => times >= 2)
          .map(([what]) => what)
          .sort(),
      ).toEqual(
        expect.arrayContaining([
          ...['Charge refused', 'Commit refused', 'RaiseReservation refused', 'Reserve refused'],
          ...['Commit gave back', 'Refund gave back', 'Release gave back', 'budget.exceeded'],
        ]),
      );
    },
    TIMEOUT_MS,
  );

  test(
    'an account without budgets counts nothing',
    () => {
      fc.assert(
        fc.property(scenarios(20), (scenario) => {
          const steps = scenario.steps.filter(({ command }) => command?.kind !== 'SetBudget');
          const store = runScenario({ ...scenario, steps });
          expect(store.budgetCounters.size).toBe(0);
          const book = inLaterUnit(store.loadWholeBook(store.account.lastAt), 0);
          expect(book.budgetCounters).toBeNull();
        }),
        { numRuns: 50 },
      );
    },
    TIMEOUT_MS,
  );
});
