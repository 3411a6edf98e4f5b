/**
 * A service over two PostgreSQL servers with a cell each, compared with one over one server: CPU per call, with the same
 * number of calls in flight for each cell.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrateConfigured } from '../../src/migration.ts';
import { publishInCells } from '../../src/plan-publication.ts';
import { cellsOf } from '../cells/installation.ts';
import { type Database, query, startDatabase } from './database.ts';
import { accounts, openAccounts } from './ledger.ts';
import type { Load } from './load-spec.ts';
import { type Measured, type MeasuredProcesses, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import { type CaseResult, meanOf, medianOf } from './results.ts';
import { type BenchServer, startService } from './servers.ts';
import { deployedPlans, type Testbed } from './testbed.ts';

const IN_FLIGHT_PER_CELL = 64;
/** Clocks of two servers on a busy machine are read at different moments. */
const SKEW_MAX_MS = 10_000;

/** A busy machine is no overload. */
const PATIENT = { WAIT_MAX_MS: '600000' };

type Setup = {
  readonly name: string;
  readonly title: string;
  readonly cells: number;
  readonly server: BenchServer;
  readonly processes: MeasuredProcesses;
  readonly rounds: Measured[];
};

export async function measureCells(
  testbed: Testbed,
  extent: Extent,
  progress: Progress,
): Promise<CaseResult[]> {
  progress.doing('cells', 'a second PostgreSQL, and the accounts of two cells');
  const two = await startTwoCells(testbed);
  let one: BenchServer | null = null;
  try {
    const server = await startService(await testbed.databaseOf('one_cell'), { env: PATIENT });
    one = server;
    const setups: readonly Setup[] = [
      {
        ...{ name: 'one_cell', title: 'Reserve, one cell', cells: 1, server, rounds: [] },
        processes: testbed.processes(server),
      },
      {
        ...{ name: 'two_cells', title: 'Reserve, two cells on two servers', cells: 2, rounds: [] },
        server: two.server,
        processes: { ...testbed.processes(two.server), secondPostgres: two.second.pid },
      },
    ];
    for (const setup of setups)
      await testbed.client.run(loadOf(setup, { warmUpMs: 0, durationMs: 2 * extent.preRunMs }));
    for (let round = 1; round <= extent.rounds; round++)
      await measureRound(setups, extent, (title) =>
        progress.doing(`cells, round ${round} of ${extent.rounds}`, title),
      );
    return setups.map(({ name, title, rounds }) => {
      const median = medianOf(rounds);
      progress.measured({ title, unit: 'call' }, median);
      return { name, title, unit: 'call', subject: 'service', rounds, median };
    });
  } finally {
    await Promise.all([one?.stop(), two.stop()]);
  }
}

/** The setups take turns, so that what disturbs the machine disturbs both. */
async function measureRound(
  setups: readonly Setup[],
  { slices, warmUpMs, durationMs }: Extent,
  show: (title: string) => void,
) {
  const measured = setups.map(() => [] as Measured[]);
  for (let slice = 0; slice < slices; slice++)
    for (const [index, setup] of setups.entries()) {
      show(setup.title);
      const timing = { warmUpMs: warmUpMs / 2, durationMs: durationMs / slices };
      measured[index]?.push(await measure(setup.processes, loadOf(setup, timing)));
    }
  for (const [index, { rounds }] of setups.entries()) rounds.push(meanOf(measured[index] ?? []));
}

const loadOf = ({ server, cells }: Setup, timing: Pick<Load, 'warmUpMs' | 'durationMs'>): Load => ({
  operation: { kind: 'reserve', accounts: accounts.spread },
  addresses: [server.address],
  inFlight: cells * IN_FLIGHT_PER_CELL,
  ...timing,
});

/** One cell in the testbed's PostgreSQL, the other in one of its own, with the accounts in the cells of their slots. */
async function startTwoCells(testbed: Testbed) {
  const second = await startDatabase();
  const directory = await mkdtemp(join(tmpdir(), 'scrip-bench-cells-'));
  const cleanUp = async () => {
    await second.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const file = await installCells(join(directory, 'cells.yaml'), testbed.database, second);
    const server = await startService('', { env: { CELLS_FILE: file, ...PATIENT } });
    await openAccounts(server.address, [accounts.spread]);
    for (const { url } of cellsOf(file)) await query(url, 'vacuum analyze');
    const stop = async () => {
      await server.stop();
      await cleanUp();
    };
    return { server, second, stop };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function installCells(file: string, ...databases: readonly Database[]): Promise<string> {
  const urls = await Promise.all(databases.map((database) => database.create('bench_cell')));
  const lines = urls.map((url, index) => `  - { name: cell-${index}, database_url: "${url}" }\n`);
  await writeFile(file, `cells:\n${lines.join('')}`);
  await migrateConfigured({ CELLS_FILE: file });
  await publishInCells(cellsOf(file), await deployedPlans(), SKEW_MAX_MS);
  return file;
}
