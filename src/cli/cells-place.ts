/** `cells place`: puts a cell on a server of its Citus cluster. */
import type { Placement } from '../cells/place-cell.ts';
import { command, exitWith } from './command.ts';
import { printLines } from './print.ts';

export const cellsPlace = command('place', {
  description:
    'Distributes the schema of a cell of a Citus cluster, unless it is distributed, and moves it to a server of the cluster. ' +
    'Replicas that run follow a move; it takes as long as the ledger takes to copy, and holds up writes for about a second at ' +
    'its end. As the owner of the database, who may move tables.',
  examples: ['eu-3 worker-2:5432'],
})
  .argument('<cell>', 'the cell')
  .argument('<server>', 'HOST:PORT, as the cluster names it')
  .action(
    exitWith(async (name: string, server: string) => {
      const [{ requireConfig }, { listCells, chooseCell }, { placeCell }, { notFound }] =
        await Promise.all([
          import('../config.ts'),
          import('../find-database.ts'),
          import('../cells/place-cell.ts'),
          import('./service-call.ts'),
        ]);
      const cells = listCells(requireConfig(process.env));
      if (!cells)
        throw new Error(
          'neither CELLS_FILE nor DATABASE_URL is set: the database is the embedded one',
        );
      const cell = chooseCell(cells, name);
      if (cell.citusSchema === undefined)
        throw notFound(`cell ${name} is in no Citus cluster: its entry has no citus: true`);
      printLines(placedLines(name, await placeCell(cell, server)));
      return 0;
    }),
  );

export const placedLines = (name: string, { isNew, from, to }: Placement): readonly string[] => [
  ...(isNew ? [`cell ${name}: its schema is distributed now`] : []),
  from === to ? `cell ${name}: is on ${to}` : `cell ${name}: moved from ${from} to ${to}`,
];
