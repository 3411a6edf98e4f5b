/** The comparison as text: figures of both versions, and B / A with its interval. */
import type { Case } from '../cases.ts';
import type { Measured } from '../measure.ts';
import { median } from '../median.ts';
import { ratioOfPairs } from './interval.ts';
import type { Pair } from './windows.ts';

type Figure = {
  readonly name: string;
  readonly of: (measured: Measured) => number | null;
  readonly digits: number;
};

/** The most reliable first: other processes disturb rates and latencies more than CPU times. */
const FIGURES: readonly Figure[] = [
  { name: 'service CPU µs', of: ({ cpuMicros }) => cpuMicros.server, digits: 1 },
  { name: 'PostgreSQL CPU µs', of: ({ cpuMicros }) => cpuMicros.postgres, digits: 1 },
  {
    name: 'both CPU µs',
    of: ({ cpuMicros }) => sum(cpuMicros.server, cpuMicros.postgres),
    digits: 1,
  },
  { name: 'per second', of: ({ perSecond }) => perSecond, digits: 0 },
  { name: 'p50 ms', of: ({ latencyMs }) => latencyMs.p50, digits: 2 },
  { name: 'p99 ms', of: ({ latencyMs }) => latencyMs.p99, digits: 2 },
];

const sum = (one: number | null, other: number | null) =>
  one === null || other === null ? null : one + other;

export function report({ title, unit }: Case, blocks: readonly (readonly Pair[])[]): string {
  const pairs = blocks.flat();
  const others = median(pairs.flatMap(({ a, b }) => [a.othersShare, b.othersShare]));
  return [
    '',
    `${title}: ${pairs.length} pairs of windows, ${blocks.length} processes; CPU time per ${unit}; medians; B/A, 95 % interval`,
    `other processes took ${Math.round(others * 100)} % of the machine`,
    `${''.padEnd(18)}${'A'.padStart(10)}${'B'.padStart(10)}${'B/A'.padStart(9)}`,
    ...FIGURES.map((figure) => line(figure, blocks)),
    memoryLine(pairs),
    '',
  ].join('\n');
}

function line({ name, of, digits }: Figure, blocks: readonly (readonly Pair[])[]): string {
  const values = blocks.map((pairs) =>
    pairs.flatMap((pair) => {
      const [a, b] = [of(pair.a), of(pair.b)];
      return a === null || b === null ? [] : [[a, b] as const];
    }),
  );
  if (values.some((block) => block.length === 0)) return `${name.padEnd(18)}not measured`;
  const show = (column: readonly number[]) => median(column).toFixed(digits).padStart(10);
  const { ratio, low, high } = ratioOfPairs(values);
  const interval = `${low.toFixed(3)} to ${high.toFixed(3)}`;
  const [a, b] = [values.flat().map(([value]) => value), values.flat().map(([, value]) => value)];
  return `${name.padEnd(18)}${show(a)}${show(b)}${ratio.toFixed(3).padStart(9)}  (${interval})`;
}

/** Without an interval: the windows of one process have much the same memory, whatever its version. */
function memoryLine(pairs: readonly Pair[]): string {
  const most = (measured: readonly Measured[]) =>
    Math.max(...measured.map(({ rssMb }) => rssMb ?? 0))
      .toFixed(0)
      .padStart(10);
  return `${'resident MB, max'.padEnd(18)}${most(pairs.map(({ a }) => a))}${most(pairs.map(({ b }) => b))}`;
}
