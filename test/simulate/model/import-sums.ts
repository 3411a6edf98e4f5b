/** What SumImports answers: sums of what was imported under each plan. */
import type {
  ImportSums,
  SumImportsResponse,
} from '../../../src/gen/billing/v1/account_service.ts';
import { fromNanos, toNanos } from './money.ts';
import { type AccountState, type Imported, sum } from './state.ts';

export function importSums(states: readonly AccountState[]): SumImportsResponse {
  const imports = states.flatMap(({ imported }) => imported ?? []);
  const byPlan = [...Map.groupBy(imports, ({ planId }) => planId)];
  return {
    sums: byPlan.sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, some]) => sumsOf(id, some)),
  };
}

function sumsOf(planId: string, imports: readonly Imported[]): ImportSums {
  const requests = imports.map(({ request }) => request);
  const purchases = requests.flatMap((request) => request.purchases);
  const grants = requests.flatMap((request) => request.grants);
  const all = [...grants, ...purchases];
  const paid = sum(purchases, ({ price }) => toNanos(price?.amount ?? '0'));
  return {
    planId,
    accounts: BigInt(imports.length),
    grants: BigInt(grants.length),
    purchases: BigInt(purchases.length),
    granted: sum(all, ({ credits }) => credits),
    spent: sum(all, ({ spent }) => spent),
    spentThisMonth: sum(all, ({ spentThisMonth }) => spentThisMonth),
    expired: sum(imports, ({ expired }) => expired),
    overage: sum(requests, ({ month }) => month?.overage ?? 0n),
    paid: purchases.length > 0 ? [{ currency: 'USD', amount: fromNanos(paid) }] : [],
  };
}
