/**
 * Measures the cases round by round: each round goes through all of them, and those that are compared
 * take turns in it, so what disturbs the machine for a while disturbs what is compared alike.
 */
import type { Case, Figures, Subject } from './cases.ts';
import type { Load } from './load-spec.ts';
import { type Measured, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import { type CaseResult, meanOf, medianOf } from './results.ts';
import type { BenchServer } from './servers.ts';
import type { Stage } from './stage.ts';

export type Pools = { readonly handTuned: number; readonly textbook: number };

export async function measureRounds(
  stage: Stage,
  extent: Extent,
  chosen: readonly Case[],
  pools: Pools,
  progress: Progress,
): Promise<CaseResult[]> {
  if (extent.readyMs > 0) await makeReady(stage, extent, chosen, pools, progress);
  const rounds = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]));
  const perSecondOf = (name: string) => rounds.get(name)?.at(-1)?.perSecond ?? 0;
  for (let round = 1; round <= extent.rounds; round++)
    for (const together of turnsOf(chosen)) {
      const doing = (one: Case) => progress.doing(`round ${round} of ${extent.rounds}`, one.title);
      const all = await measureInTurns(stage, extent, together, pools, perSecondOf, doing);
      for (const [index, one] of together.entries()) {
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

/** A round of cases that take turns, or of one by itself. */
async function measureInTurns(
  stage: Stage,
  extent: Extent,
  together: readonly Case[],
  pools: Pools,
  perSecondOf: Figures['perSecondOf'],
  doing: (one: Case) => void,
): Promise<Measured[]> {
  const slices = together.length > 1 ? extent.slices : 1;
  const measured = together.map(() => [] as Measured[]);
  for (let slice = 1; slice <= slices; slice++)
    for (const [index, one] of together.entries()) {
      doing(one);
      const load = await loadOf(stage, sliceOf(extent, slices), one, pools, perSecondOf);
      const servers = await serversOf(stage, one.subject, pools);
      measured[index]?.push(await measure(stage.measuring(...servers), load));
    }
  return measured.map(meanOf);
}

/** Cases that follow each other and take turns go together. */
function turnsOf(chosen: readonly Case[]): Case[][] {
  const all: Case[][] = [];
  for (const one of chosen) {
    const before = all.at(-1);
    if (one.turns !== null && before?.[0]?.turns === one.turns) before.push(one);
    else all.push([one]);
  }
  return all;
}

/** So much of a round's time; the server is warm, but each slice has a load that begins anew. */
const sliceOf = (extent: Extent, slices: number): Extent => ({
  ...extent,
  warmUpMs: slices > 1 ? extent.warmUpMs / 2 : extent.warmUpMs,
  durationMs: extent.durationMs / slices,
});

/**
 * A young process is busy compiling: 17 % of the service's CPU goes there while it is measured for the
 * first time, 7 % in a second round, 2 % in a third. So every case runs once before the rounds.
 */
async function makeReady(
  stage: Stage,
  extent: Extent,
  chosen: readonly Case[],
  pools: Pools,
  progress: Progress,
): Promise<void> {
  const short = { ...extent, warmUpMs: 0, durationMs: extent.readyMs };
  for (const one of chosen) {
    const servers = await serversOf(stage, one.subject, pools);
    if (servers.length === 0 || one.needs.length > 0) continue;
    progress.doing('getting ready', one.title);
    await stage.client.run(await loadOf(stage, short, one, pools, () => 0));
  }
}

/** Runs a case once more and leaves the CPU profile of its server; false where it has none of ours. */
export async function profileCase(
  stage: Stage,
  extent: Extent,
  one: Case,
  pools: Pools,
  perSecondOf: Figures['perSecondOf'],
  file: string,
): Promise<boolean> {
  const [server] = await serversOf(stage, one.subject, pools);
  if (!server) return false;
  const load = await loadOf(stage, extent, one, pools, perSecondOf);
  await server.profile(file, () => stage.client.run(load));
  return true;
}

async function loadOf(
  stage: Stage,
  { warmUpMs, durationMs, historyEntries }: Extent,
  one: Case,
  pools: Pools,
  perSecondOf: Figures['perSecondOf'],
): Promise<Load> {
  const timing = { warmUpMs, durationMs: durationMs * one.longer };
  const figures: Figures = {
    perSecondOf,
    historyEntries,
    handTunedPool: pools.handTuned,
    seconds: (timing.warmUpMs + timing.durationMs) / 1000,
  };
  return {
    ...one.load(figures),
    ...timing,
    addresses: [await addressOf(stage, one.subject, pools)],
  };
}

async function addressOf(stage: Stage, subject: Subject, pools: Pools): Promise<string> {
  if (subject === 'hand-tuned') return await stage.databaseOf('hand_tuned');
  if (subject === 'copy') return await stage.databaseOf('service');
  const [server] = await serversOf(stage, subject, pools);
  return server?.address ?? '';
}

async function serversOf(stage: Stage, subject: Subject, pools: Pools): Promise<BenchServer[]> {
  switch (subject) {
    case 'service':
      return [await stage.service()];
    case 'echo':
      return [await stage.echo()];
    case 'textbook':
      return [await stage.textbook(pools.textbook)];
    default:
      return [];
  }
}
