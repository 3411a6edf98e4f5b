/** What is true of budgets in every random history. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auditStore } from '../verify/audit-store.ts';
import { inLaterUnit } from './fixtures.ts';
import { budgetedScenarios, reservationScenarios, runScenario, scenarios } from './workload.ts';

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
