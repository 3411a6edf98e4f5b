/** The cluster of CITUS_URL, and cells in it for tests. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CellAddress, withSchema } from '../../src/cells/cells-file.ts';
import { type CitusServer, urlOn } from '../../src/cells/citus-node.ts';
import { formatServer, placeCell } from '../../src/cells/place-cell.ts';
import { migrateConfigured } from '../../src/migration.ts';
import { createSchema, migrate } from '../../src/pg/migrate.ts';
import { cellsOf } from '../cells/installation.ts';
import { execute } from '../postgres.ts';

/** How the names of schemas of tests begin. */
export const PREFIX = 'scrip_test_';

export const newSchema = (): string => `${PREFIX}${randomUUID().slice(0, 8)}`;

/** The URL of the coordinator, as a superuser. */
export function coordinatorUrl(): string {
  const url = process.env['CITUS_URL'];
  if (!url) throw new Error('CITUS_URL is not set');
  return url;
}

/** The servers of the cluster that take tables. */
export async function workers(): Promise<readonly CitusServer[]> {
  const rows = await execute(
    coordinatorUrl(),
    `select nodename as host, nodeport as port from pg_dist_node
     where noderole = 'primary' and shouldhaveshards order by groupid`,
  );
  if (rows.length < 2) throw new Error('the cluster needs two servers that take tables');
  return rows as unknown as readonly CitusServer[];
}

/** A migrated cell on the first of them; its URL there, for tests that use one database. */
export async function createCell(url: string): Promise<string> {
  const schema = newSchema();
  const cell: CellAddress = { name: 'cell', url: withSchema(url, schema), citusSchema: schema };
  await createSchema(cell.url);
  await migrate(cell.url);
  const [worker] = await workers();
  if (!worker) throw new Error('the cluster has no server');
  await placeCell(cell, formatServer(worker));
  return urlOn(cell.url, worker);
}

export type Cells = {
  /** CELLS_FILE. */
  readonly file: string;
  readonly cells: readonly CellAddress[];
  readonly remove: () => Promise<void>;
};

/** The file of cells of these names in the cluster, which are migrated and not placed yet. */
export async function createCells(...names: readonly string[]): Promise<Cells> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-citus-'));
  const file = join(directory, 'cells.yaml');
  const lines = names.map(
    (name) =>
      `  - { name: ${name}, database_url: "${coordinatorUrl()}", schema: ${newSchema()}, citus: true }\n`,
  );
  await writeFile(file, `cells:\n${lines.join('')}`);
  await migrateConfigured({ CELLS_FILE: file });
  return { file, cells: cellsOf(file), remove: () => rm(directory, { recursive: true }) };
}
