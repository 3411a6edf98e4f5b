/** `cells move`: moves a whole cell to another server, on plain servers as in a Citus cluster. */
import type { CellAddress } from '../cells/cells-file.ts';
import { slotsOf, toRanges } from '../cells/slot-ranges.ts';
import { placedLines } from './cells-place.ts';
import { command, exitWith } from './command.ts';
import { AT_ONCE, endUnfinished, moveParts, readMap, slotsText } from './move-parts.ts';
import { wholeNumber } from './options.ts';
import { count, printLines, seconds } from './print.ts';

type Options = { readonly to: string; readonly atOnce: number };

export const cellsMove = command('move', {
  description:
    'Moves a whole cell to another server while it is used. Between plain servers all of its slots move to another cell of ' +
    'CELLS_FILE, usually one that has none yet, a part of them at a time, as cells split moves them: the accounts of a part ' +
    'are copied while they are served, then their calls are refused for a moment, which it measures. A cell of a Citus ' +
    'cluster moves to one of its servers. Killed at any time, it goes on when it is run again. ' +
    'Connect as the owner of the databases, and not through a connection pooler.',
  examples: ['eu-1 --to eu-3', 'eu-2 --to worker-2:5432'],
})
  .argument('<cell>', 'the cell')
  .requiredOption(
    '--to <place>',
    'a cell of CELLS_FILE; of a Citus cluster HOST:PORT, as the cluster names the server',
  )
  .option('--at-once <count>', 'slots in one part, between plain servers', wholeNumber, AT_ONCE)
  .action(
    exitWith(async (name: string, options: Options) => {
      const { requireConfig } = await import('../config.ts');
      const { chooseCell, findCells, listCells } = await import('../find-database.ts');
      const config = requireConfig(process.env);
      const listed = listCells(config);
      if (!listed) throw new Error('neither CELLS_FILE nor DATABASE_URL is set: there is one cell');
      const cell = chooseCell(listed, name);
      if (cell.citusSchema !== undefined) return await moveInCluster(cell, options.to);
      const target = listed.find((one) => one.name === options.to);
      if (!target) {
        const { notFound } = await import('./service-call.ts');
        const names = listed.map((one) => one.name).join(', ');
        throw notFound(`there is no cell ${options.to}: there are ${names}`);
      }
      assertPlain(cell, target, options.atOnce);
      const { cells, close } = await findCells(config);
      try {
        return await moveAll(cells, name, options);
      } finally {
        await close();
      }
    }),
  );

function assertPlain(cell: CellAddress, target: CellAddress, atOnce: number): void {
  if (target === cell) throw new Error(`--to names cell ${cell.name} itself`);
  if (atOnce === 0) throw new Error('--at-once must be 1 or more');
  if (target.citusSchema !== undefined)
    throw new Error(`cell ${target.name} is in a Citus cluster, which moves schemas, and no slots`);
}

async function moveInCluster(cell: CellAddress, server: string): Promise<number> {
  const { placeCell } = await import('../cells/place-cell.ts');
  const startedAt = performance.now();
  const placed = await placeCell(cell, server);
  printLines(placedLines(cell.name, placed));
  if (placed.from !== placed.to)
    printLines([`cell ${cell.name}: copied in ${seconds(performance.now() - startedAt)}`]);
  return 0;
}

async function moveAll(
  cells: readonly CellAddress[],
  from: string,
  { to, atOnce }: Options,
): Promise<number> {
  await endUnfinished(cells);
  const map = await readMap(cells, from, to);
  // What an earlier run has moved is not the cell's any more.
  const slots = slotsOf(map, from);
  if (slots.length === 0) {
    printLines([`cell ${from} has no slots`]);
    return 0;
  }
  printLines([`moving ${slotsText(toRanges(slots))} from ${from} to ${to}`]);
  const { accounts, longestStopMs } = await moveParts(cells, { from, to, slots, map, atOnce });
  printLines([
    `cell ${from} has no slots any more: ${count(accounts, 'account')} moved to ${to}; ` +
      `none was stopped for longer than ${Math.ceil(longestStopMs)} ms`,
  ]);
  return 0;
}
