/** Budgets and what was used of them as messages. */
import {
  BudgetEnforcement,
  type Budget as BudgetMessage,
  BudgetPeriod,
  type BudgetUse as BudgetUseMessage,
} from '../../gen/billing/v1/budget.ts';
import type { Budget } from '../../ledger/budget.ts';
import type { BudgetUse } from '../../queries/budgets.ts';
import { optionalInstant } from './time.ts';

export const budgetMessage = (budget: Omit<Budget, 'since'>): BudgetMessage => ({
  budgetId: budget.budgetId,
  dimension:
    budget.label === null
      ? { $case: 'operation', value: true }
      : { $case: 'label', value: budget.label },
  value: budget.value ?? undefined,
  credits: budget.cap,
  period: BudgetPeriod[budget.period],
  enforcement: BudgetEnforcement[budget.enforcement],
  exceptions: sorted(budget.exceptions).map(([value, credits]) => ({
    value,
    cap:
      credits === null ? { $case: 'unlimited', value: true } : { $case: 'credits', value: credits },
  })),
});

/** JSON of the database has them in another order than the request. */
const sorted = (exceptions: Budget['exceptions']) =>
  [...exceptions].sort(([a], [b]) => (a < b ? -1 : 1));

export const budgetUseMessage = ({
  budgetId,
  value,
  cap,
  used,
  period,
}: BudgetUse): BudgetUseMessage => ({
  budgetId,
  value,
  cap: cap ?? undefined,
  used,
  startedAt: period.until === null ? undefined : new Date(period.from),
  resetsAt: optionalInstant(period.until),
});
