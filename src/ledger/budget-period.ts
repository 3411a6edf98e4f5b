/** The periods of budgets, in UTC. Nothing else knows where one begins. */
import { monthStart } from './month.ts';

export const BUDGET_PERIODS = ['DAY', 'WEEK', 'MONTH', 'TOTAL'] as const;
/** TOTAL never ends. */
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

const DAY_MS = 86_400_000;
/** 1970-01-05 was the first Monday. */
const FIRST_MONDAY = 4 * DAY_MS;

/**
 * The period that contains `at`: the half-open interval [from, until) in epoch milliseconds. Weeks begin on
 * Monday. TOTAL is from 0, and until null.
 */
export function budgetPeriodAt(
  period: BudgetPeriod,
  at: number,
): { readonly from: number; readonly until: number | null } {
  switch (period) {
    case 'DAY':
      return lengthOf(DAY_MS, 0, at);
    case 'WEEK':
      return lengthOf(7 * DAY_MS, FIRST_MONDAY, at);
    case 'MONTH':
      return { from: monthStart(at), until: monthStart(at, 1) };
    case 'TOTAL':
      return { from: 0, until: null };
  }
}

/** Periods of a fixed length, of which one begins at `origin`. */
function lengthOf(lengthMs: number, origin: number, at: number) {
  const from = origin + Math.floor((at - origin) / lengthMs) * lengthMs;
  return { from, until: from + lengthMs };
}
