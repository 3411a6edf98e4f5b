/** Archives cells one after the other, and says what was moved. */
import pino from 'pino';
import { archiveDirectoriesOf } from '../../archive/archive-directory.ts';
import { archive, assertEnded, planArchive } from '../../archiver/archiver.ts';
import { databaseNow } from '../../archiver/candidates.ts';
import type { CellAddress } from '../../cells/cells-file.ts';
import { type Config, requireConfig } from '../../config.ts';
import { findCells } from '../../find-database.ts';
import { formatMonth } from '../../ledger/month.ts';
import { connectAsArchiver, type Em } from '../../pg/orm.ts';
import { entities } from '../../store/tables/index.ts';
import { openCheckpoints } from '../../wiring/checkpoints.ts';
import { argumentError } from '../command.ts';
import { inEachCell } from '../each-cell.ts';
import { count, printLines, seconds } from '../print.ts';
import { table } from '../table.ts';

export type ArchiveCellsOptions = {
  /** First moment of the first month that stays, where the clock of the database says `now`. */
  readonly firstKept: (now: number) => number;
  readonly dryRun: boolean;
  readonly cell: string | undefined;
  readonly partMax: number;
};

export async function archiveCells(options: ArchiveCellsOptions): Promise<number> {
  const config = requireConfig(process.env);
  if (!options.dryRun && !config.ARCHIVE_DIRECTORY)
    throw argumentError('ARCHIVE_DIRECTORY must name a directory');
  const { cells, close } = await findCells(config);
  try {
    const chosen = cells.filter(({ name }) => (options.cell ?? name) === name);
    if (chosen.length === 0) throw argumentError(`there is no cell ${options.cell}`);
    return await inEachCell(chosen, cells.length === 1, async (cell, name) => {
      if (name !== null) printLines([`cell ${name}`]);
      await archiveCell(cell, name, config, options);
      return 0;
    });
  } finally {
    await close();
  }
}

async function archiveCell(
  { url }: CellAddress,
  name: string | null,
  config: Config,
  { firstKept, dryRun, partMax }: ArchiveCellsOptions,
): Promise<void> {
  const orm = await connectAsArchiver(url, entities);
  const em = (): Em => orm.em.fork();
  try {
    const before = firstKept(await databaseNow(em()));
    await assertEnded(em(), before);
    if (dryRun) return await printPlan(em, before);
    const log = pino({ level: 'warn' }, pino.destination(2));
    const checkpoints = await openCheckpoints(url, config, log);
    try {
      const total = { files: 0, entries: 0n, bytes: 0n };
      const startedAt = performance.now();
      await archive({
        em,
        ...archiveDirectoriesOf(config.ARCHIVE_DIRECTORY ?? '', name),
        before,
        partMax,
        writeCheckpoint: checkpoints.write,
        onPart: ({ name: file, entries, bytes, deleted, ms }) => {
          total.files += 1;
          total.entries += entries;
          total.bytes += bytes;
          printLines([
            `${file}: ${entries} entries, ${bytes} bytes; ${deleted} rows deleted in ${seconds(ms)}`,
          ]);
        },
      });
      const { files, entries, bytes } = total;
      const took = seconds(performance.now() - startedAt);
      printLines([
        files === 0
          ? nothingBefore(before)
          : `archived ${entries} entries before ${formatMonth(before)} in ${count(files, 'file')}, ${bytes} bytes, in ${took}`,
      ]);
    } finally {
      await checkpoints.close();
    }
  } finally {
    await orm.close();
  }
}

const nothingBefore = (before: number): string =>
  `nothing to archive before ${formatMonth(before)}`;

async function printPlan(em: () => Em, before: number): Promise<void> {
  const months = await planArchive(em, before);
  if (months.length === 0) return printLines([nothingBefore(before)]);
  const rows = months.map(({ month, accounts, entries }) => [month, `${accounts}`, `${entries}`]);
  printLines(
    table(
      [
        { title: 'month' },
        { title: 'accounts', align: 'right' },
        { title: 'entries', align: 'right' },
      ],
      rows,
    ),
  );
}
