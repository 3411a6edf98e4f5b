/** Which accounts a caller may use and see. */
import type { AccountScope } from './permissions.ts';

/** Whether an account with this id can be within the scope: what is known before it is loaded. */
export const isIdInScope = (scope: AccountScope | null, accountId: string): boolean =>
  scope?.prefixes?.some((prefix) => accountId.startsWith(prefix)) ?? true;

/** Whether the account, as it was loaded or as it is to be, is within the scope. */
export function isAccountInScope(
  scope: AccountScope | null,
  account: {
    readonly accountId: string;
    readonly planId: string;
    readonly labels: Readonly<Record<string, string>>;
  },
): boolean {
  if (scope === null) return true;
  const { labels, plans } = scope;
  return (
    isIdInScope(scope, account.accountId) &&
    (plans?.includes(account.planId) ?? true) &&
    Object.entries(labels ?? {}).every(
      ([name, value]) => Object.hasOwn(account.labels, name) && account.labels[name] === value,
    )
  );
}

/** Whether its id alone does not tell if an account is within the scope. */
export const needsAccount = (scope: AccountScope | null): boolean =>
  scope !== null && (scope.labels !== null || scope.plans !== null);
