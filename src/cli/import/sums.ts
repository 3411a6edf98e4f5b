/** What a file says of its accounts, summed by plan, in the form in which the service sums what it has written. */

import { canonicalJson } from '../../canonical.ts';
import { ImportSums } from '../../gen/billing/v1/account_service.ts';
import { sumMoney } from '../../pricing/money.ts';
import type { ImportRecord } from './record.ts';

/** Without what has expired: a file says when credits expire, and only the service whether they have. */
export type PlanSums = Omit<ImportSums, 'expired'>;

/** Sums by plan. */
export class Sums {
  readonly #ofPlan = new Map<string, PlanSums>();

  addRecord({ plan_id: planId, grants, purchases, month }: ImportRecord) {
    const items = [...grants, ...purchases];
    const total = (of: 'credits' | 'spent' | 'spent_this_month') =>
      items.reduce((sum, item) => sum + item[of], 0n);
    this.add({
      planId,
      accounts: 1n,
      grants: BigInt(grants.length),
      purchases: BigInt(purchases.length),
      granted: total('credits'),
      spent: total('spent'),
      spentThisMonth: total('spent_this_month'),
      overage: month?.overage ?? 0n,
      paid: purchases.map(({ price }) => price),
    });
  }

  add({ planId, paid, ...more }: PlanSums) {
    const before = this.#ofPlan.get(planId) ?? ImportSums.fromPartial({ planId });
    this.#ofPlan.set(planId, {
      planId,
      accounts: before.accounts + more.accounts,
      grants: before.grants + more.grants,
      purchases: before.purchases + more.purchases,
      granted: before.granted + more.granted,
      spent: before.spent + more.spent,
      spentThisMonth: before.spentThisMonth + more.spentThisMonth,
      overage: before.overage + more.overage,
      paid: addMoney([...before.paid, ...paid]),
    });
  }

  /** Ordered by plan. */
  get all(): readonly PlanSums[] {
    return [...this.#ofPlan.values()].sort((a, b) => (a.planId < b.planId ? -1 : 1));
  }
}

/** One sum per currency, ordered by currency. */
function addMoney(all: ImportSums['paid']): ImportSums['paid'] {
  const amounts = Map.groupBy(all, ({ currency }) => currency);
  return [...amounts.keys()].sort().map((currency) =>
    sumMoney(
      currency,
      (amounts.get(currency) ?? []).map((of) => of.amount),
    ),
  );
}

/** Whether both say the same. */
export const isSame = (one: readonly PlanSums[], other: readonly PlanSums[]): boolean =>
  canonicalJson(one) === canonicalJson(other);
