/**
 * A lane: a queue of tasks, and the units of work that serve it (group commit). What is queued while a
 * unit of work runs forms the next group. There is no timer: an idle lane serves a lone task at once, a
 * busy one makes larger groups. Where enough is queued, a second unit of work joins the first: one is
 * decided while PostgreSQL writes the other.
 */
import { isSlotMoved } from '../cells/fence.ts';
import { Failure, internalFailure, overloaded } from '../failure.ts';
import { toDatabaseFailure } from '../pg/failures.ts';
import type { WaitPolicy } from '../store/load.ts';
import { UnitRecord } from '../telemetry/unit-record.ts';
import { CACHE_MISS, DEFERRED } from './decide-task.ts';
import { raceLostBy } from './lost-race.ts';
import { type Answer, requestsOf, type Task, weightOf } from './task.ts';
import { TaskError, type unitOfWork } from './unit-of-work.ts';

type Queued = {
  readonly task: Task;
  readonly resolve: (answer: Answer) => void;
  /** A monotonic time in milliseconds. */
  readonly since: number;
  /** How often it was deferred. */
  deferrals: number;
  /** When it was put back into the queue, and how long it had waited by then. */
  requeuedAt: number;
  waitedMs: number;
};

export type LaneOptions = {
  /** Runs one unit of work, and records it. */
  readonly run: (
    tasks: readonly Task[],
    waitPolicy: WaitPolicy,
    record: UnitRecord,
  ) => ReturnType<typeof unitOfWork>;
  /** Units of work that run at the same time at most, never two of them on one account. */
  readonly unitsMax: number;
  /** Tasks in one unit of work at most. */
  readonly groupMax: number;
  /**
   * How long a request may wait, in milliseconds. One that has waited longer is refused with OVERLOADED, unless the
   * queue is short.
   */
  readonly waitMaxMs: number;
  /** A monotonic time in milliseconds. */
  readonly now: () => number;
  /** Told of every error that a task was answered INTERNAL for. */
  readonly onBug: (error: unknown, task: Task) => void;
};

const ATTEMPTS_MAX = 6;
/** The queue that makes a second unit of work worth its own fixed costs. */
export const SECOND_UNIT_MIN_QUEUE = 32;
/** A task that has waited for so long makes it worth them as well: the database is slow, and mostly idle meanwhile. */
const SECOND_UNIT_WAIT_MS = 25;
/** Iterations of the event loop that a burst may take to arrive: under steady load each brings some. */
const BURST_ITERATIONS = 4;
/**
 * The weight of a unit of work, unless one task weighs more. What follows the decisions, such as hashing,
 * is not divided: calls that come meanwhile wait for it.
 */
const WEIGHT_MAX = 1_000;
/** A task deferred this often waits for the lock of its account. */
const DEFERRALS_MAX = 2;
/** Replicas contend for accounts if more than one task in CONTENTION_RATIO is deferred. */
const CONTENTION_RATIO = 20;

export class Lane {
  readonly #options: LaneOptions;
  #queue: Queued[] = [];
  #running: Promise<void> | null = null;
  /** Accounts of the running units of work. */
  readonly #busyAccounts = new Set<string>();
  /** Tasks in the running units of work. */
  #tasksRunning = 0;
  /** Whether the last unit of work found accounts that other replicas had locked. */
  #isContended = false;
  #onQueued = () => {};

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Resolves when the task's transaction has committed or the task has failed. Never rejects. */
  submit(task: Task): Promise<Answer> {
    return new Promise((resolve) => {
      const since = this.#options.now();
      this.#queue.push({ task, resolve, since, deferrals: 0, requeuedAt: since, waitedMs: 0 });
      this.#onQueued();
      this.#running ??= this.#runAll();
    });
  }

  /** Tasks in the queue. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Resolves when nothing is queued or running. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #runAll() {
    const units = new Set<Promise<void>>();
    while (this.#queue.length > 0 || units.size > 0) {
      await this.#gatherBurst();
      const unitsMax = this.#unitsMax;
      while (units.size < unitsMax) {
        const group = this.#nextGroup();
        if (group.length === 0) break;
        const unit = this.#runUnit(group).then(() => void units.delete(unit));
        units.add(unit);
      }
      // All ended while the burst was gathered: there is nothing to wait for.
      if (units.size === 0) continue;
      const queued = new Promise<void>((resolve) => {
        this.#onQueued = resolve;
      });
      await Promise.race(units.size < unitsMax ? [queued, ...units] : units);
    }
    this.#running = null;
  }

  /** Waits while iterations of the event loop bring more tasks: a burst takes some to be read. */
  async #gatherBurst() {
    let before = -1;
    for (let count = 0; count < BURST_ITERATIONS && before < this.#queue.length; count++) {
      before = this.#queue.length;
      await new Promise(setImmediate);
    }
  }

  /** Several units of work of several replicas would mostly contend with each other. */
  get #unitsMax(): number {
    return this.#isContended ? 1 : this.#options.unitsMax;
  }

  /** Removes the next group from the queue; empty where a unit of work is not worth it. */
  #nextGroup(): Queued[] {
    if (this.#tasksRunning > 0 && !this.#isWorthSecondUnit) return [];
    if (this.#queue.length > SECOND_UNIT_MIN_QUEUE) this.#refuseLate();
    const size = this.#groupSize();
    const { unitsMax, groupMax } = this.#options;
    const isLong = this.#queue.length > unitsMax * groupMax;
    const free = this.#queue.filter(({ task }) => !this.#busyAccounts.has(task.accountId));
    const group = withinWeight(isLong ? chooseInTurns(free, size) : free.slice(0, size));
    if (group.length < this.#queue.length) {
      const chosen = new Set(group);
      this.#queue = this.#queue.filter((queued) => !chosen.has(queued));
    } else this.#queue = [];
    return group;
  }

  get #isWorthSecondUnit(): boolean {
    if (this.#queue.length >= SECOND_UNIT_MIN_QUEUE) return true;
    const [first] = this.#queue;
    return first !== undefined && this.#options.now() - first.since > SECOND_UNIT_WAIT_MS;
  }

  /** Refuses what has waited too long. Its callers are told so while they still wait. */
  #refuseLate() {
    const { waitMaxMs } = this.#options;
    const before = this.#options.now() - waitMaxMs;
    const isLate = ({ task, since }: Queued) => since < before && requestsOf(task).length > 0;
    const late = this.#queue.filter(isLate);
    if (late.length === 0) return;
    const failure = overloaded(this.#queue.length, this.#queue.length - late.length);
    this.#queue = this.#queue.filter((queued) => !isLate(queued));
    for (const { resolve } of late) resolve(failure);
  }

  /** All tasks there are, or an equal share of them for each unit of work. */
  #groupSize(): number {
    const tasks = this.#queue.length + this.#tasksRunning;
    const units = Math.max(1, Math.min(this.#unitsMax, Math.floor(tasks / SECOND_UNIT_MIN_QUEUE)));
    return Math.min(this.#options.groupMax, Math.ceil(tasks / units));
  }

  async #runUnit(group: readonly Queued[]) {
    const begun = this.#options.now();
    for (const queued of group) {
      this.#busyAccounts.add(queued.task.accountId);
      queued.waitedMs += begun - queued.requeuedAt;
    }
    this.#tasksRunning += group.length;
    const undecided = await this.#runGroup(group);
    this.#tasksRunning -= group.length;
    for (const { task } of group) this.#busyAccounts.delete(task.accountId);
    const ended = this.#options.now();
    for (const queued of undecided) queued.requeuedAt = ended;
    this.#queue.unshift(...undecided);
    const deferred = undecided.filter(({ deferrals }) => deferrals > 0);
    this.#isContended = deferred.length * CONTENTION_RATIO > group.length;
  }

  /** Answers a group. Returns the tasks that were not decided, in their order. */
  async #runGroup(group: readonly Queued[]): Promise<readonly Queued[]> {
    if (group.length === 0) return [];
    try {
      const answers = await this.#runRepeatedly(group);
      return group.filter((queued, index) => {
        const answer = answers[index] as (typeof answers)[number];
        if (answer === DEFERRED) defer(queued);
        else if (answer !== CACHE_MISS) queued.resolve(answer);
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
  async #runRepeatedly(group: readonly Queued[]) {
    const tasks = group.map(({ task }) => task);
    const waitPolicy = waitPolicyOf(group);
    let lostBy = '';
    for (let attempt = 1; ; attempt++) {
      const record = new UnitRecord(tasks.length, attempt, lostBy);
      for (const queued of group) recordUnit(queued, record);
      try {
        return await this.#options.run(tasks, waitPolicy, record);
      } catch (error) {
        lostBy = raceLostBy(error);
        if (attempt === ATTEMPTS_MAX || lostBy === '') throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** attempt));
      }
    }
  }

  /**
   * One bad task never fails its neighbours. Those that a bug does not concern run again together; where
   * the error does not say whom it concerns, they run again one by one.
   */
  async #fail(group: readonly Queued[], error: unknown): Promise<readonly Queued[]> {
    const failure = error instanceof Failure ? error : toDatabaseFailure(error);
    // An account that is in another cell by now concerns no other.
    if (failure && group.length > 1 && isSlotMoved(error)) return await this.#runOneByOne(group);
    if (failure) {
      for (const { resolve } of group) resolve(failure);
      return [];
    }
    if (error instanceof TaskError) {
      const isConcerned = ({ task }: Queued) => error.tasks.includes(task);
      for (const queued of group.filter(isConcerned)) this.#failInternally(queued, error.cause);
      return await this.#runGroup(group.filter((queued) => !isConcerned(queued)));
    }
    const [first, ...others] = group as [Queued, ...Queued[]];
    if (others.length > 0) return await this.#runOneByOne(group);
    this.#failInternally(first, error);
    return [];
  }

  #failInternally({ task, resolve }: Queued, error: unknown) {
    this.#options.onBug(error, task);
    const [first] = 'command' in task ? [task] : requestsOf(task);
    resolve(internalFailure(first?.origin.traceId ?? ''));
  }

  /** Returns the tasks that were not decided; with one, all later ones of its account. */
  async #runOneByOne(group: readonly Queued[]): Promise<readonly Queued[]> {
    const undecided: Queued[] = [];
    const heldUp = new Set<string>();
    for (const queued of group) {
      const { accountId } = queued.task;
      const left = heldUp.has(accountId) ? [queued] : await this.#runGroup([queued]);
      if (left.length > 0) heldUp.add(accountId);
      undecided.push(...left);
    }
    return undecided;
  }
}

function defer(queued: Queued) {
  queued.deferrals += 1;
  for (const { call } of requestsOf(queued.task)) if (call) call.deferrals += 1;
}

function recordUnit({ task, waitedMs }: Queued, unit: UnitRecord) {
  if (task.type === 'request') task.call?.entered(unit, waitedMs);
  else for (const { call } of requestsOf(task)) call?.entered(unit, waitedMs);
}

/**
 * The next group of a long queue: the first task of each account, then the second of each, and so on. So an
 * account with many tasks does not hold up the others. Groups of a short queue are in its order: they have fewer
 * accounts, which leaves more to units of work at the same time.
 */
function chooseInTurns(queue: readonly Queued[], size: number): Queued[] {
  const turns = new Map<string, number>();
  const inTurns: Queued[][] = [[]];
  for (const queued of queue) {
    const { accountId } = queued.task;
    const turn = turns.get(accountId) ?? 0;
    turns.set(accountId, turn + 1);
    if (turn < inTurns.length) inTurns[turn]?.push(queued);
    else inTurns.push([queued]);
  }
  return inTurns.flat().slice(0, size);
}

/** The first tasks of a group, as long as they weigh no more than WEIGHT_MAX together; at least one. */
function withinWeight(group: Queued[]): Queued[] {
  let weight = 0;
  const end = group.findIndex(({ task }, index) => {
    weight += weightOf(task);
    return weight > WEIGHT_MAX && index > 0;
  });
  return end === -1 ? group : group.slice(0, end);
}

/** A unit of work of one account waits for its lock: it has nothing else to do. */
function waitPolicyOf(group: readonly Queued[]): WaitPolicy {
  const oneAccount = group.every(({ task }) => task.accountId === group[0]?.task.accountId);
  return oneAccount || group.some(({ deferrals }) => deferrals >= DEFERRALS_MAX) ? 'wait' : 'skip';
}
