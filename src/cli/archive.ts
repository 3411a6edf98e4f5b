/** `archive`: moves entries of past months from the database into files. */
import { argumentError, command, exitWith } from './command.ts';

type Options = {
  readonly before: string;
  readonly dryRun: boolean;
  readonly cell?: string;
  readonly partEntries: string;
};

const PART_ENTRIES_MAX = 1_000_000;

export const archive = command('archive', {
  description:
    'Moves the entries of all months before a month into Parquet files in ARCHIVE_DIRECTORY, the oldest first. Repeats and ' +
    'refunds of what is archived are refused from then on. It may be stopped at any time: a further run goes on from ' +
    'there. With --dry-run it says what it would move.',
  examples: ['--before 2026-01 --dry-run', '--before 2026-01'],
})
  .requiredOption('--before <month>', 'first month that stays in the database, UTC')
  .option('--dry-run', 'only says what would be moved', false)
  .option('--cell <name>', 'only this one of several cells')
  .option('--part-entries <number>', 'entries of a file at most', '200000')
  .action(
    exitWith(async ({ before, dryRun, cell, partEntries }: Options) => {
      const { startOfMonth } = await import('../archiver/months.ts');
      const start = startOfMonth(before);
      if (start === null) throw argumentError('--before must be a month, such as 2026-01');
      const partMax = Number(partEntries);
      if (!Number.isInteger(partMax) || partMax < 1 || partMax > PART_ENTRIES_MAX)
        throw argumentError(`--part-entries must be from 1 to ${PART_ENTRIES_MAX}`);
      const { archiveCells } = await import('./archive/archive-cells.ts');
      return await archiveCells({ before: start, dryRun, cell, partMax });
    }),
  );
