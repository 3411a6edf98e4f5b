/**
 * Counts jobs on the budgets of their account. A job counts with what it holds and has committed, in the period
 * in which it began, whenever that changes. Rules plan what an entry counts before they post it, and apply
 * it after.
 */
import assert from 'node:assert/strict';
import { Failure } from '../failure.ts';
import { MAX_CREDITS } from '../pricing/plan.ts';
import type { Account } from './account.ts';
import type { Demand } from './allocation/waterfall.ts';
import type { Book } from './book.ts';
import {
  type Budget,
  type BudgetCounter,
  type BudgetCounterKey,
  capOf,
  NO_VALUE,
} from './budget.ts';
import { budgetPeriodAt } from './budget-period.ts';
import type { Labels, Trace } from './entry.ts';
import { budgetExceeded } from './failures.ts';
import type { Zones } from './periods/period.ts';

/** A reservation with all that follows from it, or a charge. */
export type Job = {
  /** seq of its first entry. */
  readonly startSeq: bigint;
  /** The time of that entry or, of late usage, when its work was done. */
  readonly startedAt: number;
  readonly labels: Labels;
};

/** By how much an entry changes what a job has used: below 0, it gives back. */
export type JobChange = {
  readonly credits: bigint;
  /** The same by operation; null stands for credits without one. Only asked where a budget is of operations. */
  readonly byOperation: () => readonly Demand[];
};

/** A counter, and what is added to it. */
export type BudgetCount = {
  readonly budget: Budget;
  readonly counter: BudgetCounter;
  readonly credits: bigint;
};

const NONE: readonly BudgetCount[] = [];

/** A job whose first entry is posted next. */
export const newJob = ({ account, now }: Book, labels: Labels, usedAt: number | null): Job => ({
  startSeq: account.seq + 1n,
  startedAt: usedAt ?? now,
  labels,
});

/**
 * What a change of a job counts, or BUDGET_EXCEEDED if a hard budget does not allow it. Changes nothing.
 * `withinPeriod`: it counts only where the period in which the job began is not over.
 */
export function planCounts(
  book: Book,
  job: Job,
  change: JobChange,
  { withinPeriod = false } = {},
): readonly BudgetCount[] | Failure {
  const { budgets, timeZones } = book.account;
  if (budgets === null) return NONE;
  const counts: BudgetCount[] = [];
  for (const budget of budgets) {
    if (withinPeriod && isPeriodOver(timeZones, budget, job, book.now)) continue;
    for (const { key, credits } of changesOn(timeZones, budget, job, change)) {
      const counter = book.budgetCounter(key);
      if (exceeds(budget, counter, credits))
        return budgetExceeded(timeZones, budget, counter, credits);
      counts.push({ budget, counter, credits });
    }
  }
  return counts;
}

/** Counts what was planned, and emits `budget.exceeded` for soft budgets that are exceeded by it. */
export function applyCounts(book: Book, counts: readonly BudgetCount[], trace: Trace) {
  for (const { budget, counter, credits } of counts) {
    counter.used += credits;
    if (credits > 0n) reportExceeded(book, budget, counter, trace);
    book.markCounter(counter);
  }
}

/** The same of what only gives back, which no budget refuses. */
export function returnCounts(
  book: Book,
  job: Job,
  change: JobChange,
  trace: Trace,
  options: { readonly withinPeriod?: boolean } = {},
) {
  const counts = planCounts(book, job, change, options);
  assert(!(counts instanceof Failure), 'no budget refuses that credits are given back');
  applyCounts(book, counts, trace);
}

/** The counters that a job can change, whose usages are of these operations. What is loaded follows from it. */
export function counterKeysOf(
  { budgets, timeZones }: Pick<Account, 'budgets' | 'timeZones'>,
  job: Job,
  operations: Iterable<string>,
): readonly BudgetCounterKey[] {
  const keys: BudgetCounterKey[] = [];
  for (const budget of budgets ?? []) {
    if (!isCounted(budget, job)) continue;
    const { since, label, period } = budget;
    const periodFrom = budgetPeriodAt(timeZones, period, job.startedAt).from;
    const values = label === null ? [NO_VALUE, ...operations] : [labelValue(job, label)];
    for (const value of new Set(values))
      if (caps(budget, value)) keys.push({ since, periodFrom, value });
  }
  return keys;
}

/** Whether reservations must remember what they hold by operation. */
export const hasOperationBudget = ({ account }: Book): boolean =>
  account.budgets?.some(({ label }) => label === null) ?? false;

const isCounted = ({ since, sinceDecision = since }: Budget, { startSeq }: Job): boolean =>
  startSeq > sinceDecision;

const caps = ({ value }: Budget, candidate: string): boolean =>
  value === null || value === candidate;

const labelValue = ({ labels }: Job, label: string): string =>
  Object.hasOwn(labels, label) ? (labels[label] ?? NO_VALUE) : NO_VALUE;

function isPeriodOver(zones: Zones, { period }: Budget, { startedAt }: Job, now: number): boolean {
  const { until } = budgetPeriodAt(zones, period, startedAt);
  return until !== null && until <= now;
}

/** By how much a change adds to each counter of a budget; without those that it leaves as they are. */
export function changesOn(
  timeZones: Zones,
  budget: Budget,
  job: Job,
  { credits, byOperation }: JobChange,
): readonly { readonly key: BudgetCounterKey; readonly credits: bigint }[] {
  if (!isCounted(budget, job)) return [];
  const { since, label, period } = budget;
  const changes = new Map<string, bigint>();
  const add = (value: string, added: bigint) => {
    if (caps(budget, value)) changes.set(value, (changes.get(value) ?? 0n) + added);
  };
  if (label !== null) add(labelValue(job, label), credits);
  else for (const { operation, credits: ofOne } of byOperation()) add(operation ?? NO_VALUE, ofOne);
  const periodFrom = budgetPeriodAt(timeZones, period, job.startedAt).from;
  return [...changes].flatMap(([value, added]) =>
    added === 0n ? [] : [{ key: { since, periodFrom, value }, credits: added }],
  );
}

/** A counter is an int64, so nothing counts beyond it, whatever the budget. */
function exceeds(budget: Budget, { value, used }: BudgetCounter, credits: bigint): boolean {
  if (credits <= 0n) return false;
  const cap = budget.enforcement === 'HARD' ? capOf(budget, value) : null;
  return used + credits > (cap ?? MAX_CREDITS);
}

/** Once in a period, and again if the cap was raised since and is exceeded as well. */
function reportExceeded(book: Book, budget: Budget, counter: BudgetCounter, trace: Trace) {
  const { budgetId, label, period, enforcement } = budget;
  const { value, used, periodFrom, reportedCap } = counter;
  const cap = capOf(budget, value);
  if (enforcement === 'HARD' || cap === null || used <= cap) return;
  if (reportedCap !== null && reportedCap >= cap) return;
  counter.reportedCap = cap;
  const { until } = budgetPeriodAt(book.account.timeZones, period, periodFrom);
  book.emitEvent(
    'budget.exceeded',
    {
      budget_id: budgetId,
      ...(label === null ? { operation: value } : { label, value }),
      cap: cap.toString(),
      used: used.toString(),
      ...(until !== null && { resets_at: new Date(until).toISOString() }),
    },
    trace,
  );
}
