/**
 * Tells followers of an account that it has new entries: at once when they were written here, within
 * the poll interval when another replica wrote them. One query per interval serves all followers.
 * Polling, not LISTEN/NOTIFY: it works through poolers and on distributed PostgreSQL alike.
 */
import type { Em } from '../pg/orm.ts';
import { newestSeqs } from './history.ts';

type Follower = { readonly afterSeq: bigint; readonly wake: () => void };

export class Tail {
  readonly #em: () => Em;
  readonly #intervalMs: number;
  readonly #followers = new Map<string, Set<Follower>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(em: () => Em, intervalMs: number) {
    this.#em = em;
    this.#intervalMs = intervalMs;
  }

  /** Resolves when the account may have entries after `afterSeq`, or when the signal aborts. */
  async changed(accountId: string, afterSeq: bigint, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const follower: Follower = { afterSeq, wake: done };
      const followers = this.#followers.get(accountId) ?? new Set();
      this.#followers.set(accountId, followers.add(follower));
      signal.addEventListener('abort', done, { once: true });
      this.#schedule();
      function done() {
        signal.removeEventListener('abort', done);
        followers.delete(follower);
        resolve();
      }
    });
    if (this.#followers.get(accountId)?.size === 0) this.#followers.delete(accountId);
  }

  /** Entries up to `seq` were written to the account. */
  wrote(accountId: string, seq: bigint) {
    for (const follower of [...(this.#followers.get(accountId) ?? [])])
      if (follower.afterSeq < seq) follower.wake();
  }

  #schedule() {
    if (this.#timer || this.#followers.size === 0) return;
    this.#timer = setTimeout(() => void this.#poll(), this.#intervalMs);
    this.#timer.unref();
  }

  async #poll() {
    try {
      const newest = await newestSeqs(this.#em(), [...this.#followers.keys()]);
      for (const [accountId, seq] of newest) this.wrote(accountId, seq);
    } catch {
      // The database is away: followers wait on, as they would for new entries.
    }
    this.#timer = null;
    this.#schedule();
  }
}
