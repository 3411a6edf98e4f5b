/** Commands that do the same in every cell. */
import type { CellAddress } from '../cells/cells-file.ts';
import { errorOfCell } from '../cells/error-of-cell.ts';

/** The name of a cell; null where it is the only one. */
export type CellName = string | null;

/**
 * Acts in one cell after the other. A cell that fails keeps none of the others from their turn; at the end the error
 * names it. Returns the largest exit code.
 */
export async function inEachCell(
  cells: readonly CellAddress[],
  isOne: boolean,
  act: (cell: CellAddress, name: CellName) => Promise<number>,
): Promise<number> {
  let exitCode = 0;
  const failed: string[] = [];
  for (const cell of cells)
    try {
      exitCode = Math.max(exitCode, await act(cell, isOne ? null : cell.name));
    } catch (error) {
      if (isOne) throw error;
      failed.push(errorOfCell(error, cell.name).message);
    }
  if (failed.length > 0) throw new Error(failed.join('; '));
  return exitCode;
}
