/**
 * Measures the cases in rounds. Each round measures all cases once; cases that are compared alternate
 * within it, so that a disturbance of the machine affects all of them.
 */
import type { Case, CaseInputs, Subject } from './cases.ts';
import type { Load } from './load-spec.ts';
import { type Measured, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import { type CaseResult, meanOf, medianOf } from './results.ts';
import type { BenchServer } from './servers.ts';
import type { Testbed } from './testbed.ts';

export type Pools = { readonly handTuned: number; readonly textbook: number };

export async function measureRounds(
  testbed: Testbed,
  extent: Extent,
  chosen: readonly Case[],
  pools: Pools,
  progress: Progress,
): Promise<CaseResult[]> {
  if (extent.preRunMs > 0) await warmUp(testbed, extent, chosen, pools, progress);
  const rounds = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]));
  const perSecondOf = (name: string) => rounds.get(name)?.at(-1)?.perSecond ?? 0;
  for (let round = 1; round <= extent.rounds; round++)
    for (const group of groupInterleaved(chosen)) {
      const doing = (one: Case) => progress.doing(`round ${round} of ${extent.rounds}`, one.title);
      const all = await measureInterleaved(testbed, extent, group, pools, perSecondOf, doing);
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

/** One round of a group of interleaved cases, or of a single case. */
async function measureInterleaved(
  testbed: Testbed,
  extent: Extent,
  group: readonly Case[],
  pools: Pools,
  perSecondOf: CaseInputs['perSecondOf'],
  doing: (one: Case) => void,
): Promise<Measured[]> {
  const slices = group.length > 1 ? extent.slices : 1;
  const measured = group.map(() => [] as Measured[]);
  for (let slice = 1; slice <= slices; slice++)
    for (const [index, one] of group.entries()) {
      doing(one);
      const load = await loadOf(testbed, sliceOf(extent, slices), one, pools, perSecondOf);
      const servers = await serversOf(testbed, one.subject, pools);
      measured[index]?.push(await measure(testbed.processes(...servers), load));
    }
  return measured.map(meanOf);
}

/** Groups consecutive cases that are interleaved. */
function groupInterleaved(chosen: readonly Case[]): Case[][] {
  const all: Case[][] = [];
  for (const one of chosen) {
    const before = all.at(-1);
    if (one.interleaved !== null && before?.[0]?.interleaved === one.interleaved) before.push(one);
    else all.push([one]);
  }
  return all;
}

/** One of the slices of a round. Each has a warm-up, because its load starts anew. */
const sliceOf = (extent: Extent, slices: number): Extent => ({
  ...extent,
  warmUpMs: slices > 1 ? extent.warmUpMs / 2 : extent.warmUpMs,
  durationMs: extent.durationMs / slices,
});

/** Runs every case once, unmeasured: V8 compiles most of the code in the first seconds of its use. */
async function warmUp(
  testbed: Testbed,
  extent: Extent,
  chosen: readonly Case[],
  pools: Pools,
  progress: Progress,
): Promise<void> {
  const short = { ...extent, warmUpMs: 0, durationMs: extent.preRunMs };
  for (const one of chosen) {
    const servers = await serversOf(testbed, one.subject, pools);
    if (servers.length === 0 || one.needs.length > 0) continue;
    progress.doing('warm-up', one.title);
    await testbed.client.run(await loadOf(testbed, short, one, pools, () => 0));
  }
}

/** Runs a case once more and writes the CPU profile of its server; false if it has no server. */
export async function profileCase(
  testbed: Testbed,
  extent: Extent,
  one: Case,
  pools: Pools,
  perSecondOf: CaseInputs['perSecondOf'],
  file: string,
): Promise<boolean> {
  const [server] = await serversOf(testbed, one.subject, pools);
  if (!server) return false;
  const load = await loadOf(testbed, extent, one, pools, perSecondOf);
  await server.profile(file, () => testbed.client.run(load));
  return true;
}

async function loadOf(
  testbed: Testbed,
  { warmUpMs, durationMs, historyEntries }: Extent,
  one: Case,
  pools: Pools,
  perSecondOf: CaseInputs['perSecondOf'],
): Promise<Load> {
  const timing = { warmUpMs, durationMs: durationMs * one.durationFactor };
  const figures: CaseInputs = {
    perSecondOf,
    historyEntries,
    handTunedPool: pools.handTuned,
    seconds: (timing.warmUpMs + timing.durationMs) / 1000,
  };
  return {
    ...one.load(figures),
    ...timing,
    addresses: [await addressOf(testbed, one.subject, pools)],
  };
}

async function addressOf(testbed: Testbed, subject: Subject, pools: Pools): Promise<string> {
  if (subject === 'hand-tuned') return await testbed.databaseOf('hand_tuned');
  if (subject === 'copy') return await testbed.databaseOf('service');
  const [server] = await serversOf(testbed, subject, pools);
  return server?.address ?? '';
}

async function serversOf(testbed: Testbed, subject: Subject, pools: Pools): Promise<BenchServer[]> {
  switch (subject) {
    case 'service':
      return [await testbed.service()];
    case 'echo':
      return [await testbed.echo()];
    case 'textbook':
      return [await testbed.textbook(pools.textbook)];
    default:
      return [];
  }
}
