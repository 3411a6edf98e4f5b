/**
 * A lane: the queue of the accounts that hash to it. What arrives in one burst goes together, in one
 * unit of work; while that is under way the next requests gather. There is no timer: an idle lane
 * serves a lone request at once, a busy one fills its units by itself. Where enough wait, a second
 * unit of work joins the first: one is decided while PostgreSQL is busy with the other.
 */
import { Failure, internalFailure } from '../failure.ts';
import { failureOfDatabase, isRetryable } from '../pg/failures.ts';
import type { WhereLocked } from '../store/load.ts';
import { StaleCacheError } from '../store/save.ts';
import { Mutex } from './mutex.ts';
import type { Answer, Task } from './task.ts';
import { CACHE_MISS, DEFERRED, TaskError, type unitOfWork } from './unit-of-work.ts';

type Waiting = {
  readonly task: Task;
  readonly answer: (answer: Answer) => void;
  /** How often it was deferred. */
  deferrals: number;
};

export type LaneOptions = {
  /** Runs one unit of work, which waits for accounts that another replica tasks on, or defers them. */
  readonly run: (
    tasks: readonly Task[],
    locked: WhereLocked,
    turns: Mutex,
  ) => ReturnType<typeof unitOfWork>;
  /** So many units of work are under way at once at most, no two of them on one account. */
  readonly unitsMax: number;
  /** So many tasks go into one unit of work at most. */
  readonly groupMax: number;
  /** So many tasks may wait; more are refused with OVERLOADED. */
  readonly queueMax: number;
  /** Told of what became an INTERNAL failure. */
  readonly onBug: (error: unknown, task: Task) => void;
};

const TRIES_MAX = 6;
/**
 * So many must wait before another unit of work joins one under way. A unit has costs of its own,
 * whatever its size (PostgreSQL and Node each take some 2 ms for one of a single reserve): of 64
 * requests in flight, two of 32 make 2,520 a second, one of 64 makes 2,280, two of any size 2,120.
 */
export const SECOND_UNIT_MIN_QUEUE = 32;
/** So many turns of the event loop a burst may take: under a steady load every turn brings some. */
const BURST_TURNS = 4;
/**
 * So often a work is deferred before its account is waited for: one that other replicas are always
 * busy with would never be had.
 */
const DEFERRALS_MAX = 2;
/** Where more than one work in so many is deferred, replicas are in each other's way. */
const CONTENTION_RATIO = 20;

export class Lane {
  readonly #options: LaneOptions;
  readonly #turns = new Mutex();
  #queue: Waiting[] = [];
  #running: Promise<void> | null = null;
  /** Accounts of the units of work under way. */
  readonly #busy = new Set<string>();
  /** Tasks in the units of work under way. */
  #tasksUnderWay = 0;
  /** Whether other replicas were seen to work on many of the same accounts. */
  #contended = false;
  #arrived = () => {};

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Answers when the task's transaction has been committed, or it has failed. Never rejects. */
  submit(task: Task): Promise<Answer> {
    const { queueMax } = this.#options;
    if (this.#queue.length >= queueMax)
      return Promise.resolve(
        new Failure('OVERLOADED', `${queueMax} requests are waiting already; try again shortly`, {
          queue: this.#queue.length,
          limit: queueMax,
        }),
      );
    return new Promise((answer) => {
      this.#queue.push({ task, answer, deferrals: 0 });
      this.#arrived();
      this.#running ??= this.#runAll();
    });
  }

  /** Settles when nothing waits or runs any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #runAll() {
    const units = new Set<Promise<void>>();
    while (this.#queue.length > 0 || units.size > 0) {
      await this.#gather();
      const unitsMax = this.#unitsMax;
      while (units.size < unitsMax) {
        const group = this.#takeGroup();
        if (group.length === 0) break;
        const unit = this.#runUnit(group).then(() => void units.delete(unit));
        units.add(unit);
      }
      const arrived = new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
      await Promise.race(units.size < unitsMax ? [arrived, ...units] : units);
    }
    this.#running = null;
  }

  /** Waits while turns of the event loop bring more requests: a burst takes some to be read. */
  async #gather() {
    let before = -1;
    for (let turn = 0; turn < BURST_TURNS && before < this.#queue.length; turn++) {
      before = this.#queue.length;
      await new Promise(setImmediate);
    }
  }

  async #runUnit(group: readonly Waiting[]) {
    for (const { task } of group) this.#busy.add(task.accountId);
    this.#tasksUnderWay += group.length;
    const undecided = await this.#runGroup(group);
    this.#tasksUnderWay -= group.length;
    for (const { task } of group) this.#busy.delete(task.accountId);
    this.#queue.unshift(...undecided);
    const deferred = undecided.filter(({ deferrals }) => deferrals > 0);
    this.#contended = deferred.length * CONTENTION_RATIO > group.length;
  }

  /** Several units of work of several replicas would mostly meet each other. */
  get #unitsMax(): number {
    return this.#contended ? 1 : this.#options.unitsMax;
  }

  /** What the next unit of work takes of what waits, in its order; nothing where it would be too few. */
  #takeGroup(): Waiting[] {
    if (this.#tasksUnderWay > 0 && this.#queue.length < SECOND_UNIT_MIN_QUEUE) return [];
    const most = this.#shareOf(this.#queue.length + this.#tasksUnderWay);
    const group: Waiting[] = [];
    this.#queue = this.#queue.filter((waiting) => {
      const { accountId } = waiting.task;
      const taken = group.length < most && !this.#busy.has(accountId);
      if (taken) group.push(waiting);
      return !taken;
    });
    return group;
  }

  /** All tasks there are, or as many as leave the other units of work their share. */
  #shareOf(tasks: number): number {
    const { groupMax } = this.#options;
    const units = Math.max(1, Math.min(this.#unitsMax, Math.floor(tasks / SECOND_UNIT_MIN_QUEUE)));
    return Math.min(groupMax, Math.ceil(tasks / units));
  }

  /** Answers a group; gives back, in their order, those that were not decided. */
  async #runGroup(group: readonly Waiting[]): Promise<readonly Waiting[]> {
    if (group.length === 0) return [];
    try {
      const answers = await this.#runRetrying(group);
      return group.filter((waiting, index) => {
        const answer = answers[index] as (typeof answers)[number];
        if (answer === DEFERRED) waiting.deferrals += 1;
        else if (answer !== CACHE_MISS) waiting.answer(answer);
        return answer === DEFERRED || answer === CACHE_MISS;
      });
    } catch (error) {
      return await this.#fail(group, error);
    }
  }

  /**
   * A unit of work that lost a race against another replica is run again as a whole: its transaction
   * could not be serialized, or a cached account was stale and is loaded this time.
   */
  async #runRetrying(group: readonly Waiting[]) {
    const tasks = group.map(({ task }) => task);
    const locked = whereLocked(group);
    for (let tries = 1; ; tries++) {
      try {
        return await this.#options.run(tasks, locked, this.#turns);
      } catch (error) {
        const lostRace = error instanceof StaleCacheError || isRetryable(error);
        if (tries === TRIES_MAX || !lostRace) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** tries));
      }
    }
  }

  /**
   * One bad task never fails its neighbours. Those that a bug does not concern run again together;
   * where the error does not say whom it concerns, they run again one by one.
   */
  async #fail(group: readonly Waiting[], error: unknown): Promise<readonly Waiting[]> {
    const failure = failureOfDatabase(error);
    if (failure) {
      for (const { answer } of group) answer(failure);
      return [];
    }
    if (error instanceof TaskError) {
      const isConcerned = ({ task }: Waiting) => error.tasks.includes(task);
      for (const queued of group.filter(isConcerned)) this.#answerBug(queued, error.cause);
      return await this.#runGroup(group.filter((queued) => !isConcerned(queued)));
    }
    const [first, ...others] = group as [Waiting, ...Waiting[]];
    if (others.length > 0) return await this.#runOneByOne(group);
    this.#answerBug(first, error);
    return [];
  }

  #answerBug({ task, answer }: Waiting, error: unknown) {
    this.#options.onBug(error, task);
    answer(internalFailure('origin' in task ? task.origin.traceId : ''));
  }

  /** What comes after an undecided request of the same account waits for it. */
  async #runOneByOne(group: readonly Waiting[]): Promise<readonly Waiting[]> {
    const undecided: Waiting[] = [];
    const held = new Set<string>();
    for (const waiting of group) {
      const { accountId } = waiting.task;
      const after = held.has(accountId) ? [waiting] : await this.#runGroup([waiting]);
      if (after.length > 0) held.add(accountId);
      undecided.push(...after);
    }
    return undecided;
  }
}

/** A unit of work that has one account only waits for it: it has nothing else to do. */
function whereLocked(group: readonly Waiting[]): WhereLocked {
  const one = group.every(({ task }) => task.accountId === group[0]?.task.accountId);
  return one || group.some(({ deferrals }) => deferrals >= DEFERRALS_MAX) ? 'wait' : 'skip';
}
