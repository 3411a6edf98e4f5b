/** The results of a run, as in `bench/latest.json`. */
import type { Bar } from './bars.ts';
import type { Machine } from './machine.ts';
import type { Measured } from './measure.ts';
import { median } from './median.ts';
import type { SoakResult } from './soak.ts';

export type CaseResult = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly subject: string;
  readonly rounds: readonly Measured[];
  /** The median of each figure. */
  readonly median: Measured;
};

export type Results = {
  readonly startedAt: string;
  readonly seconds: number;
  readonly commit: string;
  readonly extent: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly durability: Readonly<Record<string, string>>;
  /** The fastest pool size of each baseline. */
  readonly pools: Readonly<Record<string, number>>;
  readonly cases: readonly CaseResult[];
  readonly soak: SoakResult | null;
  /** Each ratio by name; null if it was not measured. */
  readonly ratios: Readonly<Record<string, number | null>>;
  readonly bars: readonly Bar[];
  /** The result of `verify` for each database that the service used. */
  readonly verify: readonly string[];
};

/** The median of each figure; null if a round lacks it. */
export const medianOf = (rounds: readonly Measured[]): Measured => each(rounds, median);

/** The mean of each figure over the slices of a round. */
export const meanOf = (slices: readonly Measured[]): Measured =>
  each(slices, (values) => values.reduce((sum, value) => sum + value, 0) / values.length);

function each(all: readonly Measured[], make: (values: readonly number[]) => number): Measured {
  const of = (figure: (one: Measured) => number) => make(all.map(figure));
  const ofNullable = (figure: (one: Measured) => number | null) => {
    const values = all.map(figure).filter((value) => value !== null);
    return values.length === all.length ? make(values) : null;
  };
  const percentiles = (at: (one: Measured) => Measured['latencyMs']) => ({
    p50: of((round) => at(round).p50),
    p90: of((round) => at(round).p90),
    p99: of((round) => at(round).p99),
    p999: of((round) => at(round).p999),
    max: of((round) => at(round).max),
  });
  const open = all.every(({ lagMs }) => lagMs !== null);
  return {
    perSecond: of(({ perSecond }) => perSecond),
    latencyMs: percentiles(({ latencyMs }) => latencyMs),
    lagMs: open ? percentiles(({ lagMs, latencyMs }) => lagMs ?? latencyMs) : null,
    cpuMicros: {
      server: ofNullable(({ cpuMicros }) => cpuMicros.server),
      postgres: ofNullable(({ cpuMicros }) => cpuMicros.postgres),
      client: of(({ cpuMicros }) => cpuMicros.client),
    },
    othersShare: of(({ othersShare }) => othersShare),
    rssMb: ofNullable(({ rssMb }) => rssMb),
    loopDelayMs: ofNullable(({ loopDelayMs }) => loopDelayMs),
  };
}
