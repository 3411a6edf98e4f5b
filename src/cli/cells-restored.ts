/** `cells restored`: says that the database of a cell was restored from a backup. */
import { command, exitWith } from './command.ts';

export const cellsRestored = command('restored', {
  description:
    'Says that the database of DATABASE_URL, or of the named cell, was restored from a backup, before services start on it. ' +
    'From then on a reader with an earlier token of StreamEvents gets POSITION_LOST: what it has read may be different now.',
  examples: ['', 'eu-1'],
})
  .argument('[cell]', 'the cell, where there are several')
  .action(
    exitWith(async (cell: string | undefined) => {
      const { requireConfig } = await import('../config.ts');
      const { findDatabase } = await import('../find-database.ts');
      const { recordRestore } = await import('../cells/recorded-map.ts');
      const { url, close } = await findDatabase(requireConfig(process.env), cell);
      try {
        await recordRestore(url);
        process.stdout.write('earlier tokens of event streams are refused from now on\n');
        return 0;
      } finally {
        await close();
      }
    }),
  );
