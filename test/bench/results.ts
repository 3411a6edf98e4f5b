/** The results of a run: what `bench/latest.json` holds and the report shows. */
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
  /** Of each figure by itself. */
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
  /** Connections that suited the baselines best. */
  readonly pools: Readonly<Record<string, number>>;
  readonly cases: readonly CaseResult[];
  readonly soak: SoakResult | null;
  /** Each ratio by its name, the median of its rounds; null where it was not measured. */
  readonly ratios: Readonly<Record<string, number | null>>;
  readonly bars: readonly Bar[];
  /** What closing the books said of each database the service worked on. */
  readonly verify: readonly string[];
};

/** The median of each figure; null where any round lacks it. */
export const medianOf = (rounds: readonly Measured[]): Measured => each(rounds, median);

/** A round, from the slices it was measured in. */
export const meanOf = (slices: readonly Measured[]): Measured =>
  each(slices, (values) => values.reduce((sum, value) => sum + value, 0) / values.length);

function each(all: readonly Measured[], make: (values: readonly number[]) => number): Measured {
  const of = (figure: (one: Measured) => number) => make(all.map(figure));
  const ofSome = (figure: (one: Measured) => number | null) => {
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
      server: ofSome(({ cpuMicros }) => cpuMicros.server),
      postgres: ofSome(({ cpuMicros }) => cpuMicros.postgres),
      client: of(({ cpuMicros }) => cpuMicros.client),
    },
    othersShare: of(({ othersShare }) => othersShare),
    rssMb: ofSome(({ rssMb }) => rssMb),
    loopDelayMs: ofSome(({ loopDelayMs }) => loopDelayMs),
  };
}
