/**
 * Measures both versions in pairs of windows: A B, B A, A B … A pair takes a few seconds, so that a longer
 * disturbance of the machine affects both, and a drift cancels out.
 */
import type { Case } from '../cases.ts';
import type { LoadClient } from '../load-client.ts';
import type { Load } from '../load-spec.ts';
import { type Measured, measure } from '../measure.ts';
import type { BenchServer } from '../servers.ts';
import type { Variant } from './variant.ts';

export type Pair = { readonly a: Measured; readonly b: Measured };

export type Running = { readonly variant: Variant; readonly server: BenchServer };

export type Timing = {
  readonly windows: number;
  readonly seconds: number;
};

/** Unmeasured load at the beginning of a window: connections open, groups form. */
const SETTLE_MS = 500;

const WARM_UP_PARTS = 4;
const WARM_UP_MAX_MS = 30_000;

export class Windows {
  readonly #client: LoadClient;
  readonly #postmaster: number;

  constructor(client: LoadClient, postmaster: number) {
    this.#client = client;
    this.#postmaster = postmaster;
  }

  /** Runs the case on both alternately, so that code is compiled and accounts are cached. */
  async warmUp([a, b]: readonly [Running, Running], one: Case, operations: number) {
    for (let part = 0; part < WARM_UP_PARTS; part++)
      for (const running of [a, b])
        await this.#client.run({
          ...loadOf(running, one, 0, WARM_UP_MAX_MS),
          operationsMax: operations / WARM_UP_PARTS,
        });
  }

  async measure(
    [a, b]: readonly [Running, Running],
    one: Case,
    { windows, seconds }: Timing,
    report: (pair: Pair) => void,
  ): Promise<Pair[]> {
    const pairs: Pair[] = [];
    for (let window = 0; window < windows; window++) {
      const measured = { a: null as Measured | null, b: null as Measured | null };
      for (const side of window % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const))
        measured[side] = await this.#window(side === 'a' ? a : b, one, seconds * 1_000);
      const pair = measured as Pair;
      pairs.push(pair);
      report(pair);
    }
    return pairs;
  }

  #window(running: Running, one: Case, durationMs: number): Promise<Measured> {
    return measure(
      {
        client: this.#client,
        servers: [running.server],
        postgres: this.#postmaster,
        database: running.variant.database.name,
      },
      loadOf(running, one, SETTLE_MS, durationMs),
    );
  }
}

const loadOf = (
  { server, variant }: Running,
  one: Case,
  warmUpMs: number,
  durationMs: number,
): Load => ({
  ...one.load({
    perSecondOf: () => 0,
    historyEntries: 0,
    handTunedPool: 0,
    seconds: (warmUpMs + durationMs) / 1_000,
  }),
  addresses: [server.address],
  ...(variant.mutualTls && { tls: variant.mutualTls.client }),
  warmUpMs,
  durationMs,
});
