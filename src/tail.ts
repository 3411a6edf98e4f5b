/**
 * A tail wakes the followers of append-only streams: at once when this replica has appended to a stream,
 * by polling when another replica has. One query per interval serves all followers. It polls instead of
 * using LISTEN/NOTIFY so that it works through connection poolers and on distributed PostgreSQL.
 */
import type { Logger } from 'pino';
import { Poller } from './poller.ts';

export type TailOptions = {
  /** For the log. */
  readonly name: string;
  /** The newest positions of streams, by their keys. */
  readonly fetchNewest: (
    keys: readonly string[],
  ) => Promise<Iterable<readonly [key: string, position: bigint]>>;
  readonly intervalMs: number;
  readonly log: Logger;
};

type Follower = { readonly position: bigint; readonly wake: () => void };

export class Tail {
  readonly #options: TailOptions;
  readonly #poller: Poller;
  /** By the key of their stream; no stream without followers. */
  readonly #followers = new Map<string, Set<Follower>>();

  constructor(options: TailOptions) {
    this.#options = options;
    const { name, intervalMs, log } = options;
    this.#poller = new Poller({ name, run: () => this.#poll(), intervalMs, log });
  }

  /** Resolves when the stream may be beyond or behind `position`, or when the signal aborts. */
  async waitBeyond(key: string, position: bigint, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const woken = Promise.withResolvers<void>();
    const follower: Follower = { position, wake: woken.resolve };
    const followers = this.#followers.get(key) ?? new Set();
    this.#followers.set(key, followers.add(follower));
    signal.addEventListener('abort', follower.wake, { once: true });
    await woken.promise;
    signal.removeEventListener('abort', follower.wake);
    followers.delete(follower);
    if (followers.size === 0 && this.#followers.get(key) === followers) this.#followers.delete(key);
  }

  /** To be called when a stream has got up to `position`: wakes those of its followers that wait for it. */
  advance(key: string, position: bigint) {
    for (const follower of this.#followers.get(key) ?? [])
      if (follower.position < position) follower.wake();
  }

  /** Resolves when the current query is done. Followers wait on until their signals abort. */
  stop(): Promise<void> {
    return this.#poller.stop();
  }

  async #poll(): Promise<boolean> {
    if (this.#followers.size === 0) return false;
    const asked = new Set(this.#followers.keys());
    const newest = await this.#options.fetchNewest([...asked]);
    const positions = new Map(newest);
    for (const [key, followers] of this.#followers)
      for (const { position, wake } of followers) {
        // Behind its follower is a stream that has lost what was appended last, or a query that is
        // older than the follower's position. The follower finds out.
        if (asked.has(key) && positions.get(key) !== position) wake();
      }
    return false;
  }
}
