/**
 * Tells followers that there are events beyond a position: at once when they got their positions
 * here, within the poll interval when another replica gave them. One query per interval serves all.
 */
import type { Em } from '../pg/orm.ts';
import { newestPosition } from '../store/events.ts';

type Follower = { readonly after: bigint; readonly wake: () => void };

export class EventTail {
  readonly #em: () => Em;
  readonly #intervalMs: number;
  readonly #followers = new Set<Follower>();
  #timer: NodeJS.Timeout | null = null;

  constructor(em: () => Em, intervalMs: number) {
    this.#em = em;
    this.#intervalMs = intervalMs;
  }

  /** Resolves when there may be events after a position, or when the signal aborts. */
  async changed(after: bigint, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const follower: Follower = { after, wake: done };
      const followers = this.#followers.add(follower);
      signal.addEventListener('abort', done, { once: true });
      this.#schedule();
      function done() {
        signal.removeEventListener('abort', done);
        followers.delete(follower);
        resolve();
      }
    });
  }

  /** Events up to a position can be read. */
  advanceTo(position: bigint) {
    for (const follower of [...this.#followers]) if (follower.after < position) follower.wake();
  }

  #schedule() {
    if (this.#timer || this.#followers.size === 0) return;
    this.#timer = setTimeout(() => void this.#poll(), this.#intervalMs);
    this.#timer.unref();
  }

  async #poll() {
    try {
      this.advanceTo(await newestPosition(this.#em()));
    } catch {
      // The database is away: followers wait on, as they would for new events.
    }
    this.#timer = null;
    this.#schedule();
  }
}
