/** An installation of two cells on two PostgreSQL servers, with a service whose clock tests can set. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { CellAddress } from '../../src/cells/cells-file.ts';
import { readCellsFile } from '../../src/cells/cells-file.ts';
import { findInstallation, type Installation } from '../../src/cells/installation.ts';
import { slotOf } from '../../src/cells/slot.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { migrateConfigured } from '../../src/migration.ts';
import { publishAt } from '../../src/plan-publication.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';
import { TcpProxy } from '../tcp-proxy.ts';

export type TwoCells = {
  /** CELLS_FILE. */
  readonly file: string;
  readonly cells: readonly [CellAddress, CellAddress];
  /** What `migrate` said. */
  readonly migrated: readonly string[];
  readonly installation: Installation;
  /** The way to the server of the second cell, which can be cut. */
  readonly network: TcpProxy;
  /** An id of an account of the cell that begins so. */
  readonly idIn: (cell: string, beginning?: string) => string;
  readonly stop: () => Promise<void>;
};

/** The first in a database of the test run's server, the second in a schema on a server of its own. */
export async function startTwoCells(): Promise<TwoCells> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-cells-'));
  const postgres = await startEmbeddedPostgres(join(directory, 'server'));
  const network = new TcpProxy(postgres.url);
  await network.open();
  const file = join(directory, 'cells.yaml');
  const one = await createEmptyDatabase(inject('postgresUrl'));
  await writeFile(
    file,
    `cells:\n  - { name: one, database_url: "${one}" }\n  - { name: two, database_url: "${network.url}", schema: ledger }\n`,
  );
  const migrated = await migrateConfigured({ CELLS_FILE: file });
  const found = await findInstallation(cellsOf(file), true);
  if ('problems' in found) throw new Error(found.problems.join('; '));
  const { installation } = found;
  let count = 0;
  return {
    file,
    cells: cellsOf(file) as readonly [CellAddress, CellAddress],
    migrated,
    installation,
    network,
    idIn(cell, beginning = 'acct') {
      for (;;) {
        const id = `${beginning}-${String(++count).padStart(5, '0')}`;
        if (installation.map.cells[slotOf(id)] === cell) return id;
      }
    },
    async stop() {
      await network.close();
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function cellsOf(file: string): readonly CellAddress[] {
  const read = readCellsFile(file);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.cells;
}

/** Publishes plans in both cells. */
export async function publishInBoth(
  { cells }: TwoCells,
  plans: readonly PlanFile[] | null = null,
  at = Date.now(),
) {
  const files = plans ?? (await plansOfDeploy());
  for (const { url } of cells) await publishAt(url, files, at);
}

/** The ids of the accounts in a cell's database, in their order. */
export const accountsIn = async ({ url }: CellAddress): Promise<readonly unknown[]> =>
  (await execute(url, 'select account_id from accounts order by account_id')).map(
    ({ account_id }) => account_id,
  );
