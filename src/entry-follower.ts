/**
 * Follows entries into sums, such as usage rollups, whose positions say up to which entry of an account they are
 * exact. A replica that is told which accounts it wrote counts their entries some seconds later, many at once: units
 * of work write nothing for it. What a replica forgets when it stops, or was never told, is found by comparing
 * accounts with their positions, at every start and now and then.
 *
 * All replicas do so. The lock of an account's position makes sure that an entry is counted once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toDatabaseFailure } from './pg/failures.ts';
import type { Em } from './pg/orm.ts';
import { Poller } from './poller.ts';

/** What became of the accounts that were to be counted. Those that do not exist are in none of the lists. */
export type CountedAccounts = {
  /** Exact up to the newest entry there was. */
  readonly done: readonly string[];
  /** More entries are left. */
  readonly unfinished: readonly string[];
  /** Somebody else counts them. */
  readonly locked: readonly string[];
};

/** `next`: after which account the next page begins; null: there are no more. */
export type UncountedPage = {
  readonly accountIds: readonly string[];
  readonly next: string | null;
};

export type EntryFollowerOptions = {
  /** What is counted, for the log: such as "usage". */
  readonly counted: string;
  /** Counts about so many entries of these accounts at most. A locked position is left out, or waited for. */
  readonly count: (
    em: Em,
    accountIds: readonly string[],
    entriesMax: number,
    ifLocked: 'skip' | 'wait',
  ) => Promise<CountedAccounts>;
  /** Of the next `limit` accounts after `after`, those with entries that are not counted. */
  readonly findUncounted: (em: Em, after: string, limit: number) => Promise<UncountedPage>;
  /** Entries in one transaction. The event loop serves calls between two of them. */
  readonly entriesMax: number;
  readonly em: () => Em;
  readonly log: Logger;
  /** Milliseconds that pass, of any origin. */
  readonly monotonic: () => number;
  readonly intervalMs: number;
};

/** Accounts in one transaction. */
const ACCOUNTS_MAX = 100;
/** Accounts that are remembered. Of more, the rest are found by a comparison. */
const REMEMBERED_MAX = 200_000;
/** Accounts that one query compares with their positions. */
const COMPARED_MAX = 2_000;
const COMPARE_INTERVAL_MS = 600_000;
/** A backlog takes at most one part of the time in so many: calls come first. */
const PART_OF_TIME = 4;
/** A run takes seconds. Where more time passed, the process was stopped: the rest is no longer for it. */
const REST_MAX_MS = 60_000;
/** Transactions in which a report counts the newest entries of its account before it reads. */
const CATCH_UP_MAX = 10;

export class EntryFollower {
  readonly #options: EntryFollowerOptions;
  readonly #poller: Poller;
  /** Accounts that have entries to count. */
  readonly #uncounted = new Set<string>();
  /** After which account a comparison goes on; null: it is over. */
  #compareAfter: string | null = '';
  #comparedAt = 0;

  constructor(options: EntryFollowerOptions) {
    this.#options = options;
    const { counted, intervalMs, log, monotonic } = options;
    this.#comparedAt = monotonic();
    this.#poller = new Poller({
      name: `counting of ${counted}`,
      run: () => this.#inPartOfTime(() => this.#runOnce()),
      intervalMs,
      log,
    });
  }

  /** To be called after a commit with an account that it wrote entries of. */
  remember(accountId: string) {
    if (this.#uncounted.size < REMEMBERED_MAX) this.#uncounted.add(accountId);
    else this.#compareAfter ??= '';
  }

  /** Counts everything there is now, without waiting for the interval, or until that is to end. */
  async countAll(isEnded: () => boolean = () => false): Promise<void> {
    this.#compareAfter = '';
    while (!isEnded() && (await this.#runOnce()));
  }

  /** Counts the newest entries of an account, as far as they are few, readable and counted by nobody else. */
  async catchUp(accountId: string): Promise<void> {
    const { em, count, entriesMax } = this.#options;
    try {
      for (let round = 0; round < CATCH_UP_MAX; round++) {
        const { unfinished } = await count(em(), [accountId], entriesMax, 'skip');
        if (unfinished.length === 0) return;
      }
    } catch (error) {
      if (toDatabaseFailure(error)) throw error;
      this.#logUncountable(accountId, error);
    }
  }

  /** Counts an account up to its newest entry, however many there are. */
  async finish(accountId: string): Promise<void> {
    const { em, count, entriesMax } = this.#options;
    while ((await count(em(), [accountId], entriesMax, 'wait')).unfinished.length > 0);
  }

  /** Resolves when the current batch is done. */
  stop(): Promise<void> {
    return this.#poller.stop();
  }

  /** Rests after each run for a multiple of the time that it took, at most REST_MAX_MS. */
  async #inPartOfTime(run: () => Promise<boolean>): Promise<boolean> {
    const { monotonic } = this.#options;
    const startedAt = monotonic();
    const isMore = await run();
    const restMs = Math.min((monotonic() - startedAt) * (PART_OF_TIME - 1), REST_MAX_MS);
    const { stopping } = this.#poller;
    if (isMore) await sleep(restMs, null, { signal: stopping, ref: false }).catch(() => {});
    return isMore;
  }

  /** Counts a batch, or else compares some accounts. Resolves to whether there is more to do at once. */
  async #runOnce(): Promise<boolean> {
    if (this.#uncounted.size === 0) return await this.#compare();
    const countedAny = await this.#countBatch(this.#takeBatch());
    // Where others count all that is left, it is looked at again after the interval.
    return countedAny && (this.#uncounted.size > 0 || this.#isComparing);
  }

  #takeBatch(): readonly string[] {
    const batch: string[] = [];
    for (const accountId of this.#uncounted) {
      if (batch.length === ACCOUNTS_MAX) break;
      this.#uncounted.delete(accountId);
      batch.push(accountId);
    }
    return batch;
  }

  async #countBatch(batch: readonly string[]): Promise<boolean> {
    const { em, count, entriesMax } = this.#options;
    try {
      const { done, unfinished, locked } = await count(em(), batch, entriesMax, 'skip');
      for (const accountId of [...unfinished, ...locked]) this.#uncounted.add(accountId);
      return done.length + unfinished.length > 0;
    } catch (error) {
      if (toDatabaseFailure(error)) {
        for (const accountId of batch) this.#uncounted.add(accountId);
        throw error;
      }
      if (batch.length > 1) return await this.#countApart(batch);
      this.#logUncountable(batch[0] ?? '', error);
      return true;
    }
  }

  #logUncountable(accountId: string, error: unknown) {
    this.#options.log.error(
      { err: error, account_id: accountId },
      `the ${this.#options.counted} of an account cannot be counted; it will be tried again`,
    );
  }

  /** One account that cannot be counted, such as one with a damaged entry, does not keep the others from it. */
  async #countApart(batch: readonly string[]): Promise<boolean> {
    for (const accountId of batch) await this.#countBatch([accountId]);
    return true;
  }

  get #isComparing(): boolean {
    return this.#compareAfter !== null;
  }

  async #compare(): Promise<boolean> {
    const { em, findUncounted, monotonic } = this.#options;
    if (!this.#isComparing && monotonic() - this.#comparedAt < COMPARE_INTERVAL_MS) return false;
    const page = await findUncounted(em(), this.#compareAfter ?? '', COMPARED_MAX);
    for (const accountId of page.accountIds) this.#uncounted.add(accountId);
    this.#compareAfter = page.next;
    if (page.next === null) this.#comparedAt = monotonic();
    return this.#isComparing || this.#uncounted.size > 0;
  }
}
