/** Migrates the databases that the environment names. */
import { agreeOnMap, mapToRecord } from './cells/agreement.ts';
import { rangesOf } from './cells/cell-map.ts';
import { type CellAddress, oneCell, readCellsFile } from './cells/cells-file.ts';
import { errorOfCell } from './cells/error-of-cell.ts';
import { findCell, findLedger, recordCell } from './cells/recorded-map.ts';
import { formatRanges } from './cells/slot-ranges.ts';
import { verifiesAddress } from './database-host.ts';
import { createSchema, migrate } from './pg/migrate.ts';
import { readSecretFiles } from './secret-files.ts';

/**
 * Migrates every cell, and records the map of slots in those that have none. Returns what it did, a line each.
 * Throws where DATABASE_URL and CELLS_FILE are missing or cannot be used.
 */
export async function migrateConfigured(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const { env, problems } = readSecretFiles(environment);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const { DATABASE_URL: url, CELLS_FILE: file } = env;
  if (url && file) throw new Error('DATABASE_URL and CELLS_FILE are both set');
  if (file) return await migrateCells(cellsOf(file));
  if (!url) throw new Error('DATABASE_URL is not set (the embedded database is migrated at start)');
  if (verifiesAddress(url))
    throw new Error(
      'DATABASE_URL must name the host: no certificate is compared with an IP address',
    );
  const ran = await migrate(url);
  const agreed = agreeOnMap(await Promise.all(oneCell(url).map(findCell)), false);
  if ('problems' in agreed) throw new Error(agreed.problems.join('; '));
  return [migratedText(ran)];
}

const migratedText = (ran: readonly string[]): string =>
  ran.length > 0 ? `migrated: ${ran.join(', ')}` : 'the schema is up to date';

function cellsOf(file: string): readonly CellAddress[] {
  const read = readCellsFile(file);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.cells;
}

async function migrateCells(cells: readonly CellAddress[]): Promise<readonly string[]> {
  // Those that can be migrated are, before the first failure is reported.
  const migrated = await Promise.allSettled(
    cells.map(async ({ name, url }) => {
      await createSchema(url);
      return `cell ${name}: ${migratedText(await migrate(url))}`;
    }),
  );
  const failed = migrated.flatMap((one, index) =>
    one.status === 'rejected' ? [errorOfCell(one.reason, cells[index]?.name ?? '').message] : [],
  );
  if (failed.length > 0) throw new Error(failed.join('; '));
  const lines = migrated.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  return [...lines, ...(await recordMap(cells))];
}

/**
 * One cell after the other, so that a database that two cells name is noticed; a ledger with accounts first, so that
 * this can be interrupted.
 */
async function recordMap(cells: readonly CellAddress[]): Promise<readonly string[]> {
  const ledgers = await Promise.all(cells.map(findLedger));
  const chosen = mapToRecord(ledgers);
  if ('problems' in chosen) throw new Error(chosen.problems.join('; '));
  const { map } = chosen;
  const lines: string[] = [];
  const inOrder = ledgers.toSorted((a, b) => Number(b.hasAccounts) - Number(a.hasAccounts));
  for (const { name, recorded } of inOrder) {
    const cell = cells.find((one) => one.name === name);
    if (recorded?.map.version === map.version || !cell) continue;
    await recordCell(cell, map);
    const slots = formatRanges(rangesOf(map, cell.name)) || 'none';
    lines.push(`cell ${cell.name}: recorded version ${map.version} of the map, slots ${slots}`);
  }
  return lines;
}
