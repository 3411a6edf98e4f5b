/** The cells that a service is started on, and the map that they have recorded. */
import { pendingMigrations, pendingText } from '../pg/migrate.ts';
import { agreeOnMap, onlyMap } from './agreement.ts';
import type { CellMap } from './cell-map.ts';
import { type CellAddress, oneCell } from './cells-file.ts';
import { presentAddress } from './citus-node.ts';
import { findCell } from './recorded-map.ts';
import { slotOf } from './slot.ts';

export type Installation = {
  /** In the order of the configuration. */
  readonly cells: readonly CellAddress[];
  readonly map: CellMap;
};

/** The installation of one database. */
export const oneDatabase = (url: string): Installation => {
  const cells = oneCell(url);
  return { cells, map: onlyMap(cells) };
};

/**
 * Asks every cell that can be reached for its map. Problems: what keeps a service from starting, a line each, with
 * what to do.
 */
export async function findInstallation(
  cells: readonly CellAddress[],
  hasFile: boolean,
): Promise<{ readonly installation: Installation } | { readonly problems: readonly string[] }> {
  const found = await Promise.all(
    cells.map(async (given) => {
      const cell = await presentAddress(given).catch((error: Error) => error);
      if (cell instanceof Error) return { name: given.name, unreachable: textOf(cell) };
      const pending = await pendingMigrations(cell.url).catch((error: Error) => error);
      if (!Array.isArray(pending))
        return { name: cell.name, unreachable: textOf(pending as Error) };
      if (pending.length > 0) return { name: cell.name, pending: pendingText(pending) };
      return await findCell(cell);
    }),
  );
  const unmigrated = found.flatMap((cell) =>
    'pending' in cell ? [hasFile ? `cell ${cell.name}: ${cell.pending}` : cell.pending] : [],
  );
  if (unmigrated.length > 0) return { problems: unmigrated };
  const agreed = agreeOnMap(
    found.flatMap((cell) => ('pending' in cell ? [] : [cell])),
    hasFile,
  );
  return 'problems' in agreed ? agreed : { installation: { cells, map: agreed.map } };
}

/** The cell of an account, which need not be reachable. Throws what keeps a service from starting. */
export async function cellOfAccount(
  cells: readonly CellAddress[],
  accountId: string,
): Promise<CellAddress> {
  const found = await findInstallation(cells, true);
  if ('problems' in found) throw new Error(found.problems.join('; '));
  const name = found.installation.map.cells[slotOf(accountId)];
  return cells.find((cell) => cell.name === name) as CellAddress;
}

/** Where every address of a host refuses the connection, the error has no message. */
const textOf = ({ message, code }: Error & { code?: string }): string => message || code || '';
