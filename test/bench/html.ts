/** The results as one self-contained HTML page: the bars, charts, every figure. */
import { barChart, escaped, lineChart } from './charts.ts';
import { ms } from './progress.ts';
import { micros } from './report.ts';
import type { CaseResult, Results } from './results.ts';
import type { SoakSample } from './soak.ts';

const BLUE = '#3b6fb6';
const ORANGE = '#d9822b';
const GREEN = '#4a9a6a';
const RED = '#c0504d';

const STYLE = `
  :root { color-scheme: light dark }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2.5rem }
  svg { width: 100%; height: auto } svg text { font-size: 12px; fill: currentColor }
  .grid { stroke: currentColor; opacity: .15 }
  .legend span { margin-right: 1.2rem }
  .legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
  th, td { text-align: right; padding: .2rem .5rem; border-bottom: 1px solid #8884 }
  th:first-child, td:first-child, td.text { text-align: left }
  .met { color: ${GREEN} } .unmet { color: ${RED}; font-weight: 600 } .none { opacity: .6 }
  .small { opacity: .75; font-size: 13px }`;

export function html(results: Results): string {
  const { cases } = results;
  const single = cases.filter(
    ({ unit }) => unit === 'call' || unit === 'pair' || unit === 'operation',
  );
  const multiple = cases.filter(({ unit }) => unit === 'mutation' || unit === 'entry');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Scrip: bench of ${escaped(results.commit)}</title>
<style>${STYLE}
</style>
<h1>Scrip: benchmark</h1>
${about(results)}
<h2>Bars</h2>
${barTable(results)}
<h2>Single calls per second</h2>
${throughput(single)}
<h2>Calls that carry many operations: mutations or entries per second</h2>
${throughput(multiple)}
<h2>Latency of a call, batch or stream (logarithmic)</h2>
${latency(cases)}
<h2>CPU time per operation, in µs</h2>
${cpu(cases)}
${soakCharts(results)}
<h2>Every figure: medians of the rounds</h2>
${figures(cases)}
<p class="small">${results.verify.map((result) => `verify: ${escaped(result)}`).join('<br>')}</p>
</html>
`;
}

function about({ machine, versions, durability, pools, ...run }: Results): string {
  const pairs = (record: Readonly<Record<string, string | number>>) =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  const lines = [
    `${run.startedAt}, commit ${run.commit}, ${run.extent} run of ${Math.round(run.seconds)} s.`,
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}; load average before: ${machine.loadBefore}.`,
    `Client, service and PostgreSQL share these cores. ${pairs(versions)}.`,
    `PostgreSQL: ${pairs(durability)}. Connections: ${pairs(pools)}.`,
  ];
  return `<p class="small">${lines.map(escaped).join('<br>')}</p>`;
}

function barTable({ bars }: Results): string {
  const rows = bars.map(({ name, what, value, met, atLeast, atMost }) => {
    const bar = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
    const [kind, said] =
      met === null ? ['none', 'not measured'] : met ? ['met', 'met'] : ['unmet', 'not met'];
    return `<tr><td>${name}<td class="text small">${escaped(what)}<td>${value?.toFixed(2) ?? '–'}<td>${bar}<td class="${kind}">${said}`;
  });
  return `<table><tr><th>ratio<th><th>measured<th>bar<th>${rows.join('')}</table>`;
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');

/** Baselines have another colour than the service. */
const throughput = (cases: readonly CaseResult[]): string =>
  barChart(
    [
      { name: 'the service', colour: BLUE },
      { name: 'baseline', colour: ORANGE },
    ],
    cases.map(({ title, subject, median: { perSecond } }) => ({
      label: title,
      values: subject === 'service' ? [perSecond, null] : [null, perSecond],
    })),
    { stacked: true, show: whole },
  );

const latency = (cases: readonly CaseResult[]): string =>
  barChart(
    [
      { name: 'p50', colour: BLUE },
      { name: 'p90', colour: GREEN },
      { name: 'p99', colour: ORANGE },
    ],
    cases.map(({ title, median: { latencyMs } }) => ({
      label: title,
      values: [latencyMs.p50, latencyMs.p90, latencyMs.p99],
    })),
    { scale: 'log', show: (value) => ms(value).trim() },
  );

const cpu = (cases: readonly CaseResult[]): string =>
  barChart(
    [
      { name: 'server', colour: BLUE },
      { name: 'PostgreSQL', colour: GREEN },
      { name: 'client', colour: ORANGE },
    ],
    // Not textbook: its bar would be so long that no other could be seen. It is in the table.
    cases
      .filter(({ subject }) => subject !== 'textbook')
      .map(({ title, median: { cpuMicros } }) => ({
        label: title,
        values: [cpuMicros.server, cpuMicros.postgres, cpuMicros.client],
      })),
    { stacked: true, show: (value) => micros(value) },
  );

function soakCharts({ soak }: Results): string {
  if (!soak) return '';
  const { samples } = soak;
  const series = (of: (sample: SoakSample) => number) =>
    samples.map((sample) => [sample.second, of(sample)] as const);
  return `<h2>Soak: resident memory</h2>
${lineChart(
  series(({ rssMb }) => rssMb),
  'MB',
  BLUE,
)}
<h2>Soak: event-loop delay, 99th percentile of each 5 seconds</h2>
${lineChart(
  series(({ loopDelayMs }) => loopDelayMs),
  'ms',
  ORANGE,
)}`;
}

function figures(cases: readonly CaseResult[]): string {
  const rows = cases.map(({ name, title, unit, rounds, median }) => {
    const { perSecond, latencyMs, cpuMicros, rssMb, loopDelayMs } = median;
    const every = rounds.map((round) => whole(round.perSecond)).join(', ');
    const cells = [
      ...[latencyMs.p50, latencyMs.p90, latencyMs.p99, latencyMs.p999].map((value) =>
        value.toFixed(2),
      ),
      ...[cpuMicros.server, cpuMicros.postgres, cpuMicros.client].map(micros),
      rssMb === null ? '–' : whole(rssMb),
      loopDelayMs === null ? '–' : loopDelayMs.toFixed(1),
    ];
    return `<tr><td title="${escaped(title)}">${name}<td title="${every}">${whole(perSecond)} ${unit}${cells.map((cell) => `<td>${cell}`).join('')}`;
  });
  const head = [
    'case',
    'per second',
    'p50 ms',
    'p90',
    'p99',
    'p99.9',
    'CPU server',
    'PostgreSQL',
    'client',
    'RSS MB',
    'loop ms',
  ];
  return `<table><tr>${head.map((cell) => `<th>${cell}`).join('')}${rows.join('')}</table>`;
}
