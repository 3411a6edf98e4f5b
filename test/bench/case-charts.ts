/** Charts of the cases: operations per second, latency, CPU time per operation. */
import type { Bars, Dots, Row } from '../charts/chart.ts';
import type { Measured } from './measure.ts';
import { ms } from './progress.ts';
import { micros } from './report.ts';
import type { CaseResult } from './results.ts';

type Group = {
  readonly title: string;
  readonly about: string;
  readonly holds: (one: CaseResult) => boolean;
};

const isClient = ({ name }: CaseResult) => name.startsWith('client_');
const isGrowth = ({ name }: CaseResult) => name.startsWith('pair_');

/** Cases whose figures can stand on one scale. Those of the client's meter would leave no room for others. */
const GROUPS: readonly Group[] = [
  {
    title: 'Single calls',
    about: 'One operation a call, 64 in flight.',
    holds: (one) => ['call', 'pair', 'operation'].includes(one.unit) && !isGrowth(one),
  },
  {
    title: 'Many mutations or entries a call',
    about: 'Batches, streams, and COPY of the same rows.',
    holds: (one) => ['mutation', 'entry'].includes(one.unit) && !isClient(one),
  },
  {
    title: 'By the client package',
    about: 'Mutations in calls of their own, and the same batched by the client.',
    holds: (one) => isClient(one) && one.unit === 'mutation',
  },
  {
    title: 'As the ledger grows',
    about: 'Pairs of Reserve and Commit, on ledgers that are larger in one respect.',
    holds: isGrowth,
  },
];

type GroupChart = Pick<Bars, 'series' | 'rows' | 'show'>;

/** A chart for each group that has cases. */
const byGroup = (
  cases: readonly CaseResult[],
  figure: string,
  chartOf: (cases: readonly CaseResult[]) => GroupChart,
): readonly Bars[] =>
  GROUPS.flatMap(({ title, about, holds }) => {
    const chart = chartOf(cases.filter(holds));
    return chart.rows.length === 0
      ? []
      : [{ kind: 'bars', title: `${title}: ${figure}`, about, ...chart }];
  });

const whole = (value: number): string => Math.round(value).toLocaleString('en');

/** Baselines have another colour than the service. */
export const throughput = (cases: readonly CaseResult[]): readonly Bars[] =>
  byGroup(cases, 'operations per second', (group) => ({
    series: [
      { name: 'the service', tone: 'blue' },
      { name: 'a baseline', tone: 'orange' },
    ],
    rows: group.map(({ title, subject, rounds, median: { perSecond } }) => ({
      label: title,
      figures: subject === 'service' ? [perSecond, null] : [null, perSecond],
      ...noiseOf(rounds, (round) => round.perSecond),
    })),
    show: whole,
  }));

const noiseOf = (
  rounds: readonly Measured[],
  of: (round: Measured) => number,
): Pick<Row, 'noise'> => {
  const all = rounds.map(of);
  return rounds.length > 1 ? { noise: [Math.min(...all), Math.max(...all)] } : {};
};

export const latency = (cases: readonly CaseResult[]): Dots => ({
  kind: 'dots',
  base: 10,
  title: 'Latency of a call, a batch or a stream, in ms',
  about: 'Percentiles, on a logarithmic scale. The text has the median and the 99th.',
  series: [
    { name: 'p50', tone: 'blue' },
    { name: 'p90', tone: 'green' },
    { name: 'p99', tone: 'orange' },
    { name: 'p99.9', tone: 'purple' },
  ],
  rows: cases
    // Zero has no place on a logarithmic scale: a use of the client's meter can take less than the clock tells.
    .filter(({ median: { latencyMs } }) => latencyMs.p50 > 0)
    .map(({ title, median: { latencyMs } }) => ({
      label: title,
      figures: [latencyMs.p50, latencyMs.p90, latencyMs.p99, latencyMs.p999],
      text: `${ms(latencyMs.p50).replace('ms', '').trim()} and ${ms(latencyMs.p99).trim()}`,
    })),
  show: (value) => ms(value).trim(),
});

export const cpu = (cases: readonly CaseResult[]): readonly Bars[] =>
  // Not textbook: its bar would be so long that no other could be seen. It is in the last table.
  byGroup(
    cases.filter(({ subject }) => subject !== 'textbook'),
    'CPU time in µs',
    (group) => ({
      series: [
        { name: 'service or baseline', tone: 'blue' },
        { name: 'PostgreSQL', tone: 'green' },
        { name: 'client', tone: 'orange' },
      ],
      rows: group.map(({ title, rounds, median: { cpuMicros } }) => ({
        label: title,
        figures: [cpuMicros.server, cpuMicros.postgres, cpuMicros.client],
        ...noiseOf(rounds, cpuOf),
      })),
      show: micros,
    }),
  );

const cpuOf = ({ cpuMicros: { server, postgres, client } }: Measured): number =>
  (server ?? 0) + (postgres ?? 0) + client;
