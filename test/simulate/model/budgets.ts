/**
 * Budgets of the label "user". What was used of one is a sum over the jobs that the account knows, computed anew
 * each time: nothing is counted along.
 */
import {
  type Budget,
  BudgetEnforcement,
  BudgetPeriod,
  type BudgetUse,
  type SetBudgetRequest,
} from '../../../src/gen/billing/v1/budget.ts';
import { Entry_Kind } from '../../../src/gen/billing/v1/ledger.ts';
import { type ModelZones, periodAt } from './calendar.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import { closed, type Deciding } from './spend.ts';
import { type AccountState, type Labels, totalOf } from './state.ts';

/** A reservation or a charge. */
type Job = { readonly seq: bigint; readonly at: number; readonly labels: Labels };

export type ModelBudget = { readonly budget: Budget; readonly since: bigint };

const NAMES = ['', 'DAY', 'WEEK', 'MONTH', 'TOTAL'];

const labelOf = ({ dimension }: Budget): string =>
  dimension?.$case === 'label' ? dimension.value : '';

const userOf = (budget: Budget, { labels }: Pick<Job, 'labels'>): string =>
  labels.get(labelOf(budget)) ?? '';

/** First moment, and the end. */
function periodOf(
  { timeZones }: { readonly timeZones: ModelZones },
  { period }: Budget,
  at: number,
): readonly [number, number] {
  if (period === BudgetPeriod.TOTAL) return [0, Number.POSITIVE_INFINITY];
  const every =
    period === BudgetPeriod.MONTH ? 'month' : period === BudgetPeriod.DAY ? 'day' : 'week';
  const { from, until } = periodAt(timeZones, every, at);
  return [from, until];
}

const isIn = ([from, until]: readonly [number, number], at: number): boolean =>
  at >= from && at < until;

/** Undefined: none. */
function capOf({ credits, exceptions }: Budget, value: string): bigint | undefined {
  const exception = exceptions.find((one) => one.value === value);
  if (!exception) return credits;
  return exception.cap?.$case === 'credits' ? exception.cap.value : undefined;
}

/** What each value has used in the period of `at`: also 0, where jobs gave everything back. */
function usedOf(state: AccountState, { budget, since }: ModelBudget, at: number) {
  const period = periodOf(state, budget, at);
  const used = new Map<string, bigint>();
  const add = (job: Job, credits: bigint, hasCounted: boolean) => {
    if (job.seq <= since || !isIn(period, job.at) || !hasCounted) return;
    const value = userOf(budget, job);
    if ((budget.value ?? value) === value) used.set(value, (used.get(value) ?? 0n) + credits);
  };
  for (const reservation of state.reservations.values()) {
    const { seq, createdAt, usedAt, labels, credits, committed, held } = reservation;
    const counted = committed + totalOf(held);
    add({ seq, at: usedAt ?? createdAt, labels }, counted, credits > 0n || committed > 0n);
  }
  for (const spending of state.spendings.values())
    if (spending.reservationId === '')
      add(spending, totalOf(spending.split), totalOf(spending.split) > 0n);
  for (const { at: refundedAt, spending, split } of state.refunds) {
    const { reservationId } = spending;
    const reservation = state.reservations.get(reservationId);
    const job = reservation
      ? {
          seq: reservation.seq,
          at: reservation.usedAt ?? reservation.createdAt,
          labels: reservation.labels,
        }
      : spending;
    if (isIn(period, refundedAt)) add(job, -totalOf(split), true);
  }
  return used;
}

const budgetsOf = ({ budgets }: AccountState): readonly ModelBudget[] =>
  [...budgets.values()].sort((a, b) => (a.budget.budgetId < b.budget.budgetId ? -1 : 1));

/** The budgets that count the job, with its value. */
const countedBy = (state: AccountState, job: Job) =>
  budgetsOf(state).flatMap((one) => {
    const value = userOf(one.budget, job);
    const isCounted = job.seq > one.since && (one.budget.value ?? value) === value;
    return isCounted ? [{ ...one, value, cap: capOf(one.budget, value) }] : [];
  });

const resetOf = (state: AccountState, budget: Budget, at: number): Record<string, string> => {
  const [, until] = periodOf(state, budget, at);
  return until === Number.POSITIVE_INFINITY ? {} : { resets_at: new Date(until).toISOString() };
};

/** The refusal of a job that would use so much more; null: it may. */
export function overBudget(state: AccountState, job: Job, more: bigint): Refusal | null {
  if (more <= 0n) return null;
  for (const { budget, since, value, cap } of countedBy(state, job)) {
    const used = usedOf(state, { budget, since }, job.at).get(value) ?? 0n;
    const isHard = budget.enforcement !== BudgetEnforcement.SOFT;
    if (isHard && cap !== undefined && used + more > cap)
      return new Refusal('BUDGET_EXCEEDED', {
        ...{ budget_id: budget.budgetId, label: 'user', value, cap, used, requested: more },
        ...resetOf(state, budget, job.at),
      });
  }
  return null;
}

/** The events of soft budgets that a job has exceeded by using so much more. */
export function reportBudgets(state: AccountState, job: Job, more: bigint) {
  if (more <= 0n) return;
  for (const { budget, since, value, cap } of countedBy(state, job)) {
    const used = usedOf(state, { budget, since }, job.at).get(value) ?? 0n;
    const key = `${since} ${periodOf(state, budget, job.at)[0]} ${value}`;
    const told = state.toldCaps.get(key) ?? -1n;
    const isSoft = budget.enforcement === BudgetEnforcement.SOFT;
    if (!isSoft || cap === undefined || used <= cap || told >= cap) continue;
    state.toldCaps.set(key, cap);
    state.emit('budget.exceeded', {
      ...{ budget_id: budget.budgetId, label: 'user', value, cap: `${cap}`, used: `${used}` },
      ...resetOf(state, budget, job.at),
    });
  }
}

const exceptionsOf = ({ exceptions }: Budget) =>
  exceptions.toSorted((a, b) => (a.value < b.value ? -1 : 1));

/** As it is stored: HARD is said. */
const storedBudget = (budget: Budget): Budget => ({
  ...budget,
  enforcement: budget.enforcement || BudgetEnforcement.HARD,
  exceptions: exceptionsOf(budget),
});

const sameJson = (a: unknown, b: unknown): boolean => textOf(a) === textOf(b);
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `${member}` : member));

export function setBudget(
  state: AccountState,
  { budget: wanted, reason }: SetBudgetRequest,
  { now, author }: Deciding,
): First<'setBudget'> | Refusal {
  if (!state.isOpen) return closed(state);
  if (!wanted) return new Refusal('INVALID_FIELD');
  const budget = storedBudget(wanted);
  const { budgetId, dimension, value, credits, period, enforcement, exceptions } = budget;
  const before = state.budgets.get(budgetId);
  if (before && sameJson(before.budget, budget))
    return { budget, sinceSeq: before.since, entrySeq: 0n };
  const goesOn =
    before &&
    sameJson(
      [before.budget.dimension, before.budget.value, before.budget.period],
      [dimension, value, period],
    );
  const since = goesOn ? before.since : state.seq + 1n;
  state.budgets.set(budgetId, { budget, since });
  const caps = exceptions.map(
    ({ value, cap }) => `${JSON.stringify(value)}:${cap?.$case === 'credits' ? cap.value : 'null'}`,
  );
  const details = new Map([
    ...[['budget_id', budgetId] as const, ['of', 'label'] as const, ['label', 'user'] as const],
    ...(value === undefined ? [] : [['value', value] as const]),
    ['cap', `${credits}`],
    ['period', NAMES[period] ?? ''],
    ['enforcement', enforcement === BudgetEnforcement.SOFT ? 'SOFT' : 'HARD'],
    ...(caps.length > 0 ? [['exceptions', `{${caps.join(',')}}`] as const] : []),
    ['since', `${since}`],
    ['reason', reason],
  ]);
  const entry = state.post(Entry_Kind.SET_BUDGET, now, { details }, author);
  return { budget, sinceSeq: since, entrySeq: entry.seq };
}

export function removeBudget(
  state: AccountState,
  { budgetId, reason }: RequestOf<'removeBudget'>,
  { now, author }: Deciding,
): First<'removeBudget'> | Refusal {
  if (!state.budgets.delete(budgetId))
    return new Refusal('BUDGET_NOT_FOUND', { budget_id: budgetId });
  const details = new Map([
    ['budget_id', budgetId],
    ['reason', reason],
  ]);
  const entry = state.post(Entry_Kind.REMOVE_BUDGET, now, { details }, author);
  return { entrySeq: entry.seq };
}

/** What GetBudgets answers. */
export const budgetsNow = (state: AccountState, now: number) => ({
  budgets: budgetsOf(state).map(({ budget }) => budget),
  uses: budgetsOf(state).flatMap((one) => usesOf(state, one, now)),
  nextPageToken: '',
});

function usesOf(state: AccountState, one: ModelBudget, now: number): readonly BudgetUse[] {
  const { budget } = one;
  const used = new Map(usedOf(state, one, now));
  const named = budget.value === undefined ? budget.exceptions.map((e) => e.value) : [budget.value];
  for (const value of named) used.set(value, used.get(value) ?? 0n);
  const [from, until] = periodOf(state, budget, now);
  const ends = until !== Number.POSITIVE_INFINITY;
  return [...used]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([value, credits]) => ({
      budgetId: budget.budgetId,
      value,
      cap: capOf(budget, value),
      used: credits,
      startedAt: ends ? new Date(from) : undefined,
      resetsAt: ends ? new Date(until) : undefined,
    }));
}
