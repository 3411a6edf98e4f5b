/** `archive`: moves entries of past months from the database into files. */
import { InvalidArgumentError, Option } from 'commander';
import { startOfMonth } from '../archiver/months.ts';
import { monthStart } from '../ledger/month.ts';
import { argumentError, command, exitWith } from './command.ts';

type Options = {
  readonly before?: string;
  readonly keepMonths?: number;
  readonly dryRun: boolean;
  readonly cell?: string;
  readonly partEntries: string;
};

const PART_ENTRIES_MAX = 1_000_000;
const KEEP_MONTHS_MAX = 1_200;

export const archive = command('archive', {
  description:
    'Moves the entries of all months before a month into Parquet files in ARCHIVE_DIRECTORY, the oldest first. Repeats and ' +
    'refunds of what is archived are refused from then on. It may be stopped at any time: a further run goes on from ' +
    'there. With --dry-run it says what it would move. On a schedule, --keep-months counts back from the running month.',
  examples: ['--before 2026-01 --dry-run', '--before 2026-01', '--keep-months 13'],
})
  .option('--before <month>', 'first month that stays in the database, UTC')
  .addOption(
    new Option('--keep-months <number>', 'in place of it: months that stay beside the running one')
      .argParser(keptMonths)
      .conflicts('before'),
  )
  .option('--dry-run', 'only says what would be moved', false)
  .option('--cell <name>', 'only this one of several cells')
  .option('--part-entries <number>', 'entries of a file at most', '200000')
  .action(
    exitWith(async (options: Options) => {
      const firstKept = firstKeptOf(options);
      const { dryRun, cell } = options;
      const partMax = Number(options.partEntries);
      if (!Number.isInteger(partMax) || partMax < 1 || partMax > PART_ENTRIES_MAX)
        throw argumentError(`--part-entries must be from 1 to ${PART_ENTRIES_MAX}`);
      const { archiveCells } = await import('./archive/archive-cells.ts');
      return await archiveCells({ firstKept, dryRun, cell, partMax });
    }),
  );

/** One at least: what was charged on the last day of a month can be repeated and refunded on the first of the next. */
function keptMonths(text: string): number {
  const months = Number(text);
  if (!/^\d+$/.test(text) || months < 1 || months > KEEP_MONTHS_MAX)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${KEEP_MONTHS_MAX}.`);
  return months;
}

/** The first moment of the first month that stays, at a time of the database. */
function firstKeptOf({ before, keepMonths }: Options): (now: number) => number {
  if (keepMonths !== undefined) return (now) => monthStart(now, -keepMonths);
  if (before === undefined) throw argumentError('--before or --keep-months must be given');
  const start = startOfMonth(before);
  if (start === null) throw argumentError('--before must be a month, such as 2026-01');
  return () => start;
}
