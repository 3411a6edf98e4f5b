/**
 * `npm run bench -- --cost`: what operations cost in CPU time, WAL, SQL statements, rows and space. On a
 * shared machine these figures move far less than rates.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { commit, durability, machine, versions } from '../machine.ts';
import type { Options } from '../options.ts';
import { Progress } from '../progress.ts';
import type { Results } from '../results.ts';
import { startTestbed, type Testbed } from '../testbed.ts';
import { DATABASE, openCostBench, SETTINGS } from './bench.ts';
import { type Compared, compare, comparisons, type Windows } from './comparisons.ts';
import { type Cost, type Counts, measureCost } from './operation-cost.ts';
import { costOperations, countedLoad, loadOfCase } from './operations.ts';
import { report } from './report.ts';

/** As in `bench/latest-cost.json`. */
export type CostResults = Pick<
  Results,
  'startedAt' | 'seconds' | 'commit' | 'extent' | 'machine' | 'versions' | 'durability'
> & {
  readonly costs: readonly Cost[];
  readonly comparisons: readonly Compared[];
  readonly verify: readonly string[];
};

type CostExtent = Counts &
  Windows & {
    /** Pairs before anything is measured, so that the code is compiled. */
    readonly preRun: number;
  };

/**
 * The pair doubles entries: there are about 86,000 before it is measured, those of the opening of accounts
 * included, and it adds 80,000.
 */
const usual: CostExtent = {
  preRun: 10_000,
  warmUp: 20_000,
  measured: 20_000,
  doubles: true,
  windows: 12,
  windowShare: 1,
};
const quick: CostExtent = {
  preRun: 5_000,
  warmUp: 3_000,
  measured: 3_000,
  doubles: false,
  windows: 5,
  windowShare: 0.4,
};

export async function measureCosts({ json, only, extent }: Options) {
  const beganAt = performance.now();
  const startedAt = new Date().toISOString();
  const before = machine();
  const progress = new Progress();
  progress.doing('PostgreSQL', 'opening the accounts');
  const testbed = await startTestbed(0, SETTINGS);
  const closeAndExit = () => void testbed.close().finally(() => process.exit(130));
  process.once('SIGINT', closeAndExit).once('SIGTERM', closeAndExit);
  try {
    const measured = await measureAll(
      testbed,
      extent.name === 'quick' ? quick : usual,
      only,
      progress,
    );
    const results: CostResults = {
      startedAt,
      seconds: (performance.now() - beganAt) / 1000,
      commit: commit(),
      extent: extent.name,
      machine: before,
      versions: await versions(testbed.database.template),
      durability: await durability(testbed.database.template),
      ...measured,
    };
    await mkdir(dirname(json), { recursive: true });
    await writeFile(json, `${JSON.stringify(results, null, 2)}\n`);
    process.stdout.write(report(results));
  } finally {
    await testbed.close();
  }
}

async function measureAll(
  testbed: Testbed,
  extent: CostExtent,
  only: readonly string[],
  progress: Progress,
): Promise<Pick<CostResults, 'costs' | 'comparisons' | 'verify'>> {
  const isWanted = ({ name }: { readonly name: string }) =>
    only.length === 0 || only.includes(name);
  const bench = await openCostBench(testbed);
  try {
    await testbed.client.run(
      countedLoad(loadOfCase('reserve_commit'), bench.service.address, extent.preRun),
    );
    await bench.sql.query('vacuum');
    const costs: Cost[] = [];
    for (const operation of costOperations.filter(isWanted)) {
      progress.say(operation.title);
      costs.push(await measureCost(bench, operation, extent));
    }
    const compared: Compared[] = [];
    for (const comparison of comparisons.filter(isWanted)) {
      progress.say(`${comparison.title}: ${comparison.a.title} and ${comparison.b.title}`);
      compared.push(await compare(bench, comparison, extent));
    }
    progress.doing('verify', DATABASE);
    return { costs, comparisons: compared, verify: [await testbed.verify(DATABASE)] };
  } finally {
    await bench.sql.end();
  }
}
