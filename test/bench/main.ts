/**
 * `npm run bench`: measures the service and its baselines on one embedded PostgreSQL, prints a
 * table, and writes `bench/latest.json`, charts to `bench/latest.html` and, with --profile, CPU profiles.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { htmlOf } from '../charts/page.ts';
import { checkBars } from './bars.ts';
import { CaseRunner, type Pools } from './case-runner.ts';
import { type Case, casesNamed } from './cases.ts';
import { measureCells } from './cells.ts';
import { measureCosts } from './cost/run.ts';
import { measureGrowth } from './growth.ts';
import { commit, durability, machine, versions } from './machine.ts';
import type { Measured } from './measure.ts';
import { OPERATIONS_PER_JOB } from './mixed.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { pageOf } from './page.ts';
import { bestPools } from './pools.ts';
import { summary } from './profile.ts';
import { Progress } from './progress.ts';
import { measureReplicas } from './replicas.ts';
import { report } from './report.ts';
import type { CaseResult, Results } from './results.ts';
import { measureRounds } from './rounds.ts';
import { measureSoak } from './soak.ts';
import { startTestbed, type Testbed } from './testbed.ts';

const folder = fileURLToPath(new URL('../../bench/', import.meta.url));
const page = join(folder, 'latest.html');
/** Names that --only accepts in addition to those of the cases. */
const GROWTH = 'growth';
const REPLICAS = 'two_processes';
const CELLS = 'cells';
const SOAK = 'soak';

async function main(options: Options) {
  const beganAt = performance.now();
  const startedAt = new Date().toISOString();
  const before = machine();
  const progress = new Progress();
  progress.doing('PostgreSQL', 'opening the accounts');
  const testbed = await startTestbed(options.extent.historyEntries);
  const closeAndExit = () => void testbed.close().finally(() => process.exit(130));
  process.once('SIGINT', closeAndExit).once('SIGTERM', closeAndExit);
  try {
    const measured = await measureAll(testbed, options, progress);
    const results: Results = {
      startedAt,
      seconds: (performance.now() - beganAt) / 1000,
      commit: commit(),
      extent: options.extent.name,
      machine: before,
      versions: await versions(testbed.database.template),
      durability: await durability(testbed.database.template),
      ...measured,
      ...barsOf(measured),
    };
    await write(options.json, results);
    process.stdout.write(report(results));
    process.stdout.write(`charts: ${relative('', page)}\n`);
  } finally {
    await testbed.close();
  }
}

/** NaN, which meets no bar, where it is not known. */
const cpuOf = ({ server, postgres }: Measured['cpuMicros']): number =>
  (server ?? Number.NaN) + (postgres ?? Number.NaN);

type Measurements = Pick<Results, 'pools' | 'cases' | 'soak' | 'verify'>;

async function measureAll(
  testbed: Testbed,
  options: Options,
  progress: Progress,
): Promise<Measurements> {
  const { extent, only } = options;
  const wants = (name: string) =>
    only.length === 0 ? extent.name !== 'quick' : only.includes(name);
  const wantsSoak = options.soak || only.includes(SOAK);
  const chosen = casesNamed(only, wantsSoak ? ['mixed'] : []);
  const pools = await bestPools(testbed, extent, chosen, progress);
  const cases = await measureRounds(testbed, extent, chosen, pools, progress);
  const verified: string[] = [];
  const verify = async (database: string) => {
    progress.doing('verify', database);
    verified.push(await testbed.verify(database));
  };
  if (options.profile) await profile(testbed, options, chosen, pools, cases, progress);
  if (chosen.some(({ subject }) => subject === 'service')) await verify('service');
  if (wants(GROWTH)) {
    cases.push(...(await measureGrowth(testbed, extent, progress)));
    await verify('grown');
  }
  if (wants(REPLICAS)) {
    cases.push(...(await measureReplicas(testbed, extent, progress)));
    await verify('replicas');
  }
  if (wants(CELLS)) {
    cases.push(...(await measureCells(testbed, extent, progress)));
    await verify('one_cell');
  }
  const mixed = cases.find(({ name }) => name === 'mixed');
  const jobs = (mixed?.median.perSecond ?? 0) / OPERATIONS_PER_JOB;
  const soak = wantsSoak ? await measureSoak(testbed, extent, jobs / 2, progress) : null;
  if (soak) await verify('soak');
  return { pools: { ...pools }, cases, soak, verify: verified };
}

async function profile(
  testbed: Testbed,
  { extent }: Options,
  chosen: readonly Case[],
  pools: Pools,
  cases: readonly CaseResult[],
  progress: Progress,
) {
  await mkdir(folder, { recursive: true });
  const fileOf = (name: string) => join(folder, `${name}.cpuprofile`);
  const perSecondOf = (name: string) =>
    cases.find((one) => one.name === name)?.median.perSecond ?? 0;
  const runner = new CaseRunner(testbed, extent, pools, perSecondOf);
  for (const one of chosen) {
    progress.doing('profile', one.title);
    if (await runner.profile(one, fileOf(one.name)))
      progress.say(`${one.title}\n${await summary(fileOf(one.name))}`);
  }
}

/** Resident memory of a replica at most. */
const MEMORY_MAX_MB = 300;

function barsOf({ cases, soak }: Measurements): Pick<Results, 'bars' | 'ratios'> {
  const roundsOf = (name: string) => cases.find((one) => one.name === name)?.rounds ?? null;
  const all = checkBars(
    {
      perSecond: (name) => roundsOf(name)?.map(({ perSecond }) => perSecond) ?? null,
      p50Ms: (name) => roundsOf(name)?.map(({ latencyMs }) => latencyMs.p50) ?? null,
      p99Ms: (name) => roundsOf(name)?.map(({ latencyMs }) => latencyMs.p99) ?? null,
      cpuMicros: (name) => roundsOf(name)?.map(({ cpuMicros }) => cpuOf(cpuMicros)) ?? null,
    },
    soak && { ratio: soak.memoryRatio, within: soak.memoryMaxMb < MEMORY_MAX_MB },
  );
  return { bars: all, ratios: Object.fromEntries(all.map(({ name, value }) => [name, value])) };
}

async function write(json: string, results: Results) {
  await mkdir(folder, { recursive: true });
  await mkdir(dirname(json), { recursive: true });
  await writeFile(json, `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(page, htmlOf(pageOf(results)));
}

try {
  const options = readOptions(process.argv.slice(2), folder);
  if (options === 'help') process.stdout.write(`${USAGE}\n`);
  else if (options.cost) await measureCosts(options);
  else await main(options);
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  const usage = code?.startsWith('ERR_PARSE_ARGS') ? `\n${USAGE}` : '';
  process.stderr.write(`bench: ${message}${usage}\n`);
  process.exitCode = 1;
}
