/** What a run prints. */
import type { Result } from './simulation.ts';
import type { Trace } from './trace.ts';

/** One line of a seed. */
export const report = ({ seed, replicas, width, steps }: Trace, result: Result): string =>
  [
    `seed ${seed}: ${result.problem === null ? 'ok' : 'FAILED'}`,
    `${steps.length} steps, ${replicas} replicas, width ${width}`,
    `${result.attempts} attempts (${result.unknown} without an answer), ${result.reads} reads`,
    `${result.entries} entries, ${result.kills} kills`,
    `${(result.ms / 1_000).toFixed(1)} s`,
  ].join('; ');

/** The sums of all seeds, and how often each refusal came. */
export function totalOf(results: readonly Result[], ms: number): string {
  const total = (of: (result: Result) => number) =>
    results.reduce((all, result) => all + of(result), 0);
  const refusals = new Map<string, number>();
  for (const { refusals: some } of results)
    for (const [reason, count] of Object.entries(some))
      refusals.set(reason, (refusals.get(reason) ?? 0) + count);
  const most = [...refusals].sort(([, a], [, b]) => b - a);
  return [
    '',
    `${results.length} seeds in ${Math.round(ms / 1_000)} s: ${total(({ attempts }) => attempts)} attempts, ` +
      `${total(({ reads }) => reads)} reads, ${total(({ entries }) => entries)} entries, ` +
      `${total(({ kills }) => kills)} kills`,
    `refusals: ${most.map(([reason, count]) => `${reason} ${count}`).join(', ')}`,
  ].join('\n');
}
