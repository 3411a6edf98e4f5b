/** The results as a table, in Markdown. */
import { type Failed, held, type Result, type Skipped } from './fault.ts';

const HEADINGS = [
  'fault',
  'load held, calls/s',
  'acknowledged',
  'unknown, resolved',
  'lost',
  'doubled',
  'recovery',
  'memory',
  'verify',
];

const figure = (value: number): string => value.toLocaleString('en');

function cells(result: Result | Skipped | Failed): readonly string[] {
  if ('skipped' in result)
    return [result.name, `skipped: ${result.skipped}`, ...HEADINGS.slice(2).map(() => '')];
  if ('failed' in result)
    return [result.name, result.failed, ...HEADINGS.slice(3).map(() => ''), 'FAILED'];
  return [
    result.name,
    result.load.map(figure).join(' / '),
    figure(result.acknowledged),
    `${figure(result.resolved)} (${figure(result.hadEffect)} had taken effect)`,
    `${figure(result.lost)}${result.lossExpected ? `: ${result.lossExpected}` : ''}`,
    figure(result.doubled),
    `${(result.recoveryMs / 1_000).toFixed(1)} s`,
    `${result.memory} MB`,
    held(result) ? 'ok' : 'FAILED',
  ];
}

export function table(results: readonly (Result | Skipped | Failed)[]): string {
  const rows = [HEADINGS, ...results.map(cells)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const [headings = [], ...others] = rows;
  return [line(headings), rule, ...others.map(line)].join('\n');
}
