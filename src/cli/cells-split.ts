/** `cells split`: moves slots, with their accounts, from one cell to another while both serve calls. */
import { InvalidArgumentError } from 'commander';
import type { CellAddress } from '../cells/cells-file.ts';
import { slotsOf, toRanges } from '../cells/slot-ranges.ts';
import { parseSlots } from '../slot-moves/slots.ts';
import { command, exitWith } from './command.ts';
import { AT_ONCE, endUnfinished, moveParts, type Plan, readMap, slotsText } from './move-parts.ts';
import { wholeNumber } from './options.ts';
import { printLines } from './print.ts';

type Options = {
  readonly from?: string;
  readonly to?: string;
  readonly slots?: readonly number[];
  readonly share?: number;
  readonly atOnce: number;
  readonly takeBack?: true;
};

export const cellsSplit = command('split', {
  description:
    'Moves slots of one cell, with all that their accounts have, to another cell of CELLS_FILE, a part of them at a time. ' +
    'The accounts of a part are copied while they are served; then their calls are refused for a moment, which it ' +
    'measures, and retries find them in the other cell. It first ends what an earlier run has left unfinished. ' +
    'Connect as the owner of the databases, and not through a connection pooler.',
  examples: [
    '--from eu-1 --to eu-2 --share 50',
    '--from eu-1 --to eu-2 --slots 0-1023,4000',
    '--take-back',
  ],
})
  .option('--from <cell>', 'the cell that the slots belong to')
  .option('--to <cell>', 'the cell that gets them')
  .option('--slots <list>', 'these slots, such as 0-1023,4000', slotList)
  .option('--share <percent>', 'so many percent of the slots of the cell, its last ones', percent)
  .option('--at-once <count>', 'slots in one part', wholeNumber, AT_ONCE)
  .option('--take-back', 'only ends what an earlier run has left unfinished')
  .action(exitWith(async (options: Options) => await split(options)));

function slotList(text: string): readonly number[] {
  const slots = parseSlots(text);
  if (typeof slots === 'string') throw new InvalidArgumentError(`${slots}.`);
  return slots;
}

function percent(text: string): number {
  const value = wholeNumber(text);
  if (value < 1 || value > 100) throw new InvalidArgumentError('It must be 1 to 100.');
  return value;
}

async function split(options: Options): Promise<number> {
  const { requireConfig } = await import('../config.ts');
  const { findCells } = await import('../find-database.ts');
  const { cells, close } = await findCells(requireConfig(process.env));
  try {
    const ended = await endUnfinished(cells);
    if (options.takeBack) {
      if (ended === 0) printLines(['no move is unfinished']);
      return 0;
    }
    await moveParts(cells, await planOf(cells, options));
    return 0;
  } finally {
    await close();
  }
}

/** What is to be moved. Throws where the cells are not ready for it. */
async function planOf(cells: readonly CellAddress[], options: Options): Promise<Plan> {
  const { shareOf } = await import('../slot-moves/slots.ts');
  const { from, to, slots: given, share, atOnce } = options;
  if (!from || !to) throw new Error('--from and --to must name two cells');
  if (from === to) throw new Error('--from and --to name the same cell');
  if ((given === undefined) === (share === undefined))
    throw new Error('either --slots or --share says what is moved');
  if (atOnce === 0) throw new Error('--at-once must be 1 or more');
  const map = await readMap(cells, from, to);
  const own = new Set(slotsOf(map, from));
  // Those that an earlier run has moved are left out.
  const slots = given
    ? given.filter((slot) => own.has(slot))
    : own.size > 0
      ? shareOf(map, from, share ?? 100)
      : [];
  const other = given?.find((slot) => !own.has(slot) && map.cells[slot] !== to);
  if (other !== undefined)
    throw new Error(`slot ${other} belongs to ${map.cells[other]}, and not to ${from}`);
  printLines([
    slots.length === 0
      ? `cell ${from} has none of these slots`
      : `moving ${slotsText(toRanges(slots))} from ${from} to ${to}`,
  ]);
  return { from, to, slots, map, atOnce };
}
