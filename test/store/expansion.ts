/**
 * Whether replicas of the version before can work on a migrated database: what they use is there, and what they write is
 * accepted.
 */
import { execute } from '../postgres.ts';

export type Schema = {
  /** What a version may use, as lines. */
  readonly used: ReadonlySet<string>;
  /** What refuses rows, as lines, by the table that it is on. */
  readonly refusing: ReadonlyMap<string, string>;
  readonly tables: ReadonlySet<string>;
};

/** The schema of a database, without the migrations' own table. */
export async function readSchema(databaseUrl: string): Promise<Schema> {
  const used = await linesOf(databaseUrl, USED);
  const refusing = (await execute(databaseUrl, REFUSING)).map(
    ({ line, table }) => [String(line), String(table)] as const,
  );
  const tables = used.flatMap((line) => /^table (.*)/.exec(line)?.[1] ?? []);
  return { used: new Set(used), refusing: new Map(refusing), tables: new Set(tables) };
}

/** What replicas of the version before would miss, or be refused. Empty: the migrations only expand. */
export const missedBy = (before: Schema, after: Schema): readonly string[] => [
  ...[...before.used].filter((line) => !after.used.has(line)).map((line) => `gone: ${line}`),
  ...[...after.refusing]
    .filter(([line, table]) => before.tables.has(table) && !before.refusing.has(line))
    .map(([line]) => `refuses: ${line}`),
];

const linesOf = async (databaseUrl: string, sql: string): Promise<readonly string[]> =>
  (await execute(databaseUrl, sql)).map(({ line }) => String(line));

const RELATIONS = `
  relations as (
    select oid, relname, relkind from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
      and relname <> 'schema_migrations'
  )`;

/** Tables, views, columns and functions with their types, and what the role of the service may do. */
const USED = `
  with ${RELATIONS}
  select format('%s %s', case relkind when 'r' then 'table' else 'view' end, relname) as line
  from relations
  union all
  select format('column %s.%s %s', relname, attname, format_type(atttypid, atttypmod))
  from relations r join pg_attribute a on a.attrelid = r.oid
  where attnum > 0 and not attisdropped
  union all
  select format('function %s returns %s', p.oid::regprocedure, pg_get_function_result(p.oid))
  from pg_proc p where pronamespace = 'public'::regnamespace
  union all
  select format('privilege %s on %s', privilege, relname)
  from relations, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) privilege
  where has_table_privilege('scrip_runtime', oid, privilege)
  union all
  select format('privilege UPDATE on %s.%s', relname, attname)
  from relations r join pg_attribute a on a.attrelid = r.oid
  where attnum > 0 and not attisdropped
    and has_column_privilege('scrip_runtime', r.oid, attnum, 'UPDATE')
  union all
  select format('privilege EXECUTE on %s', p.oid::regprocedure)
  from pg_proc p where pronamespace = 'public'::regnamespace
    and has_function_privilege('scrip_runtime', p.oid, 'EXECUTE')`;

/** Constraints, unique indexes, triggers, and columns that a row must have a value for. */
const REFUSING = `
  with ${RELATIONS}
  select relname as table, format('%s: %s', conname, pg_get_constraintdef(c.oid)) as line
  from relations r join pg_constraint c on c.conrelid = r.oid where contype <> 'n'
  union all
  select relname, pg_get_indexdef(indexrelid)
  from relations r join pg_index i on i.indrelid = r.oid where indisunique
  union all
  select relname, pg_get_triggerdef(t.oid)
  from relations r join pg_trigger t on t.tgrelid = r.oid where not tgisinternal
  union all
  select relname, format('%s.%s must have a value', relname, attname)
  from relations r join pg_attribute a on a.attrelid = r.oid
  where relkind = 'r' and attnum > 0 and not attisdropped and attnotnull and not atthasdef`;
