/**
 * Measures the cases in rounds. Each round measures all cases once; cases that are compared alternate
 * within it, so that a disturbance of the machine affects all of them.
 */
import { CaseRunner, type Pools } from './case-runner.ts';
import type { Case } from './cases.ts';
import type { Measured } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import { type CaseResult, meanOf, medianOf } from './results.ts';
import type { Testbed } from './testbed.ts';

export async function measureRounds(
  testbed: Testbed,
  extent: Extent,
  chosen: readonly Case[],
  pools: Pools,
  progress: Progress,
): Promise<CaseResult[]> {
  const rounds = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]));
  const perSecondOf = (name: string) => rounds.get(name)?.at(-1)?.perSecond ?? 0;
  const runner = new CaseRunner(testbed, extent, pools, perSecondOf);
  if (extent.preRunMs > 0) await warmUp(runner, extent.preRunMs, chosen, progress);
  for (let round = 1; round <= extent.rounds; round++)
    for (const group of groupInterleaved(chosen)) {
      const show = (one: Case) => progress.doing(`round ${round} of ${extent.rounds}`, one.title);
      const all = await measureInterleaved(runner, extent, group, show);
      for (const [index, one] of group.entries()) {
        const measured = all[index] as Measured;
        rounds.get(one.name)?.push(measured);
        progress.measured(one, measured);
      }
    }
  return chosen.map(({ name, title, unit, subject }) => {
    const all = rounds.get(name) ?? [];
    return { name, title, unit, subject, rounds: all, median: medianOf(all) };
  });
}

/** Runs every case once, unmeasured: V8 compiles most of the code in the first seconds of its use. */
async function warmUp(
  runner: CaseRunner,
  durationMs: number,
  chosen: readonly Case[],
  progress: Progress,
) {
  for (const one of chosen) {
    progress.doing('warm-up', one.title);
    await runner.warmUp(one, durationMs);
  }
}

/** One round of a group of interleaved cases, or of a single case. */
async function measureInterleaved(
  runner: CaseRunner,
  { slices, warmUpMs, durationMs }: Extent,
  group: readonly Case[],
  show: (one: Case) => void,
): Promise<Measured[]> {
  const isSliced = group.length > 1 && slices > 1;
  // Each slice has a warm-up, because its load is a new one.
  const timing = isSliced
    ? { warmUpMs: warmUpMs / 2, durationMs: durationMs / slices }
    : { warmUpMs, durationMs };
  const measured = group.map(() => [] as Measured[]);
  for (let slice = 0; slice < (isSliced ? slices : 1); slice++)
    for (const [index, one] of group.entries()) {
      show(one);
      measured[index]?.push(await runner.measure(one, timing));
    }
  return measured.map(meanOf);
}

/** Groups consecutive cases that are interleaved. */
function groupInterleaved(chosen: readonly Case[]): Case[][] {
  const groups: Case[][] = [];
  for (const one of chosen) {
    const last = groups.at(-1);
    if (one.interleaved !== null && last?.[0]?.interleaved === one.interleaved) last.push(one);
    else groups.push([one]);
  }
  return groups;
}
