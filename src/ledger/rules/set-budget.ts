/**
 * SetBudget and RemoveBudget: an operator caps what values of a label, or operations, may use. A budget that
 * counts the same as before goes on counting; any other counts from its entry on.
 */
import { canonicalJson } from '../../canonical.ts';
import type { Book } from '../book.ts';
import { type Budget, countsTheSame } from '../budget.ts';
import type { Labels, Origin } from '../entry.ts';
import { accountClosed, budgetNotFound, invalidField } from '../failures.ts';

export type SetBudget = {
  readonly kind: 'SetBudget';
  readonly budget: Omit<Budget, 'since'>;
  /** Why, for people. */
  readonly reason: string;
};

export type RemoveBudget = {
  readonly kind: 'RemoveBudget';
  readonly budgetId: string;
  /** Why, for people. */
  readonly reason: string;
};

/** Each job is counted on all budgets of its account. */
export const BUDGETS_MAX = 20;

export function setBudget(book: Book, { budget: wanted, reason }: SetBudget, origin: Origin) {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  const { budgetId } = wanted;
  const before = account.budgets?.find((budget) => budget.budgetId === budgetId);
  if (before && canonicalJson(before) === canonicalJson({ ...wanted, since: before.since }))
    return { kind: 'SetBudget', budget: before, entrySeq: 0n } as const;
  const others = account.budgets?.filter((budget) => budget !== before) ?? [];
  if (others.length >= BUDGETS_MAX)
    return invalidField('budget.budget_id', `must be one of the account's ${BUDGETS_MAX} budgets`, {
      allowed: BigInt(BUDGETS_MAX),
    });
  const goesOn = before !== undefined && countsTheSame(before, { ...wanted, since: 0n });
  const budget: Budget = { ...wanted, since: goesOn ? before.since : account.seq + 1n };
  account.budgets = [...others, budget].sort((a, b) => (a.budgetId < b.budgetId ? -1 : 1));
  book.changes.settings = true;
  const details = detailsOf(budget);
  const personal = { ...valuesOf(budget), reason };
  const entry = book.post({ kind: 'SET_BUDGET', details, personal }, origin);
  return { kind: 'SetBudget', budget, entrySeq: entry.seq } as const;
}

export function removeBudget(book: Book, { budgetId, reason }: RemoveBudget, origin: Origin) {
  const { account } = book;
  const others = account.budgets?.filter((budget) => budget.budgetId !== budgetId) ?? [];
  if (others.length === (account.budgets?.length ?? 0))
    return budgetNotFound(account.accountId, budgetId);
  account.budgets = others.length === 0 ? null : others;
  book.changes.settings = true;
  const details = { budget_id: budgetId };
  const entry = book.post({ kind: 'REMOVE_BUDGET', details, personal: { reason } }, origin);
  return { kind: 'RemoveBudget', entrySeq: entry.seq } as const;
}

/** How the entry states a budget. */
const detailsOf = ({ budgetId, since, label, cap, period, enforcement }: Budget): Labels => ({
  budget_id: budgetId,
  ...(label === null ? { of: 'operation' } : { of: 'label', label }),
  cap: cap.toString(),
  period,
  enforcement,
  since: since.toString(),
});

/** The values that it names: those of a label can be about a person. */
const valuesOf = ({ value, exceptions }: Budget): Labels => ({
  ...(value !== null && { value }),
  ...(exceptions.size > 0 && { exceptions: canonicalJson(exceptions) }),
});
