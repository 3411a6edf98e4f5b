/** `cells list` and `cells check`: the cells of CELLS_FILE, and whether they agree. */
import type { FoundCell } from '../cells/agreement.ts';
import type { CellAddress } from '../cells/cells-file.ts';
import { formatRanges, slotsOf } from '../cells/slot-ranges.ts';
import { command, exitWith } from './command.ts';
import { DIFFERENT } from './exit-codes.ts';
import { count, printLines } from './print.ts';
import { table } from './table.ts';

export const cellsList = command('list', {
  description:
    'Lists the cells of CELLS_FILE with their databases, the version of the map that each has recorded, and the slots that it ' +
    'gives them. Without the file there is one cell.',
  examples: [''],
}).action(
  exitWith(() =>
    withCells(async (cells) => {
      const { findCell } = await import('../cells/recorded-map.ts');
      const { onlyMap } = await import('../cells/agreement.ts');
      const { rangesOf } = await import('../cells/cell-map.ts');
      const found = await Promise.all(cells.map(findCell));
      const map = newestMap(found) ?? (cells.length === 1 ? onlyMap(cells) : undefined);
      printLines(
        table(
          [
            { title: 'cell' },
            { title: 'database' },
            { title: 'map' },
            { title: 'slots', align: 'right' },
            { title: 'ranges' },
          ],
          cells.map((cell, index) => {
            const { name } = cell;
            const slots = map ? slotsOf(map, name).length : 0;
            return [
              name,
              databaseOf(cell),
              stateOf(found[index]),
              map ? String(slots) : '',
              map ? formatRanges(rangesOf(map, name)) : '',
            ];
          }),
        ),
      );
      return 0;
    }),
  ),
);

export const cellsCheck = command('check', {
  description:
    'Says whether every cell can be reached, is migrated, is the cell that CELLS_FILE says, and has the same map, the same ' +
    'versions of all plans and the same order of texts as the others. Reads only. Exits with 1 if not.',
  examples: [''],
}).action(
  exitWith(() =>
    withCells(async (cells, hasFile) => {
      const { findInstallation } = await import('../cells/installation.ts');
      const { findCell } = await import('../cells/recorded-map.ts');
      const { olderMaps } = await import('../cells/agreement.ts');
      const { findDifferingOrders } = await import('../cells/sort-order.ts');
      const { findDifferingPlans } = await import('../plan-publication.ts');
      const installed = await findInstallation(cells, hasFile);
      const problems = 'problems' in installed ? [...installed.problems] : [];
      const found = await Promise.all(cells.map(findCell));
      for (const one of found)
        if ('unreachable' in one) problems.push(`cell ${one.name}: ${one.unreachable}`);
      problems.push(...olderMaps(found));
      if (problems.length === 0) problems.push(...(await unfinishedMoves(cells, found)));
      if (problems.length === 0)
        problems.push(...(await findDifferingPlans(cells)), ...(await findDifferingOrders(cells)));
      printLines(problems.length > 0 ? problems : [okText(cells.length)]);
      return problems.length > 0 ? DIFFERENT : 0;
    }),
  ),
);

const okText = (cells: number): string => `ok (${count(cells, 'cell')})`;

async function unfinishedMoves(
  cells: readonly CellAddress[],
  found: readonly FoundCell[],
): Promise<readonly string[]> {
  const { findMoves } = await import('../slot-moves/unfinished.ts');
  const migrated = cells.filter((_, index) => {
    const one = found[index];
    return one && 'recorded' in one && one.recorded !== null;
  });
  return (await findMoves(migrated)).map(
    ({ from, to, slots }) =>
      `slots ${formatRanges(slots)} are being moved from ${from} to ${to}; if no command does it: scrip cells split --take-back`,
  );
}

async function withCells(
  use: (cells: readonly CellAddress[], hasFile: boolean) => Promise<number>,
): Promise<number> {
  const [{ requireConfig }, { findCells }] = await Promise.all([
    import('../config.ts'),
    import('../find-database.ts'),
  ]);
  const config = requireConfig(process.env);
  const { cells, close } = await findCells(config);
  try {
    return await use(cells, config.CELLS_FILE !== undefined);
  } finally {
    await close();
  }
}

const newestMap = (found: readonly FoundCell[]) =>
  found
    .flatMap((cell) => ('recorded' in cell ? (cell.recorded?.map ?? []) : []))
    .toSorted((a, b) => b.version - a.version)[0];

function stateOf(found: FoundCell | undefined): string {
  if (!found || 'unreachable' in found) return `not reached: ${found?.unreachable}`;
  return found.recorded ? `version ${found.recorded.map.version}` : 'none recorded';
}

/** Without the user and the password. */
function databaseOf({ url }: CellAddress): string {
  const { host, pathname, searchParams } = new URL(url);
  const schema = /search_path=(\w+)/.exec(searchParams.get('options') ?? '')?.[1];
  return `${host}${pathname}${schema ? ` ${schema}` : ''}`;
}
