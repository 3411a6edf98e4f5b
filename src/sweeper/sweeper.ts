/**
 * The sweeper settles accounts that nobody touches: it looks for accounts that are due, in bounded
 * batches, and hands each to its lane. Every replica may sweep at once: the lane's transaction locks
 * the account and finds nothing left to do where another was quicker. Statements come after:
 * settling mostly takes an account's time past the month's end, and then one reading is enough.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { StatementCloser } from './statement-closer.ts';

export type SweeperOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly lanes: Lanes;
  readonly statements: StatementCloser;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Accounts in one batch at most. */
  readonly accountsMax: number;
};

export class Sweeper {
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Settles every account that is due, and closes every statement that is. */
  async sweep(): Promise<void> {
    await this.#settleAll();
    await this.#options.statements.closeAll(() => this.#stopped);
  }

  async #settleAll(): Promise<void> {
    const { lanes, accountsMax } = this.#options;
    for (;;) {
      const due = await this.#due();
      await Promise.all(due.map((accountId) => lanes.submit({ accountId, command: null })));
      if (due.length < accountsMax || this.#stopped) return;
    }
  }

  /** Stops sweeping, after the batch that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#sweeping;
  }

  #schedule() {
    if (this.#stopped) return;
    // Spread, so that replicas started together do not sweep together.
    const delayMs = this.#options.intervalMs * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#sweeping = this.sweep()
        .catch((error) =>
          this.#options.log.warn({ err: error }, 'sweep failed; it will be repeated'),
        )
        .then(() => this.#schedule());
    }, delayMs);
    this.#timer.unref();
  }

  async #due(): Promise<string[]> {
    const { em, clock, accountsMax } = this.#options;
    const rows = await query<{ account_id: string }>(
      em(),
      `select account_id from accounts where due_at <= to_timestamp($1::float8 / 1000)
       order by due_at limit $2`,
      [clock(), accountsMax],
    );
    return rows.map((row) => row.account_id);
  }
}
