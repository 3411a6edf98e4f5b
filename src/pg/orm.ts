/** MikroORM on PostgreSQL: connection, migrations, and the role the service works under. */
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql';
import pg from 'pg';
import { Client } from './client.ts';
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
import { entities } from './schema.ts';
import { SESSION_SETTINGS } from './session-settings.ts';

export type Orm = MikroORM;
export type Em = SqlEntityManager;

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

/** Connects as `scrip_runtime`. */
export async function connect(
  url: string,
  poolSize: number,
  answerTimeoutMs: number,
): Promise<Orm> {
  return await open(url, poolSize, answerTimeoutMs, SESSION_SETTINGS);
}

/** A migration may rewrite a large table. */
const MIGRATION_TIMEOUT_MS = 24 * 3_600_000;

/** Connects as the user of the URL: the database's owner, to migrate. */
export async function connectAsOwner(url: string): Promise<Orm> {
  return await open(url, 1, MIGRATION_TIMEOUT_MS, {});
}

async function open(
  url: string,
  poolSize: number,
  answerTimeoutMs: number,
  session: Readonly<Record<string, string>>,
): Promise<Orm> {
  const options = Object.entries(session).map(([name, value]) => `-c ${name}=${value}`);
  return await MikroORM.init({
    clientUrl: url,
    entities,
    extensions: [Migrator],
    migrations: { migrationsList, snapshot: false, silent: true, tableName: MIGRATIONS_TABLE },
    pool: { min: 0, max: poolSize },
    driverOptions: {
      application_name: 'scrip',
      // On a busy machine PostgreSQL was seen to take more than 5 s to start a connection's process;
      // so connections are kept, too, rather than made anew after every 10 s of calm.
      connectionTimeoutMillis: 15_000,
      idleTimeoutMillis: 300_000,
      answerTimeoutMs,
      ...(options.length > 0 && { options: options.join(' ') }),
      onPoolCreated: (pool: pg.Pool) => {
        (pool as unknown as { Client: typeof pg.Client }).Client = Client;
        // Kysely forgets a connection it gets once it closes, and the pool would wait for it for ever.
        pool.on('acquire', (client) => {
          if (pool.ending) setImmediate(() => client.release(true));
        });
      },
    },
  });
}

/**
 * Names of the migrations the database still lacks. Looking changes nothing, and takes no more rights
 * than the role the service works under has.
 */
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

/** Any number will do that nothing else in the database uses. */
const MIGRATION_LOCK = 5_347_261;

/**
 * Brings the database's schema up to date, one migrator at a time. Answers the names of the
 * migrations it ran.
 */
export async function migrate(url: string): Promise<readonly string[]> {
  const orm = await connectAsOwner(url);
  try {
    // Held by the one connection there is, until it is closed.
    await orm.em.fork().execute(`select pg_advisory_lock(${MIGRATION_LOCK})`);
    return (await orm.migrator.up()).map(({ name }) => name);
  } finally {
    await orm.close();
  }
}
