/**
 * A job that is done in rounds: at once when somebody wakes it, else every interval. Never two rounds
 * at a time. A round that fails is repeated at the next interval, so nothing spins while the database
 * is away.
 */
import type { Logger } from 'pino';

export type PollerOptions = {
  /** Does a bounded part of the work; answers whether there may be more to do right away. */
  readonly round: () => Promise<boolean>;
  readonly intervalMs: number;
  readonly log: Logger;
  /** What fails, for the log. */
  readonly name: string;
};

export class Poller {
  readonly #options: PollerOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #woken = false;
  #failing = false;
  #stopped = false;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.wake();
  }

  /** There is something to do. */
  wake() {
    if (this.#stopped) return;
    this.#woken = true;
    this.#running ??= this.#run();
  }

  /** Begins no round any more, and settles when the one under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  async #run() {
    if (this.#timer) clearTimeout(this.#timer);
    while (this.#woken && !this.#stopped) {
      this.#woken = false;
      try {
        this.#woken = (await this.#options.round()) || this.#woken;
        this.#failing = false;
      } catch (error) {
        this.#woken = false;
        const { log, name } = this.#options;
        // Once per outage, not four times a second.
        if (!this.#failing) log.warn({ err: error }, `${name} failed; it will be repeated`);
        this.#failing = true;
      }
    }
    this.#running = null;
    if (this.#stopped) return;
    // Spread, so that replicas started together do not ask together.
    const delayMs = this.#options.intervalMs * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.wake(), delayMs);
    this.#timer.unref();
  }
}
