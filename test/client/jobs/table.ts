/** The result of a run as a table, in Markdown. */
import type { JobsResult } from './run-jobs.ts';

export const held = ({ checked }: JobsResult): boolean =>
  checked.wrong === 0 && checked.problems.length === 0 && checked.verify === 'ok';

export function table(result: JobsResult): string {
  const { jobs, told, disruptions, seconds, checked } = result;
  const charged = [...told.recovered.values()].filter((outcome) => outcome === 'charged').length;
  const rows: readonly (readonly [string, string | number])[] = [
    ['jobs', jobs],
    ['finished', checked.finished],
    ['of these by another process', charged],
    ['of these answered before they were settled', told.pending.size],
    ['failed, as they were to', told.failed.size],
    ['refused, as they were to be', told.refused.size],
    [
      'killed before they were done',
      jobs - checked.finished - told.failed.size - told.refused.size,
    ],
    ...disruptions,
    ...[...told.probed].map(([error, many]) => [`calls not repeated: ${error}`, many] as const),
    ['finished and not charged exactly once', checked.wrong],
    ['reservations left to their TTL', checked.leftForTtl],
    ['seconds', seconds.toFixed(1)],
    ['verify', checked.verify],
  ];
  const cells = rows.map(([what, value]) => [what, value.toLocaleString('en')] as const);
  const width = Math.max(...cells.map(([what]) => what.length));
  const valueWidth = Math.max(...cells.map(([, value]) => value.length));
  const line = (what: string, value: string) =>
    `| ${what.padEnd(width)} | ${value.padStart(valueWidth)} |`;
  const rule = `| ${'-'.repeat(width)} | ${'-'.repeat(valueWidth - 1)}: |`;
  return [line('', ''), rule, ...cells.map(([what, value]) => line(what, value))].join('\n');
}
