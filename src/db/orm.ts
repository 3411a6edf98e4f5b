/** MikroORM on PostgreSQL: connection, migrations, and the role the service works under. */
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql';
import { CompiledQuery, type DatabaseConnection } from 'kysely';
import pg from 'pg';
import { Migration0001Ledger } from './migrations/0001-ledger.ts';
import { entities } from './schema.ts';

export type Orm = MikroORM;
export type Em = SqlEntityManager;

const migrationsList = [{ name: '0001-ledger', class: Migration0001Ledger }];

/**
 * pg sends a statement with parameters unnamed, to be parsed and planned every time. This client
 * names each after its text, so PostgreSQL prepares it once per connection.
 */
class PreparingClient extends pg.Client {
  static #names = new Map<string, string>();

  override query(...args: unknown[]): never {
    const [text, values] = args;
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0)
      return super.query.apply(this, args as never) as never;
    let name = PreparingClient.#names.get(text);
    if (!name) {
      name = `s${PreparingClient.#names.size + 1}`;
      PreparingClient.#names.set(text, name);
    }
    return super.query({ name, text, values }, args[2] as never) as never;
  }
}

/**
 * What every connection of the service begins with: a role that cannot change or remove entries;
 * limits, so that a lost peer or a stuck lock ends a statement instead of a lane; and one kind of
 * plan. Every statement of the service finds its rows by key, however many they are: it wants a
 * nested loop over an index and is planned once. Left to itself PostgreSQL plans by statistics, which
 * a young table has not got, and scans whole tables (PLANS).
 */
const RUNTIME_SESSION = `
  set role scrip_runtime;
  set enable_seqscan = off;
  set enable_hashjoin = off;
  set enable_mergejoin = off;
  set plan_cache_mode = force_generic_plan;
  set statement_timeout = '30s';
  set lock_timeout = '10s';
  set idle_in_transaction_session_timeout = '60s'`;

/** Connects as `scrip_runtime`. */
export async function connect(url: string, poolSize: number): Promise<Orm> {
  return await open(url, poolSize, RUNTIME_SESSION);
}

/** Connects as the database's owner, to migrate. */
export async function connectAsOwner(url: string): Promise<Orm> {
  return await open(url, 1, null);
}

async function open(url: string, poolSize: number, onConnect: string | null): Promise<Orm> {
  return await MikroORM.init({
    clientUrl: url,
    entities,
    extensions: [Migrator],
    migrations: { migrationsList, snapshot: false, silent: true, tableName: 'schema_migrations' },
    pool: { min: 0, max: poolSize },
    driverOptions: {
      application_name: 'scrip',
      connectionTimeoutMillis: 5_000,
      onPoolCreated: (pool: pg.Pool) => {
        (pool as unknown as { Client: typeof pg.Client }).Client = PreparingClient;
      },
    },
    ...(onConnect && {
      onCreateConnection: async (connection: unknown) => {
        await (connection as DatabaseConnection).executeQuery(CompiledQuery.raw(onConnect));
      },
    }),
  });
}

/** Names of the migrations the database still lacks. */
export async function pendingMigrations(orm: Orm): Promise<readonly string[]> {
  return (await orm.migrator.getPending()).map(({ name }) => name);
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
