/**
 * Budgets of the label "user", and of operations. What was used of one is a sum over the jobs that the account knows,
 * computed anew each time: no counter is kept.
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
import { closed, type Deciding } from './deciding.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import { added, countedShares, refundedShares } from './shares.ts';
import { type AccountState, type Labels, type Shares, totalOf } from './state.ts';

/** A reservation or a charge. */
type Job = { readonly seq: bigint; readonly at: number; readonly labels: Labels };

export type ModelBudget = { readonly budget: Budget; readonly since: bigint };

const NAMES = ['', 'DAY', 'WEEK', 'MONTH', 'TOTAL'];

/** By how much a job changes what it has used: in all, and by operation. */
export type Change = { readonly credits: bigint; readonly shares: Shares };

/** What of it counts for each value of the budget. */
const changeBy = ({ dimension }: Budget, { labels }: Job, { credits, shares }: Change): Shares =>
  dimension?.$case === 'label' ? new Map([[labels.get(dimension.value) ?? '', credits]]) : shares;

/** How refusals and events name a value. */
const ofLabel = ({ dimension }: Budget) =>
  dimension?.$case === 'label' ? { label: dimension.value } : {};

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
  let used: Shares = new Map();
  const add = (job: Job, change: Change, hasCounted: boolean) => {
    if (job.seq <= since || !isIn(period, job.at) || !hasCounted) return;
    const all = [...changeBy(budget, job, change)];
    used = added(used, new Map(all.filter(([value]) => (budget.value ?? value) === value)));
  };
  for (const reservation of state.reservations.values()) {
    const { seq, createdAt, usedAt, labels, credits, committed, held } = reservation;
    const counted = { credits: committed + totalOf(held), shares: countedShares(reservation) };
    add({ seq, at: usedAt ?? createdAt, labels }, counted, credits > 0n || committed > 0n);
  }
  for (const spending of state.spendings.values()) {
    const { reservationId, split, shares } = spending;
    const credits = totalOf(split);
    if (reservationId === '') add(spending, { credits, shares }, credits > 0n);
  }
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
    const credits = totalOf(split);
    const back = { credits: -credits, shares: refundedShares(spending, credits) };
    if (isIn(period, refundedAt)) add(job, back, true);
  }
  return used;
}

const budgetsOf = ({ budgets }: AccountState): readonly ModelBudget[] =>
  [...budgets.values()].sort((a, b) => (a.budget.budgetId < b.budget.budgetId ? -1 : 1));

/** The budgets that a job uses more of, with each of the values that it counts for. */
const countedBy = (state: AccountState, job: Job, change: Change) =>
  budgetsOf(state)
    .filter(({ since }) => job.seq > since)
    .flatMap((one) => {
      const all = [...changeBy(one.budget, job, change)];
      return all
        .filter(([value, more]) => (one.budget.value ?? value) === value && more > 0n)
        .map(([value, more]) => ({ ...one, value, more, cap: capOf(one.budget, value) }));
    });

const resetOf = (state: AccountState, budget: Budget, at: number): Record<string, string> => {
  const [, until] = periodOf(state, budget, at);
  return until === Number.POSITIVE_INFINITY ? {} : { resets_at: new Date(until).toISOString() };
};

/** The refusal of a job that would use so much more; null: it may. */
export function overBudget(state: AccountState, job: Job, change: Change): Refusal | null {
  for (const { budget, since, value, more, cap } of countedBy(state, job, change)) {
    const used = usedOf(state, { budget, since }, job.at).get(value) ?? 0n;
    const isHard = budget.enforcement !== BudgetEnforcement.SOFT;
    if (isHard && cap !== undefined && used + more > cap)
      return new Refusal('BUDGET_EXCEEDED', {
        ...{ budget_id: budget.budgetId, ...ofLabel(budget), value, cap, used, requested: more },
        ...resetOf(state, budget, job.at),
      });
  }
  return null;
}

/** The events of soft budgets that a job has exceeded by using so much more. */
export function reportBudgets(state: AccountState, job: Job, change: Change) {
  for (const { budget, since, value, cap } of countedBy(state, job, change)) {
    const used = usedOf(state, { budget, since }, job.at).get(value) ?? 0n;
    const key = `${since} ${periodOf(state, budget, job.at)[0]} ${value}`;
    const told = state.toldCaps.get(key) ?? -1n;
    const isSoft = budget.enforcement === BudgetEnforcement.SOFT;
    if (!isSoft || cap === undefined || used <= cap || told >= cap) continue;
    state.toldCaps.set(key, cap);
    state.emit('budget.exceeded', {
      ...{ budget_id: budget.budgetId, cap: `${cap}`, used: `${used}` },
      ...(budget.dimension?.$case === 'label' ? { label: 'user', value } : { operation: value }),
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
    ...[['budget_id', budgetId] as const, ['of', dimension?.$case ?? ''] as const],
    ...(dimension?.$case === 'label' ? [['label', dimension.value] as const] : []),
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
