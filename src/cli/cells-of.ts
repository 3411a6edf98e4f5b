/** `cells of`: the cell of an account. */
import { command, exitWith } from './command.ts';
import { printLines } from './print.ts';

export const cellsOf = command('of', {
  description:
    'Prints the cell that an account belongs to, and its slot, whether there is such an account or not. It asks the cells of ' +
    'CELLS_FILE for their map, and no service.',
  examples: ['acme'],
})
  .argument('<account>', 'the account id')
  .action(
    exitWith(async (accountId: string) => {
      const [{ requireConfig }, { findCells }, { findInstallation }, { slotOf }] =
        await Promise.all([
          import('../config.ts'),
          import('../find-database.ts'),
          import('../cells/installation.ts'),
          import('../cells/slot.ts'),
        ]);
      const config = requireConfig(process.env);
      const { cells, close } = await findCells(config);
      try {
        const found = await findInstallation(cells, config.CELLS_FILE !== undefined);
        if ('problems' in found) throw new Error(found.problems.join('; '));
        const slot = slotOf(accountId);
        printLines([`cell ${found.installation.map.cells[slot]}, slot ${slot}`]);
        return 0;
      } finally {
        await close();
      }
    }),
  );
