/**
 * One unit of work for a group of tasks: one transaction that locks their accounts, loads what they need,
 * settles the accounts, decides the tasks in order, writes everything at once, and commits once.
 */

import type { AccountCache } from '../account-cache/account-cache.ts';
import type { Clock } from '../clock/clock.ts';
import type { Book } from '../ledger/book.ts';
import type { Trace } from '../ledger/entry.ts';
import { isSettlementDue, settle } from '../ledger/settle.ts';
import type { Em } from '../pg/orm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { WaitPolicy } from '../store/load.ts';
import { save } from '../store/save.ts';
import type { Observers } from '../telemetry/observers.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { UnitRecord } from '../telemetry/unit-record.ts';
import { TimeSlice } from '../time-slice.ts';
import { decideAtomicBatch } from './decide-atomic-batch.ts';
import { decideTask, type Undecided } from './decide-task.ts';
import type { GrantLimits } from './grant-limits.ts';
import { cacheableAccounts } from './group-keys.ts';
import { loadUnit } from './load-unit.ts';
import type { LoadedUnit } from './loaded-unit.ts';
import { ObservedUnit } from './observed-unit.ts';
import { type Answer, singleTasks, type Task } from './task.ts';
import { writesOf } from './writes.ts';

export type UnitOfWorkContext = {
  /** The root of all: every transaction has an entity manager of its own. */
  readonly em: Em;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly tracing: Tracing;
  /** Told of every attempt at its end. */
  readonly observers: Observers;
  readonly cache: AccountCache;
  readonly grantLimits: GrantLimits;
  /** Called after each commit with the Books as they were committed. */
  readonly onCommit: (books: readonly Book[]) => void;
};

/**
 * A rule, or what encodes its outcome, threw: a bug, and the tasks that it concerns. The unit of work has
 * written nothing; its other tasks can run again without these.
 */
export class TaskError extends Error {
  readonly tasks: readonly Task[];

  constructor(tasks: readonly Task[], cause: unknown) {
    super('deciding a task failed', { cause });
    this.tasks = tasks;
  }
}

/**
 * Answers every task once its effect is durable. Throws where nothing was written:
 * - a TaskError for a bug;
 * - a StaleCacheError if a cached account has changed;
 * - a Failure if no time can be trusted;
 * - what the database failed with.
 */
export async function unitOfWork(
  context: UnitOfWorkContext,
  tasks: readonly Task[],
  waitPolicy: WaitPolicy,
  record: UnitRecord,
): Promise<(Answer | Undecided)[]> {
  record.begin('connectMs');
  const { isReliable } = context.clock;
  const now = context.clock.now();
  const singles = singleTasks(tasks);
  const cached = context.cache.take(cacheableAccounts(singles), now);
  const observed = new ObservedUnit(context, singles, record);
  try {
    const [unit, answers] = await context.em.transactional(async (em) => {
      observed.observeBatches(em);
      record.begin('lockLoadMs');
      const loaded = await loadUnit(
        em,
        context.catalogue,
        singles,
        waitPolicy,
        now,
        cached,
        context.grantLimits,
      );
      record.begin('decideMs');
      const unit = { ...loaded, isClockReliable: isReliable };
      const answers = await decideAll(unit, tasks, record, context.clock.now());
      const writes = writesOf(unit);
      record.begin('saveCommitMs');
      await save(em, writes);
      return [unit, answers] as const;
    });
    observed.committed(unit);
    context.grantLimits.update(unit.books.keys(), unit.needsGrants);
    const books = [...unit.books.values()];
    context.cache.store(
      cached,
      books.filter((book) => isCacheable(unit, book)),
    );
    context.onCommit(books);
    return answers;
  } catch (error) {
    context.cache.discard(cached);
    observed.failed(error);
    throw error;
  }
}

/**
 * Settles every account, then decides every task in order. Where the clock is not reliable, an account on
 * which something is due is left as it is. Throws a TaskError for a bug.
 */
async function decideAll(
  unit: LoadedUnit,
  tasks: readonly Task[],
  trace: Trace,
  at: number,
): Promise<(Answer | Undecided)[]> {
  for (const [accountId, book] of unit.books)
    try {
      if (unit.isClockReliable || !isSettlementDue(book)) settle(book, trace);
      else unit.waitingForClock.add(accountId);
    } catch (error) {
      const tasksOfAccount = tasks.filter((task) => task.accountId === accountId);
      throw new TaskError(tasksOfAccount, error);
    }
  const answers: (Answer | Undecided)[] = [];
  const slice = new TimeSlice();
  for (const task of tasks) {
    if (slice.isOver) await slice.next();
    try {
      answers.push(
        task.type === 'atomic batch'
          ? decideAtomicBatch(unit, task, trace, at)
          : decideTask(unit, task, trace, at),
      );
    } catch (error) {
      throw new TaskError([task], error);
    }
  }
  return answers;
}

/** Only a write proves that an account is current. */
const isCacheable = ({ needsReload, needsGrants }: LoadedUnit, book: Book): boolean =>
  book.hasChanges &&
  !needsReload.has(book.account.accountId) &&
  !needsGrants.has(book.account.accountId);
