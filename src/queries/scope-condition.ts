/** The accounts that a caller may see, as a condition of a query over rows of many accounts. */
import type { AccountScope } from '../policy/permissions.ts';
import type { Conditions } from './conditions.ts';

/** `accountId` is the column, such as "d.account_id". A scope that is null adds nothing. */
export function addScope(where: Conditions, scope: AccountScope | null, accountId: string) {
  if (scope === null) return;
  const { prefixes, labels, plans } = scope;
  if (prefixes !== null)
    where.add(
      (p) =>
        `exists (select from unnest(${p}::text[]) prefix where starts_with(${accountId}, prefix))`,
      prefixes,
    );
  if (labels !== null)
    where.add(
      (p) => `exists (${scopeRow(accountId)} and scope.labels::jsonb @> ${p}::jsonb)`,
      JSON.stringify(labels),
    );
  if (plans !== null)
    where.add(
      (p) => `exists (${scopeRow(accountId)} and scope.plan_id = any(${p}::text[]))`,
      plans,
    );
}

const scopeRow = (accountId: string): string =>
  `select from accounts scope where scope.account_id = ${accountId}`;
