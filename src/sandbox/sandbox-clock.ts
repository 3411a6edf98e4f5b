/**
 * The clock of a sandbox: the database's, plus how far it was moved. The database keeps the offset, so it survives
 * restarts and all replicas follow it. To a replica a move is time that passes at once: its host's and its monotonic
 * clock move with the database's, and none of them disagrees with another.
 */
import { readSandboxTime } from '../clock/clock-records.ts';
import type { TimeSources } from '../clock/replica-clock.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

export class SandboxClock {
  readonly #em: () => Em;
  /** The largest that was read: it never decreases. */
  #offsetMs: number;

  /** Reads the offset. Rejects if the database is none of a sandbox. */
  static async open(em: () => Em): Promise<SandboxClock> {
    return new SandboxClock(em, (await readSandboxTime(em())).offsetMs);
  }

  private constructor(em: () => Em, offsetMs: number) {
    this.#em = em;
    this.#offsetMs = offsetMs;
  }

  /** How far the time was moved in all, in milliseconds. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Whoever asks the database for the time learns of moves by other replicas. */
  get sources(): TimeSources {
    return {
      database: async () => {
        const { database, offsetMs } = await readSandboxTime(this.#em());
        this.#learn(offsetMs);
        return database + this.#offsetMs;
      },
      host: () => Date.now() + this.#offsetMs,
      monotonic: () => performance.now() + this.#offsetMs,
    };
  }

  /** Moves the time forwards, for all replicas. False: another replica moved it meanwhile. */
  async move(byMs: number): Promise<boolean> {
    const [row] = await query<{ offset_ms: number }>(
      this.#em(),
      `update sandbox.clock set offset_ms = offset_ms + $2::bigint where offset_ms = $1::bigint
       returning offset_ms::float8`,
      [this.#offsetMs, Math.ceil(byMs)],
    );
    this.#learn(Number(row?.offset_ms ?? (await readSandboxTime(this.#em())).offsetMs));
    return row !== undefined;
  }

  #learn(offsetMs: number) {
    this.#offsetMs = Math.max(this.#offsetMs, offsetMs);
  }
}
