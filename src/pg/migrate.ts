/** Brings the schema of a database up to date. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Migrator } from '@mikro-orm/migrations';
import pg from 'pg';
import { type Entities, type Orm, openOrm } from './orm.ts';

const MIGRATIONS_TABLE = 'schema_migrations';
/** Every file is a migration, named as the file without its ending. The build adds type declarations. */
const DIRECTORY = fileURLToPath(new URL('./migrations', import.meta.url));
const MIGRATION_FILE = /^(.+?)(?<!\.d)\.[jt]s$/;

/** A migration may rewrite a large table. */
const MIGRATION_TIMEOUT_MS = 24 * 3_600_000;

/**
 * Connects as the user of the URL, who owns the database: to migrate, which needs no entities, and for what the
 * role of the service has no privilege for. `schema`: of the table of migrations, which MikroORM looks for in `public`
 * otherwise.
 */
export async function connectAsOwner(
  url: string,
  entities: Entities = {},
  answerTimeoutMs = MIGRATION_TIMEOUT_MS,
  schema = 'public',
): Promise<Orm> {
  return await openOrm({
    url,
    entities,
    poolSize: 1,
    answerTimeoutMs,
    settings: {},
    extensions: [Migrator],
    migrations: {
      path: DIRECTORY,
      schema,
      snapshot: false,
      silent: true,
      tableName: MIGRATIONS_TABLE,
    },
  });
}

/** The names of the migrations that the database lacks. The owner and scrip_runtime may ask. */
export const pendingMigrations = async (url: string): Promise<readonly string[]> =>
  (await compareMigrations(url)).missing;

/** The names of migrations that the database lacks, and of those in it that this version does not know. */
export async function compareMigrations(
  url: string,
): Promise<{ readonly missing: readonly string[]; readonly unknown: readonly string[] }> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    const { rows } = await client.query(`select to_regclass('${MIGRATIONS_TABLE}') as found`);
    const ran = rows[0]?.found ? await client.query(`select name from ${MIGRATIONS_TABLE}`) : null;
    const names: readonly string[] = ran?.rows.map(({ name }) => name) ?? [];
    const files = await readdir(DIRECTORY);
    const all = files.flatMap((file) => MIGRATION_FILE.exec(file)?.[1] ?? []).sort();
    return {
      missing: all.filter((name) => !names.includes(name)),
      unknown: names.filter((name) => !all.includes(name)),
    };
  } finally {
    await client.end();
  }
}

/** Throws if the database lacks migrations, and says which and what to do. */
export async function assertMigrated(url: string): Promise<void> {
  const pending = await pendingMigrations(url);
  if (pending.length > 0) throw new Error(pendingText(pending));
}

/** What is wrong with a database that lacks these migrations, and what to do. */
export const pendingText = (pending: readonly string[]): string =>
  `the database lacks ${pending.length} migration(s) (${pending.join(', ')}): run npm run migrate`;

/** Creates the schema that the search path of the URL names first, unless it exists. */
export async function createSchema(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    const { rows } = await client.query(
      `select trim(both '"' from trim(split_part(current_setting('search_path'), ',', 1))) as name
       where current_schema is null`,
    );
    for (const { name } of rows)
      await client.query(`create schema if not exists ${pg.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

async function currentSchema(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string | null }>('select current_schema() as name');
    const [row] = rows;
    if (!row?.name) throw new Error('the search path of the database names no schema there is');
    return row.name;
  } finally {
    await client.end();
  }
}

/** The key of an advisory lock; nothing else uses this number. */
const MIGRATION_LOCK = 5_347_261;

/** Runs the pending migrations, one process at a time, and returns their names. */
export async function migrate(url: string): Promise<readonly string[]> {
  // Without MikroORM, which hides why a database cannot be reached.
  if ((await pendingMigrations(url)).length === 0) return [];
  const orm = await connectAsOwner(url, {}, MIGRATION_TIMEOUT_MS, await currentSchema(url));
  try {
    // The pool has one connection; it holds the lock until it is closed.
    await orm.em.fork().execute(`select pg_advisory_lock(${MIGRATION_LOCK})`);
    return (await orm.migrator.up()).map(({ name }) => name);
  } finally {
    await orm.close();
  }
}
