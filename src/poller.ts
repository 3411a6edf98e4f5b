/**
 * Background work: a poller runs one task at once when woken, otherwise on an interval with jitter.
 * Runs of a poller's schedule never overlap. A run that fails is repeated after the interval, so that an
 * outage of the database causes no busy loop, and it is logged once per outage.
 */
import type { Logger } from 'pino';

export type PollerOptions = {
  /** What runs, for the log. */
  readonly name: string;
  /** Does a bounded part of the work. Resolves to whether there may be more to do at once. */
  readonly run: () => Promise<boolean>;
  /** Between the end of a run and the start of the next, ±25 % of jitter. */
  readonly intervalMs: number;
  readonly log: Logger;
};

export class Poller {
  readonly #options: PollerOptions;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #woken = false;
  #failing = false;

  /** The first run starts after one interval, or when `wake` is called. */
  constructor(options: PollerOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Aborts when the poller stops: a long run checks it between two items. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Starts a run now. During a run it starts another one after it, as that one may have missed the work. */
  wake() {
    if (this.stopping.aborted) return;
    this.#woken = true;
    this.#running ??= this.#runWhileWoken();
  }

  /**
   * Runs the task until nothing is left to do, apart from the schedule: it may overlap with a scheduled
   * run. Rejects with the error of a run that fails.
   */
  async drain(): Promise<void> {
    while ((await this.#options.run()) && !this.stopping.aborted);
  }

  /** Starts no further run. Resolves when the current run has ended, or after `graceMs`. */
  async stop(graceMs?: number): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    if (graceMs === undefined) await this.#running;
    else
      await Promise.race([this.#running, new Promise((end) => setTimeout(end, graceMs).unref())]);
  }

  async #runWhileWoken() {
    clearTimeout(this.#timer);
    while (this.#woken && !this.stopping.aborted) {
      this.#woken = false;
      try {
        await this.drain();
        this.#failing = false;
      } catch (error) {
        this.#woken = false;
        this.#logFailure(error);
      }
    }
    this.#running = null;
    this.#schedule();
  }

  #logFailure(error: unknown) {
    const { name, log } = this.#options;
    if (!this.#failing) log.warn({ err: error }, `${name} failed; it will be repeated`);
    this.#failing = true;
  }

  #schedule() {
    if (this.stopping.aborted) return;
    // Jitter: replicas that start together do not query the database together.
    const delayMs = this.#options.intervalMs * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.wake(), delayMs);
    this.#timer.unref();
  }
}
