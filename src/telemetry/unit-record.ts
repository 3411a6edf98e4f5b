/** What is known of one unit of work: where its time went, and what came of it. */
import { monotonicMs } from './monotonic.ts';
import type { SpanRef } from './tracing.ts';

/** `lost race`: it runs again. `unavailable`: the database or the time. `failed`: a bug. */
export type UnitOutcome = 'committed' | 'lost race' | 'unavailable' | 'failed';

/** In their order. */
export type Phase = 'connectMs' | 'lockLoadMs' | 'decideMs' | 'saveCommitMs';

const NONE: readonly never[] = [];

export class UnitRecord implements SpanRef {
  readonly tasks: number;
  /** 1, or more where the same tasks run again. */
  readonly attempt: number;
  /** Why the attempt before failed: "stale cache" or an SQLSTATE. Empty: it is the first. */
  readonly retryCause: string;

  accounts = 0;
  /** Accounts that came from the account cache. */
  cached = 0;
  /** Accounts that another replica had locked. */
  locked = 0;
  /** Decisions of shadow mode: of each the reason of its refusal; empty: it would have been allowed. */
  shadowDecisions: readonly string[] = NONE;
  outcome: UnitOutcome = 'failed';

  /** The phases, in milliseconds. `connectMs`: until there is a database connection. */
  connectMs = 0;
  lockLoadMs = 0;
  decideMs = 0;
  saveCommitMs = 0;
  #phase: Phase | null = null;
  #since = 0;

  /** Its span. */
  traceId = '';
  spanId = '';
  sampled = false;

  constructor(tasks: number, attempt: number, retryCause: string) {
    this.tasks = tasks;
    this.attempt = attempt;
    this.retryCause = retryCause;
  }

  /** Ends the phase before. */
  begin(phase: Phase) {
    const now = monotonicMs();
    this.#endPhase(now);
    this.#phase = phase;
    this.#since = now;
  }

  end(outcome: UnitOutcome) {
    this.#endPhase(monotonicMs());
    this.outcome = outcome;
  }

  #endPhase(now: number) {
    if (this.#phase) this[this.#phase] += now - this.#since;
    this.#phase = null;
  }
}
