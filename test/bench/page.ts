/** The results as a page: the ratios that must be reached, charts of the cases, and every figure. */
import type { Table } from '../charts/chart.ts';
import type { Page } from '../charts/page.ts';
import { cpu, latency, throughput } from './case-charts.ts';
import { ratios } from './ratio-chart.ts';
import { disturbed, micros } from './report.ts';
import type { CaseResult, Results } from './results.ts';
import { delay, memory } from './soak-charts.ts';

export function pageOf(results: Results): Page {
  const { cases, bars, soak, verify } = results;
  return {
    title: 'Scrip: benchmark',
    about: about(results),
    sections: [
      { title: 'Ratios that must be reached', charts: [ratios(bars)] },
      { title: 'Throughput', charts: throughput(cases) },
      { title: 'Latency', charts: [latency(cases)] },
      { title: 'CPU time per operation', charts: cpu(cases) },
      { title: 'Soak', charts: soak ? [memory(soak), delay(soak)] : [] },
      { title: 'Every figure', charts: [], table: figures(cases) },
    ],
    notes: verify.map((result) => `verify: ${result}`),
  };
}

function about({ machine, versions, durability, pools, cases, ...run }: Results): string[] {
  const pairs = (record: Readonly<Record<string, string | number>>) =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    `${run.startedAt}, commit ${run.commit}, ${run.extent} run of ${Math.round(run.seconds)} s.`,
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}; load average before: ${machine.loadBefore}. ` +
      'Client, service and PostgreSQL share these cores.',
    `${pairs(versions)}. PostgreSQL: ${pairs(durability)}. Connections: ${pairs(pools)}.`,
    'A figure is the median of the rounds. The thin line on it goes from the least round to the most: differences shorter than that say little.',
    ...disturbed(cases).map((warning) => `Mind that ${warning}.`),
  ];
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');

const figures = (cases: readonly CaseResult[]): Table => ({
  head: [
    'case',
    'per second',
    'each round',
    'p50 ms',
    'p90',
    'p99',
    'p99.9',
    'CPU µs: server',
    'PostgreSQL',
    'client',
    'other processes',
    'RSS MB',
    'loop ms',
  ],
  rows: cases.map(({ title, unit, rounds, median }) => {
    const { perSecond, latencyMs, cpuMicros, othersShare, rssMb, loopDelayMs } = median;
    return [
      title,
      `${whole(perSecond)} ${unit}`,
      rounds.map((round) => whole(round.perSecond)).join(' · '),
      ...[latencyMs.p50, latencyMs.p90, latencyMs.p99, latencyMs.p999].map((value) =>
        value.toFixed(2),
      ),
      ...[cpuMicros.server, cpuMicros.postgres, cpuMicros.client].map(micros),
      `${Math.round(othersShare * 100)} %`,
      rssMb === null ? '–' : whole(rssMb),
      loopDelayMs === null ? '–' : loopDelayMs.toFixed(1),
    ];
  }),
});
