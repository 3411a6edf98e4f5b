/**
 * Refusals for lack of credits, as charge.refused events. A refusal must stay cheap: the call only counts
 * it in memory, and the event is written outside of it, in the account's lane. Of each account and reason
 * a replica writes at most one event a minute, which counts the refusals since the one before. What is not
 * written when the process dies is lost; of one that stops, what is not due yet.
 */
import type { Logger } from 'pino';
import type { Clock } from './clock/clock.ts';
import { Failure, type Reason } from './failure.ts';
import type { Lanes } from './lanes/lanes.ts';
import type { Trace } from './ledger/entry.ts';
import { Poller } from './poller.ts';

export type RefusalsOptions = {
  readonly lanes: Pick<Lanes, 'execute'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Between two looks for refusals to be written. */
  readonly intervalMs: number;
};

type Collected = {
  readonly accountId: string;
  readonly reason: Reason;
  /** The newest one. */
  failure: Failure;
  trace: Trace;
  count: number;
};

const MINUTE_MS = 60_000;
/** Accounts and reasons that are collected at most; refusals of more are not reported. */
const COLLECTED_MAX = 10_000;
/** Events that are written at the same time. */
const BATCH_MAX = 100;

const COLLECTED_REASONS: ReadonlySet<Reason> = new Set<Reason>([
  'INSUFFICIENT_CREDITS',
  'OVERAGE_LIMIT_REACHED',
  'PAUSED_BELOW_FLOOR',
]);

export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #poller: Poller;
  #collected = new Map<string, Collected>();
  /** Accounts and reasons that have an event of `#minute`. */
  #reported = new Set<string>();
  #minute = 0;
  #dropped = 0;

  constructor(options: RefusalsOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    const run = () => this.#reportBatch();
    this.#poller = new Poller({ name: 'reports of refusals', run, intervalMs, log });
  }

  /** Counts a failure of a call, if it was refused for lack of credits. */
  record(accountId: string, failure: Failure, { traceId, spanId, sampled }: Trace) {
    const { reason } = failure;
    if (!COLLECTED_REASONS.has(reason)) return;
    const key = `${reason}\n${accountId}`;
    const trace = { traceId, spanId, sampled };
    const known = this.#collected.get(key);
    if (known) {
      known.count += 1;
      known.failure = failure;
      known.trace = trace;
      return;
    }
    if (this.#collected.size >= COLLECTED_MAX) {
      this.#dropped += 1;
      return;
    }
    this.#collected.set(key, { accountId, reason, failure, trace, count: 1 });
  }

  /** Writes the events that are due now. */
  report(): Promise<void> {
    return this.#poller.drain();
  }

  /** Writes what is due, as far as `graceMs` allows. */
  async stop(graceMs: number): Promise<void> {
    await this.#poller.stop(graceMs);
    const lastReport = this.report().catch(() => {});
    await Promise.race([lastReport, new Promise((end) => setTimeout(end, graceMs).unref())]);
  }

  async #reportBatch(): Promise<boolean> {
    // Without a time that can be trusted there is no minute to report for.
    if (!this.#options.clock.isReliable) return false;
    this.#startMinute();
    const due: [string, Collected][] = [];
    for (const entry of this.#collected) {
      if (due.length === BATCH_MAX) break;
      if (!this.#reported.has(entry[0])) due.push(entry);
    }
    for (const [key] of due) {
      this.#collected.delete(key);
      this.#reported.add(key);
    }
    const written = await Promise.all(due.map(([key, collected]) => this.#report(key, collected)));
    return due.length === BATCH_MAX && written.every(Boolean);
  }

  #startMinute() {
    const minute = Math.floor(this.#options.clock.now() / MINUTE_MS);
    if (minute === this.#minute) return;
    this.#minute = minute;
    this.#reported = new Set();
    if (this.#dropped > 0)
      this.#options.log.warn(
        { refusals: this.#dropped },
        'too many refusals: not all are reported',
      );
    this.#dropped = 0;
  }

  /** Resolves to whether the event was written. If not, the refusals are counted with the next ones. */
  async #report(
    key: string,
    { accountId, reason, failure, trace, count }: Collected,
  ): Promise<boolean> {
    const { metadata } = failure;
    const command = { kind: 'ReportRefusals', reason, metadata, count } as const;
    const outcome = await this.#options.lanes.execute(accountId, command, trace);
    if (!(outcome instanceof Failure)) return true;
    // It was moved to another cell: of the refusals before, those of the last minute are not reported.
    if (outcome.reason === 'ACCOUNT_NOT_FOUND') return true;
    const since = this.#collected.get(key);
    if (since) since.count += count;
    else this.#collected.set(key, { accountId, reason, failure, trace, count });
    return false;
  }
}
