/** The clocks of a replica, for tests. */
import type { TimeSources } from '../src/clock/replica-clock.ts';

/** Three clocks that agree: time passes for all of them when `now` changes. */
export const sourcesOf = (now: () => number): TimeSources => ({
  database: async () => now(),
  host: now,
  monotonic: now,
});

/** The clock of a database that several replicas use. It stands still until a test moves it. */
export type DatabaseClock = { time: number };

/** A host with a wall clock and a monotonic clock, which stand still until a test moves them. */
export class HostClocks {
  readonly #database: DatabaseClock;
  wall: number;
  #monotonicMs = 0;

  /** The wall clock is right at first. */
  constructor(database: DatabaseClock) {
    this.#database = database;
    this.wall = database.time;
  }

  get sources(): TimeSources {
    return {
      database: async () => this.#database.time,
      host: () => this.wall,
      monotonic: () => this.#monotonicMs,
    };
  }

  elapse(ms: number) {
    this.wall += ms;
    this.#monotonicMs += ms;
  }
}

/** Time passes, for the database and for hosts. */
export function elapse(ms: number, database: DatabaseClock, ...hosts: readonly HostClocks[]) {
  database.time += ms;
  for (const host of hosts) host.elapse(ms);
}
