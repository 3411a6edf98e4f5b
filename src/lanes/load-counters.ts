/** Reads the counters of budgets that the tasks of a unit of work may change. Most accounts have no budgets. */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import type { Budget, BudgetCounterKey, BudgetCounters } from '../ledger/budget.ts';
import { counterName } from '../ledger/budget.ts';
import { counterKeysOf, type Job } from '../ledger/budget-counts.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { RequestedAmount } from '../ledger/requested-amount.ts';
import { jobOf, type Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import {
  type CounterToLoad,
  loadBudgetCounters,
  loadJobStarts,
} from '../store/load-budget-counters.ts';
import type { Task } from './task.ts';

type JobRows = {
  /** Those that commands name, and those that expire. */
  readonly reservations: readonly Reservation[];
  readonly refundables: readonly RefundableEntry[];
};

/** The counters of each account that has budgets, by account id. A counter without a row has used 0. */
export async function loadCounters(
  em: Em,
  accounts: readonly Account[],
  tasks: readonly Task[],
  rows: JobRows,
  cached: ReadonlyMap<string, CachedAccount>,
  now: number,
): Promise<ReadonlyMap<string, BudgetCounters>> {
  const counters = new Map<string, BudgetCounters>();
  const missing: CounterToLoad[] = [];
  const budgeted = accounts.filter(({ budgets }) => budgets !== null);
  const isBudgeted = (row: RefundableEntry) => budgeted.some((account) => isOf(row, account));
  await loadJobStarts(
    em,
    rows.refundables.filter((row) => row.start === null && isBudgeted(row)),
  );
  for (const account of budgeted) {
    const { accountId, budgets } = account;
    const known: BudgetCounters = cached.get(accountId)?.budgetCounters ?? new Map();
    counters.set(accountId, known);
    const version = cached.has(accountId) ? account.version : null;
    for (const key of keysOf(account, budgets ?? [], tasks, rows, now)) {
      const name = counterName(key);
      if (known.has(name)) continue;
      known.set(name, { accountId, ...key, used: 0n, reportedCap: null });
      missing.push({ accountId, ...key, version });
    }
  }
  for (const counter of await loadBudgetCounters(em, missing))
    counters.get(counter.accountId)?.set(counterName(counter), counter);
  return counters;
}

const isOf = (row: { readonly accountId: string }, { accountId }: Account): boolean =>
  row.accountId === accountId;

function* keysOf(
  account: Account,
  budgets: readonly Budget[],
  tasks: readonly Task[],
  { reservations, refundables }: JobRows,
  now: number,
): Generator<BudgetCounterKey, void, void> {
  const startedAt = Math.max(now, account.lastAt);
  // Whatever becomes of the tasks before it, a new job begins after all budgets that are loaded.
  const startSeq = account.seq + 1n;
  const named = new Map<string, Set<string>>();
  for (const task of tasks) {
    if (!('command' in task) || !isOf(task, account)) continue;
    const { command } = task;
    if (command.kind === 'Reserve' || command.kind === 'Charge') {
      const job: Job = { startSeq, startedAt, labels: command.labels };
      yield* counterKeysOf(budgets, job, operationsOf(command.amount));
    } else if ('reservationId' in command) {
      const operations = named.get(command.reservationId) ?? new Set();
      named.set(command.reservationId, operations);
      if ('amount' in command)
        for (const operation of operationsOf(command.amount)) operations.add(operation);
    }
  }
  for (const reservation of reservations) {
    if (!isOf(reservation, account)) continue;
    const operations = named.get(reservation.reservationId) ?? new Set();
    for (const { operation } of reservation.heldByOperation ?? [])
      if (operation !== null) operations.add(operation);
    yield* counterKeysOf(budgets, jobOf(reservation), operations);
  }
  for (const refundable of refundables) {
    const { start, labels, usages } = refundable;
    if (!start || !isOf(refundable, account)) continue;
    const job = { startSeq: start.seq, startedAt: start.at, labels };
    yield* counterKeysOf(budgets, job, operationsOf({ usages: usages.map(({ usage }) => usage) }));
  }
}

const operationsOf = (amount: RequestedAmount | 'all'): readonly string[] =>
  amount !== 'all' && 'usages' in amount ? amount.usages.map(({ operation }) => operation) : [];
