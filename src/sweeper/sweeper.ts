/**
 * The sweeper settles accounts that nobody touches, so that expiries, allowances and changes of plans take
 * effect in time.
 * It finds accounts that are due, in bounded batches, and submits each to its lane. All replicas sweep:
 * the lane's transaction locks the account and does nothing where another replica was first. While the
 * clock is not reliable nothing is swept.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import { Failure } from '../failure.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { findDueAccounts } from '../queries/due-accounts.ts';
import { failSpan, refOf, type Tracing } from '../telemetry/tracing.ts';
import type { PlanChanges } from './plan-changes.ts';
import type { StatementCloser } from './statement-closer.ts';

export type SweeperOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly lanes: Lanes;
  readonly statements: StatementCloser;
  readonly planChanges: PlanChanges;
  readonly tracing: Tracing;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Upper bound of the accounts in one batch. */
  readonly accountsMax: number;
};

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #poller: Poller;

  constructor(options: SweeperOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    this.#poller = new Poller({ name: 'sweep', run: () => this.#sweepBatch(), intervalMs, log });
  }

  /** Settles every account that is due, and closes every statement that is due. */
  sweep(): Promise<void> {
    return this.#poller.drain();
  }

  /** Resolves when the current batch is done. */
  stop(): Promise<void> {
    return this.#poller.stop();
  }

  /**
   * Statements come last: settling usually brings an account's time past the end of the month, and
   * then its entries need to be read only once.
   */
  async #sweepBatch(): Promise<boolean> {
    const { em, clock, tracing, accountsMax, statements, planChanges } = this.#options;
    if (!clock.isReliable) return false;
    const startTime = tracing.now();
    const due = await findDueAccounts(em(), 'due_at', clock.now(), accountsMax);
    const settled = due.length === 0 ? 0 : await this.#settle(due, startTime);
    if (due.length === accountsMax && settled > 0) return true;
    await planChanges.settle(this.#poller.stopping);
    await statements.closeAll(this.#poller.stopping);
    return false;
  }

  /** Resolves to how many of the accounts were settled. Its span began when they were looked for. */
  async #settle(due: readonly string[], startTime: number): Promise<number> {
    const { lanes, tracing } = this.#options;
    const span = tracing.start('sweep', {
      startTime,
      attributes: { 'scrip.accounts.due': due.length },
    });
    const cause = refOf(span);
    const answers = await Promise.all(due.map((accountId) => lanes.settle(accountId, cause)));
    const failures = answers.filter((answer) => answer instanceof Failure);
    const settled = due.length - failures.length;
    span.setAttributes({ 'scrip.accounts.done': settled });
    const [first] = failures;
    if (first) failSpan(span, first.reason);
    span.end();
    return settled;
  }
}
