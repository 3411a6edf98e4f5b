/**
 * What a stretch of the WAL holds: the rows that were written, by table, and images of whole pages. The
 * counters of pg_stat_user_tables say the same rows, but a session reports them up to ten seconds later.
 */
import type pg from 'pg';

export type Rows = {
  readonly table: string;
  readonly inserted: number;
  /** All updates, and those of them that are HOT: they write no index. */
  readonly updated: number;
  readonly hot: number;
  readonly deleted: number;
};

export type WalContent = {
  readonly bytes: number;
  /** Bytes of page images: the first change of a page after a checkpoint logs all of it. */
  readonly imageBytes: number;
  /** Transactions that wrote something. */
  readonly commits: number;
  readonly rows: readonly Rows[];
};

type Row = Omit<Rows, 'table'> & { readonly table: string | null; readonly imageBytes: number };

/** Two positions in the WAL. */
export type Stretch = { readonly from: string; readonly to: string };

/** `to` is the present: there is nothing behind it. */
export async function readWal(sql: pg.Client, { from, to }: Stretch): Promise<WalContent> {
  // Only what is flushed can be read, and a stretch without a record is refused.
  await sql.query("select pg_logical_emit_message(false, 'bench', '', true)");
  return {
    bytes: await bytesOf(sql, { from, to }),
    commits: await countCommits(sql, from),
    ...(await readRows(sql, from)),
  };
}

async function bytesOf(sql: pg.Client, { from, to }: Stretch): Promise<number> {
  const { rows } = await sql.query<{ bytes: number }>(
    'select ($2::pg_lsn - $1::pg_lsn)::float8 as bytes',
    [from, to],
  );
  return rows[0]?.bytes ?? 0;
}

async function countCommits(sql: pg.Client, from: string): Promise<number> {
  const { rows } = await sql.query<{ commits: number }>(
    `select count::float8 as commits
     from pg_get_wal_stats($1, pg_current_wal_flush_lsn(), true)
     where "resource_manager/record_type" = 'Transaction/COMMIT'`,
    [from],
  );
  return rows[0]?.commits ?? 0;
}

async function readRows(
  sql: pg.Client,
  from: string,
): Promise<Pick<WalContent, 'imageBytes' | 'rows'>> {
  const { rows } = await sql.query<Row>(
    `with blocks as (
       select relfilenode, block_fpi_length as image,
         case when resource_manager = 'Heap' and block_id = 0 then record_type end as type,
         reldatabase = (select oid from pg_database where datname = current_database()) as own
       from pg_get_wal_block_info($1, pg_current_wal_flush_lsn(), false)
     )
     select c.relname as table, coalesce(sum(image), 0)::float8 as "imageBytes",
       count(*) filter (where type like 'INSERT%')::float8 as inserted,
       count(*) filter (where type ~ '^(HOT_)?UPDATE')::float8 as updated,
       count(*) filter (where type like 'HOT_UPDATE%')::float8 as hot,
       count(*) filter (where type like 'DELETE%')::float8 as deleted
     from blocks b
     left join pg_class c on own and c.relfilenode = b.relfilenode
       and c.relkind = 'r' and c.relnamespace <> 'pg_catalog'::regnamespace
     group by c.relname order by c.relname`,
    [from],
  );
  return {
    imageBytes: rows.reduce((sum, { imageBytes }) => sum + imageBytes, 0),
    rows: rows.flatMap(({ table, inserted, updated, hot, deleted }) =>
      table !== null && inserted + updated + deleted > 0
        ? [{ table, inserted, updated, hot, deleted }]
        : [],
    ),
  };
}

/** The same per operation. */
export const rowsPerOperation = (rows: readonly Rows[], operations: number): Rows[] =>
  rows.map(({ table, inserted, updated, hot, deleted }) => ({
    table,
    inserted: inserted / operations,
    updated: updated / operations,
    hot: hot / operations,
    deleted: deleted / operations,
  }));

export function sumOfRows(rows: readonly Rows[]): Omit<Rows, 'table'> {
  const sum = (count: (one: Rows) => number) => rows.reduce((total, one) => total + count(one), 0);
  return {
    inserted: sum(({ inserted }) => inserted),
    updated: sum(({ updated }) => updated),
    hot: sum(({ hot }) => hot),
    deleted: sum(({ deleted }) => deleted),
  };
}
