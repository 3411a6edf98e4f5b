/**
 * Follows what is charged into the usage rollups. A replica remembers which accounts it wrote, and counts their
 * entries some seconds later, many at once: units of work write nothing for it. What a replica forgets when it
 * stops is found by comparing accounts with their positions, at every start and now and then.
 *
 * All replicas do so. The lock of an account's position makes sure that an entry is counted once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toDatabaseFailure } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { rollUp } from './roll-up.ts';
import { findUncounted } from './uncounted-accounts.ts';

export type UsageFollowerOptions = {
  readonly em: () => Em;
  readonly log: Logger;
  /** Milliseconds that pass, of any origin. */
  readonly monotonic: () => number;
  readonly intervalMs: number;
};

/** Accounts and entries in one transaction. The event loop serves calls between two of them. */
const ACCOUNTS_MAX = 100;
const ENTRIES_MAX = 1_000;
/** Accounts that are remembered. Of more, the rest are found by a comparison. */
const REMEMBERED_MAX = 200_000;
/** Accounts that one query compares with their positions. */
const COMPARED_MAX = 2_000;
const COMPARE_INTERVAL_MS = 600_000;
/** A backlog takes at most one part of the time in so many: calls come first. */
const PART_OF_TIME = 4;
/** Transactions in which a report counts the newest entries of its account before it reads. */
const CATCH_UP_MAX = 10;

export class UsageFollower {
  readonly #options: UsageFollowerOptions;
  readonly #poller: Poller;
  /** Accounts that have entries to count. */
  readonly #uncounted = new Set<string>();
  /** After which account a comparison goes on; null: it is over. */
  #compareAfter: string | null = '';
  #comparedAt = 0;

  constructor(options: UsageFollowerOptions) {
    this.#options = options;
    const { intervalMs, log, monotonic } = options;
    this.#comparedAt = monotonic();
    this.#poller = new Poller({
      name: 'counting of usage',
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

  /** Counts everything there is now, without waiting for the interval. */
  async countAll(): Promise<void> {
    this.#compareAfter = '';
    while (await this.#runOnce());
  }

  /** Counts the newest entries of an account, as far as they are few, readable and counted by nobody else. */
  async catchUp(accountId: string): Promise<void> {
    const { em } = this.#options;
    try {
      for (let round = 0; round < CATCH_UP_MAX; round++) {
        const { unfinished } = await rollUp(em(), [accountId], ENTRIES_MAX, 'skip');
        if (unfinished.length === 0) return;
      }
    } catch (error) {
      if (toDatabaseFailure(error)) throw error;
      this.#logUncountable(accountId, error);
    }
  }

  /** Counts an account up to its newest entry, however many there are. */
  async finish(accountId: string): Promise<void> {
    while ((await rollUp(this.#options.em(), [accountId], ENTRIES_MAX, 'wait')).unfinished.length);
  }

  /** Resolves when the current batch is done. */
  stop(): Promise<void> {
    return this.#poller.stop();
  }

  /** Rests after each run for a multiple of the time that it took. */
  async #inPartOfTime(run: () => Promise<boolean>): Promise<boolean> {
    const { monotonic } = this.#options;
    const startedAt = monotonic();
    const isMore = await run();
    const restMs = (monotonic() - startedAt) * (PART_OF_TIME - 1);
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
    try {
      const { done, unfinished, locked } = await rollUp(
        this.#options.em(),
        batch,
        ENTRIES_MAX,
        'skip',
      );
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
      'the usage of an account cannot be counted; it will be tried again',
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
    const { em, monotonic } = this.#options;
    if (!this.#isComparing && monotonic() - this.#comparedAt < COMPARE_INTERVAL_MS) return false;
    const page = await findUncounted(em(), this.#compareAfter ?? '', COMPARED_MAX);
    for (const accountId of page.accountIds) this.#uncounted.add(accountId);
    this.#compareAfter = page.next;
    if (page.next === null) this.#comparedAt = monotonic();
    return this.#isComparing || this.#uncounted.size > 0;
  }
}
