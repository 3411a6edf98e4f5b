/** The results as text: a table of the cases, and the bars with whether they are met. */
import { aligned } from './aligned.ts';
import type { Bar } from './bars.ts';
import { ms } from './progress.ts';
import type { CaseResult, Results } from './results.ts';

export function report(results: Results): string {
  const { machine, versions, cases, bars, pools, durability, verify } = results;
  const durable = Object.entries(durability).map(([name, value]) => `${name} ${value}`);
  return [
    '',
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}`,
    `Node ${versions['node']}, PostgreSQL ${versions['postgresql']} (${durable.join(', ')})`,
    `commit ${results.commit}, ${results.extent} run of ${Math.round(results.seconds)} s; client, service and PostgreSQL on the same cores`,
    ...disturbed(cases),
    '',
    ...table(cases),
    '',
    `Connections: ${Object.entries(pools)
      .map(([who, pool]) => `${who} ${pool}`)
      .join(', ')}`,
    ...soakLines(results),
    '',
    ...barLines(bars),
    '',
    ...verify.map((result) => `verify: ${result}`),
    '',
  ].join('\n');
}

/** Above this share of CPU time for other processes the report warns. */
const DISTURBED = 0.05;

/** Says so if other processes took so much CPU time that the figures mean little. */
export function disturbed(cases: readonly CaseResult[]): string[] {
  const share = Math.max(...cases.map(({ median }) => median.othersShare), 0);
  if (share < DISTURBED) return [];
  return [
    `other processes used up to ${Math.round(share * 100)} % of the machine's CPU: measure again when it is idle`,
  ];
}

const HEAD = ['', 'per second', 'p50', 'p90', 'p99', 'CPU µs: server', 'PostgreSQL', 'client'];

function table(cases: readonly CaseResult[]): string[] {
  const rows = cases.map(({ title, unit, median }) => {
    const { perSecond, latencyMs, cpuMicros } = median;
    return [
      title,
      `${Math.round(perSecond).toLocaleString('en')} ${unit}`,
      ...[latencyMs.p50, latencyMs.p90, latencyMs.p99].map((value) => ms(value).trim()),
      ...[cpuMicros.server, cpuMicros.postgres, cpuMicros.client].map(micros),
    ];
  });
  return aligned([HEAD, ...rows]);
}

export const micros = (value: number | null): string =>
  value === null ? '–' : value < 10 ? value.toFixed(1) : value.toFixed(0);

function soakLines({ soak }: Results): string[] {
  if (!soak) return [];
  const { samples, memoryRatio, memoryMaxMb, perSecond } = soak;
  const delay = Math.max(...samples.map(({ loopDelayMs }) => loopDelayMs));
  return [
    `Soak: ${samples.at(-1)?.second} s at ${Math.round(perSecond)} jobs/s, at most ${Math.round(memoryMaxMb)} MB resident, ` +
      `${memoryRatio.toFixed(2)} times the first minute's at the end, event loop at most ${delay.toFixed(1)} ms late (p99 of 5 s)`,
  ];
}

/** The bar of the first release. */
const FIRST_RELEASE = 4;

function barLines(bars: readonly Bar[]): string[] {
  const lines = bars.map(({ name, what, value, met, atLeast, atMost }) => {
    const bar = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
    const said = met === null ? 'not measured' : met ? 'met' : 'NOT MET';
    const shown = value === null ? '–' : value.toFixed(2);
    return `${said.padEnd(12)} ${name.padEnd(27)} ${shown.padStart(7)}  (${bar})  ${what}`;
  });
  const textbook = bars.find(({ name }) => name === 'reserve_vs_textbook')?.value ?? null;
  if (textbook !== null)
    lines.push(
      `${(textbook >= FIRST_RELEASE ? 'met' : 'NOT MET').padEnd(12)} four times textbook at 64 in flight`,
    );
  return lines;
}
