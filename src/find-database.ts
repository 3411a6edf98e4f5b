/** Finds the databases that a service with the same configuration uses, for programs that read or change them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type CellAddress, oneCell, readCellsFile } from './cells/cells-file.ts';
import { presentAddress } from './cells/citus-node.ts';
import type { Config } from './config.ts';
import {
  runningDatabaseUrl,
  startEmbeddedPostgres,
} from './embedded-postgres/embedded-postgres.ts';

export type FoundDatabase = {
  readonly url: string;
  /** Stops the embedded PostgreSQL, unless it ran before. */
  readonly close: () => Promise<void>;
};

export type FoundCells = {
  /** In the order of CELLS_FILE; the only one without it. Those of a Citus cluster with the server that has them now. */
  readonly cells: readonly CellAddress[];
  /** Stops the embedded PostgreSQL, unless it ran before. */
  readonly close: () => Promise<void>;
};

/** Every cell. Starts the embedded PostgreSQL if it is used and does not run. Throws if there is no database. */
export async function findCells(config: Config): Promise<FoundCells> {
  const listed = listCells(config);
  // What cannot be looked up is reported, with the cell's name, by what uses it.
  if (listed) {
    const cells = await Promise.all(listed.map((cell) => presentAddress(cell).catch(() => cell)));
    return { cells, close: async () => {} };
  }
  const { DATA_DIRECTORY: directory } = config;
  if (!existsSync(join(directory, 'postgres')))
    throw new Error(
      `DATABASE_URL is not set, and there is no database in ${directory}: npm start makes one, and DATA_DIRECTORY names ` +
        'another, such as .data-sandbox of a sandbox',
    );
  const embedded = await startEmbeddedPostgres(directory);
  return { cells: oneCell(embedded.url), close: () => embedded.stop() };
}

/** Those of CELLS_FILE or DATABASE_URL; null: the embedded database. Throws with everything that is wrong with the file. */
export function listCells({
  CELLS_FILE: file,
  DATABASE_URL: url,
}: Pick<Config, 'CELLS_FILE' | 'DATABASE_URL'>): readonly CellAddress[] | null {
  if (!file) return url ? oneCell(url) : null;
  const read = readCellsFile(file);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.cells;
}

/**
 * One database: the only one, or that of the cell of this name. Throws where several cells are configured and none
 * of them is named.
 */
export async function findDatabase(config: Config, cell?: string): Promise<FoundDatabase> {
  const { cells, close } = await findCells(config);
  const chosen = chooseCell(cells, cell);
  return { url: chosen.url, close };
}

/** The only cell, or the one of this name. Throws where it does not say which of several. */
export function chooseCell(cells: readonly CellAddress[], name: string | undefined): CellAddress {
  const names = cells.map((cell) => cell.name).join(', ');
  const chosen = name === undefined ? cells[0] : cells.find((cell) => cell.name === name);
  if (!chosen) throw new Error(`there is no cell ${name}: there are ${names}`);
  if (name === undefined && cells.length > 1)
    throw new Error(`--cell must name one of the cells ${names}`);
  return chosen;
}

/** The URL of the embedded PostgreSQL, with its password; null if none runs, or another database is configured. */
export const findEmbeddedUrl = async ({
  CELLS_FILE: file,
  DATABASE_URL: url,
  DATA_DIRECTORY: directory,
}: Config): Promise<string | null> => (file || url ? null : await runningDatabaseUrl(directory));
