/**
 * Moves the clock of a sandbox. It stops wherever something is due, and has the work of that instant done before it
 * goes on: what a service does in a year is done in the order of the year.
 */
import type { Clock } from '../clock/clock.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { SandboxClock } from './sandbox-clock.ts';

export type ClockMovesOptions = {
  readonly em: () => Em;
  /** The replica's. */
  readonly clock: Clock;
  readonly sandboxClock: SandboxClock;
  /** Does all that is due now: settles, closes statements, charges top-ups, checks purchases. */
  readonly work: () => Promise<void>;
};

export type Move = {
  /** Epoch milliseconds. */
  readonly before: number;
  readonly now: number;
  readonly isReached: boolean;
};

/** A call that moves the clock works for so long, about. */
const CALL_MS = 2_000;
/** Instants that are closer to each other are one stop. */
const STOP_MS = 60_000;
/** Work makes other work due: a grant that expires makes a top-up due. */
const ROUNDS_MAX = 5;

export class ClockMoves {
  readonly #options: ClockMovesOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ClockMovesOptions) {
    this.#options = options;
  }

  /** Moves the clock to `until`, or as far as it comes within two seconds. One move at a time. */
  advance(until: number): Promise<Move> {
    const move = this.#last.then(() => this.#advance(until));
    this.#last = move.catch(() => {});
    return move;
  }

  async #advance(until: number): Promise<Move> {
    const { clock, sandboxClock } = this.#options;
    const startedAt = performance.now();
    const before = clock.now();
    await this.#workUntilDone();
    for (;;) {
      const now = clock.now();
      if (now >= until) return { before, now, isReached: true };
      if (performance.now() - startedAt > CALL_MS) return { before, now, isReached: false };
      const stop = await this.#nextStop(now, until);
      // Where another replica was faster, the next stop is looked for from where it went.
      if (await sandboxClock.move(stop - clock.now())) await this.#workUntilDone();
    }
  }

  /** The next instant at which something is due, at most `until`. */
  async #nextStop(now: number, until: number): Promise<number> {
    const [row] = await query<{ due: number | null }>(
      this.#options.em(),
      `select ${millis('min(due)', 'due')} from (
         select min(due_at) as due from accounts where due_at > ${fromMillis('$1')}
         union all select min(statement_due_at) from accounts where statement_due_at > ${fromMillis('$1')}
         union all select min(top_up_due_at) from accounts where top_up_due_at > ${fromMillis('$1')}
         union all select min(next_check_at) from purchases where next_check_at > ${fromMillis('$1')}
         union all select min(effective_at) from rate_cards where effective_at > ${fromMillis('$1')}
       ) as all_due`,
      [now],
    );
    const due = row?.due == null ? until : Number(row.due);
    return Math.min(until, Math.max(due, now + STOP_MS));
  }

  async #workUntilDone() {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await this.#options.work();
      if (!(await this.#isAnythingDue())) return;
    }
  }

  async #isAnythingDue(): Promise<boolean> {
    const { em, clock } = this.#options;
    const rows = await query(
      em(),
      `(select 1 from accounts where due_at <= ${fromMillis('$1')} limit 1)
       union all (select 1 from accounts where statement_due_at <= ${fromMillis('$1')} limit 1)
       union all (select 1 from accounts where top_up_due_at <= ${fromMillis('$1')} limit 1)`,
      [clock.now()],
    );
    return rows.length > 0;
  }
}
