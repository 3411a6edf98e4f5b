/**
 * The clock of a replica. It reads the database's clock at the start and then on an interval. In between the
 * monotonic clock continues it, so no call waits for the database to learn the time. The rules are in
 * `clock-state.ts`.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { isRetryable } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { type Clock, clockUnreliable } from './clock.ts';
import {
  findNewestAcceptance,
  readDatabaseTime,
  readHeartbeat,
  writeHeartbeat,
} from './clock-records.ts';
import {
  ACCEPTANCE_JUMP_MS,
  advanceClock,
  type ClockState,
  compareHost,
  type Limits,
  type Sample,
  type Suspicion,
  startClock,
} from './clock-state.ts';
import { leadOf, type Reading, timeAt } from './timeline.ts';

/** The clocks that a replica compares, in milliseconds. Tests give their own. */
export type TimeSources = {
  /** Asks the database for its clock. */
  readonly database: () => Promise<number>;
  /** The host's wall clock. */
  readonly host: () => number;
  /** Nothing sets it, and it never runs backwards. It may stand still while the machine does. */
  readonly monotonic: () => number;
};

export type ReplicaClockOptions = {
  readonly em: () => Em;
  readonly sources: TimeSources;
  readonly limits: Limits;
  /** Between two samples. */
  readonly intervalMs: number;
  readonly log: Logger;
};

/** Between two heartbeats. */
const HEARTBEAT_MS = 10_000;
/** At the start the quickest of several answers of the database counts: it is the most certain. */
const FIRST_READINGS = 3;

export class ReplicaClock implements Clock {
  readonly #options: ReplicaClockOptions;
  readonly #poller: Poller;
  /** Tells this process from others in heartbeats. */
  readonly #writer = randomUUID();
  #state: ClockState;
  #heartbeatAt = Number.NEGATIVE_INFINITY;
  #onChange: (isReliable: boolean) => void = () => {};

  /** Reads the clocks. Rejects if the database cannot be asked. */
  static async start(options: ReplicaClockOptions): Promise<ReplicaClock> {
    const { em, limits } = options;
    const heartbeat = await readHeartbeat(em());
    const samples: Sample[] = [];
    for (let count = 0; count < FIRST_READINGS; count++) samples.push(await takeSample(options));
    const [best] = samples.sort((a, b) => a.database.uncertainty - b.database.uncertainty);
    const clock = new ReplicaClock(options, startClock(best as Sample, heartbeat, limits));
    await clock.#writeHeartbeat();
    return clock;
  }

  private constructor(options: ReplicaClockOptions, state: ClockState) {
    this.#options = options;
    this.#state = state;
    const { intervalMs, log } = options;
    const run = async () => {
      await this.sample();
      return false;
    };
    this.#poller = new Poller({ name: 'comparison of clocks', run, intervalMs, log });
    this.#logSuspicion(null);
  }

  now(): number {
    this.#compareHost();
    const { trusted, suspicion } = this.#state;
    if (!trusted || (suspicion && !suspicion.isConfirmed)) throw clockUnreliable();
    return Math.floor(timeAt(trusted, this.#options.sources.monotonic()));
  }

  get isReliable(): boolean {
    this.#compareHost();
    return this.#state.suspicion === null;
  }

  /** How far the host's clock is ahead of the database's, in milliseconds. */
  get hostLeadMs(): number {
    const { trusted, suspicion } = this.#state;
    const database = suspicion?.database ?? trusted;
    return database ? leadOf(readHost(this.#options.sources), database) : 0;
  }

  /** Compares the clocks now, without waiting for the interval. */
  async sample(): Promise<void> {
    const sample = await takeSample(this.#options);
    const changed = this.#become(advanceClock(this.#state, sample, this.#options.limits));
    if (changed || sample.at - this.#heartbeatAt >= HEARTBEAT_MS) await this.#writeHeartbeat();
  }

  /** Calls back now and at every change. There is one watcher. */
  watch(onChange: (isReliable: boolean) => void) {
    this.#onChange = onChange;
    onChange(this.isReliable);
  }

  stop(): Promise<void> {
    this.#onChange = () => {};
    return this.#poller.stop();
  }

  #compareHost() {
    const { sources, limits } = this.#options;
    if (this.#state.suspicion) return;
    // Only the database can tell whether the host's clock was set or the monotonic clock stood still.
    if (this.#become(compareHost(this.#state, readHost(sources), limits))) this.#poller.wake();
  }

  /** Returns whether the clock became reliable, or is not any more. */
  #become(state: ClockState): boolean {
    const before = this.#state;
    this.#state = state;
    this.#logSuspicion(before.suspicion);
    const isReliable = state.suspicion === null;
    if (isReliable === (before.suspicion === null)) return false;
    if (isReliable) this.#options.log.info(this.#clocks(), 'the clocks agree again');
    this.#onChange(isReliable);
    return true;
  }

  /** Once, when the database has been asked: before, nobody knows which clock is another one. */
  #logSuspicion(before: Suspicion | null) {
    const { suspicion } = this.#state;
    if (!suspicion?.leads || before?.leads) return;
    const { databaseMs, hostMs } = suspicion.leads;
    const leads = { database_ahead_ms: Math.round(databaseMs), host_ahead_ms: Math.round(hostMs) };
    const needsAcceptance = suspicion.largestMs > ACCEPTANCE_JUMP_MS;
    const until = needsAcceptance ? 'they agree and `scrip clock accept` was run' : 'they agree';
    this.#options.log.error(
      { ...leads, ...this.#clocks() },
      `the clocks disagree: this replica does nothing that cannot be undone until ${until}`,
    );
  }

  #clocks() {
    const { trusted, suspicion } = this.#state;
    const { monotonic, host } = this.#options.sources;
    const at = monotonic();
    const database = suspicion?.database ?? trusted;
    return {
      trusted_at: trusted && new Date(timeAt(trusted, at)).toISOString(),
      database_at: database && new Date(timeAt(database, at)).toISOString(),
      host_at: new Date(host()).toISOString(),
    };
  }

  async #writeHeartbeat() {
    const { trusted, suspicion, acceptance } = this.#state;
    if (!trusted) return;
    const { em, sources } = this.#options;
    const at = sources.monotonic();
    const heartbeat = {
      trusted: timeAt(trusted, at),
      database: timeAt(suspicion?.database ?? trusted, at),
      acceptance: suspicion?.acceptance ?? acceptance,
    };
    try {
      await writeHeartbeat(em(), heartbeat, this.#writer, suspicion !== null);
      this.#heartbeatAt = at;
    } catch (error) {
      // Another replica wrote at the same moment. The next sample writes it.
      if (!isRetryable(error)) throw error;
    }
  }
}

async function takeSample({ em, sources }: ReplicaClockOptions): Promise<Sample> {
  const acceptance = (await findNewestAcceptance(em()))?.acceptanceId ?? 0n;
  const before = sources.monotonic();
  const time = await sources.database();
  const at = sources.monotonic();
  const database = between(time, before, at);
  return { database, host: readHost(sources), at, acceptance };
}

/** The clocks of the service: the database is asked in an SQL statement of its own. */
export const systemTimeSources = (em: () => Em): TimeSources => ({
  database: () => readDatabaseTime(em()),
  ...HOST_TIME_SOURCES,
});

/** Those that need no database. */
export const HOST_TIME_SOURCES: Omit<TimeSources, 'database'> = {
  host: () => Date.now(),
  monotonic: () => performance.now(),
};

/** The process may lose the processor between two clocks, so the monotonic clock is read on both sides. */
function readHost({ host, monotonic }: TimeSources): Reading {
  const before = monotonic();
  const time = host();
  return between(time, before, monotonic());
}

const between = (time: number, before: number, after: number): Reading => ({
  time,
  monotonic: (before + after) / 2,
  uncertainty: (after - before) / 2,
});
