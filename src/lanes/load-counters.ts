/** Reads the counters of budgets that the tasks of a unit of work may change. Most accounts have no budgets. */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import { type BudgetCounters, counterName } from '../ledger/budget.ts';
import { counterKeysOf, type Job } from '../ledger/budget-counts.ts';
import type { Command } from '../ledger/decide.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { RequestedAmount } from '../ledger/requested-amount.ts';
import { jobOf, type Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import {
  type CounterToLoad,
  loadBudgetCounters,
  loadJobStarts,
} from '../store/load-budget-counters.ts';
import type { SingleTask } from './task.ts';

export type JobRows = {
  /** Those that commands name, and those that expire. */
  readonly reservations: readonly Reservation[];
  readonly refundables: readonly RefundableEntry[];
};

/** The counters of each account that has budgets, by account id. A counter without a row has used 0. */
export async function loadCounters(
  em: Em,
  accounts: readonly Account[],
  tasks: readonly SingleTask[],
  rows: JobRows,
  cached: ReadonlyMap<string, CachedAccount>,
  now: number,
): Promise<ReadonlyMap<string, BudgetCounters>> {
  const budgeted = accounts.filter(({ budgets }) => budgets !== null);
  const refundables = Map.groupBy(rows.refundables, ({ accountId }) => accountId);
  const named = budgeted.flatMap(({ accountId }) => refundables.get(accountId) ?? []);
  await loadJobStarts(
    em,
    named.filter(({ start }) => start === null),
  );
  const commands = Map.groupBy(commandsOf(tasks), ({ accountId }) => accountId);
  const reservations = Map.groupBy(rows.reservations, ({ accountId }) => accountId);
  const counters = new Map<string, BudgetCounters>();
  const missing: CounterToLoad[] = [];
  for (const account of budgeted) {
    const { accountId } = account;
    const known: BudgetCounters = cached.get(accountId)?.budgetCounters ?? new Map();
    counters.set(accountId, known);
    const version = cached.has(accountId) ? account.version : null;
    const jobs = [
      ...jobsOfCommands(account, commands.get(accountId) ?? [], now),
      ...jobsOfReservations(reservations.get(accountId) ?? [], commands.get(accountId) ?? []),
      ...jobsOfRefundables(refundables.get(accountId) ?? []),
    ];
    for (const { job, operations } of jobs)
      for (const key of counterKeysOf(account, job, operations)) {
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

type AccountCommand = { readonly accountId: string; readonly command: Command };

const commandsOf = (tasks: readonly SingleTask[]): readonly AccountCommand[] =>
  tasks.flatMap((task) => ('command' in task ? [task] : []));

/** A job whose counters are needed, and the operations that it may use. */
type KnownJob = { readonly job: Job; readonly operations: Iterable<string> };

/** Jobs that begin. Whatever becomes of the commands before it, one begins after all budgets that are loaded. */
const jobsOfCommands = (
  { seq, lastAt }: Account,
  commands: readonly AccountCommand[],
  now: number,
): readonly KnownJob[] =>
  commands.flatMap(({ command }) => {
    if (command.kind !== 'Reserve' && command.kind !== 'Charge') return [];
    const startedAt = command.usedAt ?? Math.max(now, lastAt);
    const job = { startSeq: seq + 1n, startedAt, labels: command.labels };
    return [{ job, operations: operationsOf(command.amount) }];
  });

/** What a reservation holds for operations, and what its commands raise or commit. */
function jobsOfReservations(
  reservations: readonly Reservation[],
  commands: readonly AccountCommand[],
): readonly KnownJob[] {
  const jobs = reservations.map((reservation) => {
    const held = reservation.heldByOperation?.flatMap(({ operation }) => operation ?? []);
    return { reservation, job: jobOf(reservation), operations: new Set(held) };
  });
  const byId = new Map(jobs.map((known) => [known.reservation.reservationId, known.operations]));
  for (const { command } of commands)
    if ('reservationId' in command && 'amount' in command)
      for (const operation of operationsOf(command.amount))
        byId.get(command.reservationId)?.add(operation);
  return jobs;
}

const jobsOfRefundables = (refundables: readonly RefundableEntry[]): readonly KnownJob[] =>
  refundables.flatMap(({ start, labels, usages }) => {
    if (!start) return [];
    const job = { startSeq: start.seq, startedAt: start.at, labels };
    return [{ job, operations: usages.map(({ usage }) => usage.operation) }];
  });

const operationsOf = (amount: RequestedAmount | 'all'): readonly string[] =>
  amount !== 'all' && 'usages' in amount ? amount.usages.map(({ operation }) => operation) : [];
