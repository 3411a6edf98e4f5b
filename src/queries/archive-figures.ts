/** What only the database knows of the archive, for metrics. */
import { millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** Instants are in epoch milliseconds. Null: nothing is archived yet. */
export type ArchiveFigures = {
  readonly entries: number;
  /** Of all files. */
  readonly bytes: number;
  /** Files whose entries have not all left the database. */
  readonly unfinishedFiles: number;
  /** When the entries of a file had last left the database. */
  readonly finishedAt: number | null;
  /** The end of the newest month that has a file. */
  readonly archivedTo: number | null;
};

type Row = { readonly [Column in keyof ArchiveFigures]: number | string | null };

/** There are a few hundred files in a year of a large ledger. */
export async function readArchiveFigures(em: Em): Promise<ArchiveFigures> {
  const [row] = await query<Row>(
    em,
    `select coalesce(sum(entries), 0) as "entries", coalesce(sum(bytes), 0) as "bytes",
       count(*) filter (where finished_at is null) as "unfinishedFiles",
       ${millis('max(finished_at)', '"finishedAt"')},
       ${millis(`(max(month) || '-01')::timestamp at time zone 'UTC' + interval '1 month'`, '"archivedTo"')}
     from archive_files`,
    [],
  );
  const number = (value: number | string | null | undefined) =>
    value === null || value === undefined ? null : Number(value);
  return {
    entries: Number(row?.entries),
    bytes: Number(row?.bytes),
    unfinishedFiles: Number(row?.unfinishedFiles),
    finishedAt: number(row?.finishedAt),
    archivedTo: number(row?.archivedTo),
  };
}
