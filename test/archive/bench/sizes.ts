/** Sizes of tables with their indexes, in MB: those that entries and the archive are in, and all together. */
import type pg from 'pg';

const TABLES = ['entries', 'archived_requests', 'archived_accounts', 'archive_files'];

export async function sizesOf(sql: pg.Client): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql.query<{ name: string; mb: number }>(
    `select relname as name, pg_total_relation_size(oid)::float8 / 1e6 as mb from pg_class
     where relname = any($1) and relkind = 'r'
     union all
     select 'all tables', sum(pg_total_relation_size(oid))::float8 / 1e6 from pg_class
     where relkind = 'r' and relnamespace = 'public'::regnamespace`,
    [TABLES],
  );
  return new Map(rows.map(({ name, mb }) => [name, mb]));
}
