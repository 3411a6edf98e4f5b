/** Brings the schema of a database up to date. */
import { Migrator } from '@mikro-orm/migrations';
import pg from 'pg';
import { Migration0001Ledger } from './migrations/0001-ledger.ts';
import { Migration0002Events } from './migrations/0002-events.ts';
import { Migration0003Grants } from './migrations/0003-grants.ts';
import { Migration0004Statements } from './migrations/0004-statements.ts';
import { Migration0005Purchases } from './migrations/0005-purchases.ts';
import { Migration0006PlansOverTime } from './migrations/0006-plans-over-time.ts';
import { Migration0007EventsFollowed } from './migrations/0007-events-followed.ts';
import { Migration0008TopUps } from './migrations/0008-top-ups.ts';
import { Migration0009Statistics } from './migrations/0009-statistics.ts';
import { Migration0010AccountVersion } from './migrations/0010-account-version.ts';
import { type Entities, type Orm, openOrm } from './orm.ts';

const MIGRATIONS_TABLE = 'schema_migrations';
const migrationsList = [
  { name: '0001-ledger', class: Migration0001Ledger },
  { name: '0002-events', class: Migration0002Events },
  { name: '0003-grants', class: Migration0003Grants },
  { name: '0004-statements', class: Migration0004Statements },
  { name: '0005-purchases', class: Migration0005Purchases },
  { name: '0006-plans-over-time', class: Migration0006PlansOverTime },
  { name: '0007-events-followed', class: Migration0007EventsFollowed },
  { name: '0008-top-ups', class: Migration0008TopUps },
  { name: '0009-statistics', class: Migration0009Statistics },
  { name: '0010-account-version', class: Migration0010AccountVersion },
];

/** A migration may rewrite a large table. */
const MIGRATION_TIMEOUT_MS = 24 * 3_600_000;

/** Connects as the user of the URL, who owns the database. Migrations need no entities. */
export async function connectAsOwner(url: string, entities: Entities = {}): Promise<Orm> {
  return await openOrm({
    url,
    entities,
    poolSize: 1,
    answerTimeoutMs: MIGRATION_TIMEOUT_MS,
    settings: {},
    extensions: [Migrator],
    migrations: { migrationsList, snapshot: false, silent: true, tableName: MIGRATIONS_TABLE },
  });
}

/** The names of the migrations that the database lacks. Any role may ask. */
export async function pendingMigrations(url: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    const { rows } = await client.query(`select to_regclass('${MIGRATIONS_TABLE}') as found`);
    const ran = rows[0]?.found ? await client.query(`select name from ${MIGRATIONS_TABLE}`) : null;
    const names = new Set(ran?.rows.map(({ name }) => name));
    return migrationsList.map(({ name }) => name).filter((name) => !names.has(name));
  } finally {
    await client.end();
  }
}

/** The key of an advisory lock; nothing else uses this number. */
const MIGRATION_LOCK = 5_347_261;

/** Runs the pending migrations, one process at a time, and returns their names. */
export async function migrate(url: string): Promise<readonly string[]> {
  const orm = await connectAsOwner(url);
  try {
    // The pool has one connection; it holds the lock until it is closed.
    await orm.em.fork().execute(`select pg_advisory_lock(${MIGRATION_LOCK})`);
    return (await orm.migrator.up()).map(({ name }) => name);
  } finally {
    await orm.close();
  }
}
