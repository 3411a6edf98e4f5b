/**
 * A lane: the queue of the accounts that hash to it. While one unit of work is under way the next
 * requests gather; then all that wait go together. There is no timer: an idle lane serves a lone
 * request at once, a busy one fills its groups by itself.
 */
import { Failure, internalFailure } from '../failure.ts';
import { failureOfDatabase, isRetryable } from '../store/database-failure.ts';
import { DEFERRED, type unitOfWork } from './unit-of-work.ts';
import type { Answer, Work } from './work.ts';

type Waiting = {
  readonly work: Work;
  readonly answer: (answer: Answer) => void;
};

export type LaneOptions = {
  /** Runs one unit of work. */
  readonly run: (works: readonly Work[]) => ReturnType<typeof unitOfWork>;
  /** So many works go into one unit of work at most. */
  readonly groupMax: number;
  /** So many works may wait; more are refused with OVERLOADED. */
  readonly queueMax: number;
  /** Keep one unit of work to one account, for databases whose transactions must stay on a shard. */
  readonly oneAccountPerUnit: boolean;
  /** Told of what became an INTERNAL failure. */
  readonly onBug: (error: unknown, work: Work) => void;
};

const TRIES_MAX = 6;

export class Lane {
  readonly #options: LaneOptions;
  #queue: Waiting[] = [];
  #running: Promise<void> | null = null;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Answers when the work's transaction has been committed, or it has failed. Never rejects. */
  submit(work: Work): Promise<Answer> {
    const { queueMax } = this.#options;
    if (this.#queue.length >= queueMax)
      return Promise.resolve(
        new Failure('OVERLOADED', `${queueMax} requests are waiting already; try again shortly`, {
          queue: this.#queue.length,
          limit: queueMax,
        }),
      );
    return new Promise((answer) => {
      this.#queue.push({ work, answer });
      this.#running ??= this.#runAll();
    });
  }

  /** Settles when nothing waits or runs any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #runAll() {
    // Requests that arrive in the same turn of the event loop go together.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const deferred = await this.#runGroup(this.#takeGroup());
      this.#queue.unshift(...deferred);
    }
    this.#running = null;
  }

  #takeGroup(): Waiting[] {
    const { groupMax, oneAccountPerUnit } = this.#options;
    if (!oneAccountPerUnit) return this.#queue.splice(0, groupMax);
    const accountId = this.#queue[0]?.work.accountId;
    const group: Waiting[] = [];
    this.#queue = this.#queue.filter((waiting) => {
      const taken = group.length < groupMax && waiting.work.accountId === accountId;
      if (taken) group.push(waiting);
      return !taken;
    });
    return group;
  }

  /** Answers a group; gives back, in their order, those whose accounts have more to settle first. */
  async #runGroup(group: readonly Waiting[]): Promise<readonly Waiting[]> {
    try {
      const answers = await this.#runRetrying(group.map(({ work }) => work));
      return group.filter((waiting, index) => {
        const answer = answers[index] as (typeof answers)[number];
        if (answer === DEFERRED) return true;
        waiting.answer(answer);
        return false;
      });
    } catch (error) {
      return await this.#fail(group, error);
    }
  }

  /** A unit of work whose transaction lost a race is run again as a whole. */
  async #runRetrying(works: readonly Work[]) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#options.run(works);
      } catch (error) {
        if (tries === TRIES_MAX || !isRetryable(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** tries));
      }
    }
  }

  /** One bad request never fails its neighbours: what fails together is tried again one by one. */
  async #fail(group: readonly Waiting[], error: unknown): Promise<readonly Waiting[]> {
    const failure = failureOfDatabase(error);
    if (failure) {
      for (const { answer } of group) answer(failure);
      return [];
    }
    const [first, ...others] = group as [Waiting, ...Waiting[]];
    if (others.length > 0) return await this.#runOneByOne(group);
    this.#options.onBug(error, first.work);
    first.answer(internalFailure(first.work.command ? first.work.origin.traceId : ''));
    return [];
  }

  /** What comes after a deferred request of the same account waits for it. */
  async #runOneByOne(group: readonly Waiting[]): Promise<readonly Waiting[]> {
    const deferred: Waiting[] = [];
    const held = new Set<string>();
    for (const waiting of group) {
      const { accountId } = waiting.work;
      const after = held.has(accountId) ? [waiting] : await this.#runGroup([waiting]);
      if (after.length > 0) held.add(accountId);
      deferred.push(...after);
    }
    return deferred;
  }
}
