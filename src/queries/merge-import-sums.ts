/** Sums of imports in several cells, as one. */
import { sumMoney, trimZeros } from '../pricing/money.ts';
import type { Money } from '../pricing/plan.ts';
import type { ImportSums } from './import-sums.ts';

/** One for each plan, ordered by plan. */
export function mergeImportSums(sums: readonly ImportSums[]): readonly ImportSums[] {
  const byPlan = new Map<string, ImportSums>();
  for (const one of sums) {
    const before = byPlan.get(one.planId);
    byPlan.set(one.planId, before ? add(before, one) : one);
  }
  return [...byPlan.values()].sort((one, other) => (one.planId < other.planId ? -1 : 1));
}

const add = (one: ImportSums, other: ImportSums): ImportSums => ({
  planId: one.planId,
  accounts: one.accounts + other.accounts,
  grants: one.grants + other.grants,
  purchases: one.purchases + other.purchases,
  granted: one.granted + other.granted,
  spent: one.spent + other.spent,
  spentThisMonth: one.spentThisMonth + other.spentThisMonth,
  expired: one.expired + other.expired,
  overage: one.overage + other.overage,
  paid: addMoney([...one.paid, ...other.paid]),
});

const addMoney = (amounts: readonly Money[]): readonly Money[] =>
  [...Map.groupBy(amounts, ({ currency }) => currency)]
    .map(([currency, ofOne]) =>
      trimZeros(
        sumMoney(
          currency,
          ofOne.map(({ amount }) => amount),
        ),
      ),
    )
    .sort((one, other) => (one.currency < other.currency ? -1 : 1));
