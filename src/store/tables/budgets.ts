/** Budgets as JSON on the rows of accounts, and the table of what was used of them. */
import type { JsonInteger } from '../../canonical.ts';
import type { Budget } from '../../ledger/budget.ts';
import type { BudgetPeriod } from '../../ledger/budget-period.ts';
import { bigint, instant, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export type StoredBudget = {
  readonly budget_id: string;
  readonly since: JsonInteger;
  readonly label: string | null;
  readonly value: string | null;
  readonly cap: JsonInteger;
  readonly period: BudgetPeriod;
  readonly enforcement: Budget['enforcement'];
  /** Null: no cap. */
  readonly exceptions: Readonly<Record<string, JsonInteger | null>>;
};

export const toBudgets = (stored: readonly StoredBudget[]): readonly Budget[] =>
  stored.map(({ budget_id, since, cap, exceptions, ...others }) => ({
    ...others,
    budgetId: budget_id,
    since: BigInt(since),
    cap: BigInt(cap),
    exceptions: new Map(
      Object.entries(exceptions).map(([value, credits]) => [
        value,
        credits === null ? null : BigInt(credits),
      ]),
    ),
  }));

export const fromBudgets = (budgets: readonly Budget[]): readonly StoredBudget[] =>
  budgets.map(({ budgetId, exceptions, ...others }) => ({
    ...others,
    budget_id: budgetId,
    exceptions: Object.fromEntries(exceptions),
  }));

export const budgetCounters = defineTable({
  name: 'budget_counters',
  comment:
    'What values of labels, and operations, have used of the budgets of accounts, by period. A row exists from ' +
    'the first use on. It is written by the transaction of the entry that it counts.',
  columns: {
    accountId: text('key'),
    since: bigint('key', 'of the budget: seq of the entry since which it counts'),
    periodFrom: instant('key', 'first moment of the period; 1970-01-01 in total'),
    value: text('key', 'of the label, or the operation; empty: work without one'),
    used: bigint('updated', 'credits that jobs which began in the period hold or have committed'),
    reportedCap: bigint(
      'updated',
      'soft budgets: the highest cap whose exceeding an event has told; null: none',
    ).nullable(),
  },
  checks: { budget_counters_used_check: 'used >= 0' },
  privileges: 'select, insert, update',
  fillfactor: 70,
});
