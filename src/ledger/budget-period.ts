/** The periods of budgets. */
import { type Period, periodAt, type Zones } from './periods/period.ts';

export const BUDGET_PERIODS = ['DAY', 'WEEK', 'MONTH', 'TOTAL'] as const;
/** TOTAL never ends. */
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

const ENDING = { DAY: 'day', WEEK: 'week', MONTH: 'month' } as const;
const TOTAL = { from: 0, until: null } as const;

/** The period of an account that contains `at`. Weeks begin on Monday. TOTAL is from 0, and until null. */
export const budgetPeriodAt = (
  zones: Zones,
  period: BudgetPeriod,
  at: number,
): Period | typeof TOTAL => (period === 'TOTAL' ? TOTAL : periodAt(zones, ENDING[period], at));
