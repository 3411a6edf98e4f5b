/** MikroORM on a pool of PostgreSQL connections. */
import {
  type EntitySchema,
  IsolationLevel,
  MikroORM,
  type Options,
  type SqlEntityManager,
} from '@mikro-orm/postgresql';
import type pg from 'pg';
import { type MovingDatabase, MovingPool } from './moving-pool.ts';
import { createPool, type PoolFigures } from './pool.ts';
import { PoolDialect } from './pool-dialect.ts';
import { CITUS_SESSION_SETTINGS, SESSION_SETTINGS } from './session-settings.ts';

export { IsolationLevel };
/** With the figures of its pool of connections. */
export type Orm = MikroORM & { readonly pool: PoolFigures };
export type Em = SqlEntityManager;
/** The entities of tables, by any name. */
export type Entities = Readonly<Record<string, EntitySchema>>;

/**
 * Connects for the service, as the role `scrip_runtime`. A connection on which PostgreSQL is silent for
 * `answerTimeoutMs` while it is in use is given up.
 */
export async function connect(
  url: string,
  entities: Entities,
  poolSize: number,
  answerTimeoutMs: number,
  settings = SESSION_SETTINGS,
): Promise<Orm> {
  return await openOrm({ url, entities, poolSize, answerTimeoutMs, settings });
}

/** The same, to a schema that Citus moves from server to server, and follows it. */
export async function connectToCitus(
  database: MovingDatabase,
  entities: Entities,
  poolSize: number,
  answerTimeoutMs: number,
): Promise<Orm> {
  const { url } = database;
  return await openOrm(
    { url, entities, poolSize, answerTimeoutMs, settings: CITUS_SESSION_SETTINGS },
    new MovingPool(database, poolSize, CITUS_SESSION_SETTINGS),
  );
}

/** A batch of the archiver deletes thousands of rows, and reads as many. */
const ARCHIVER_TIMEOUT_MS = 600_000;

/** Connects for `scrip archive`, as the role `scrip_archiver`, on one connection: a lock of its session is held. */
export async function connectAsArchiver(url: string, entities: Entities): Promise<Orm> {
  const timeout = `${ARCHIVER_TIMEOUT_MS / 1000}s`;
  const settings = {
    ...SESSION_SETTINGS,
    role: 'scrip_archiver',
    statement_timeout: timeout,
    idle_in_transaction_session_timeout: timeout,
  };
  return await openOrm({
    url,
    entities,
    poolSize: 1,
    answerTimeoutMs: ARCHIVER_TIMEOUT_MS,
    settings,
  });
}

type Opening = Pick<Options, 'extensions' | 'migrations'> & {
  readonly url: string;
  readonly entities: Entities;
  readonly poolSize: number;
  readonly answerTimeoutMs: number;
  readonly settings: Readonly<Record<string, string>>;
};

export async function openOrm(
  { url, entities, poolSize, answerTimeoutMs, settings, ...options }: Opening,
  pool: MovingPool | pg.Pool = createPool(url, poolSize, settings),
): Promise<Orm> {
  const dialect = new PoolDialect(pool, answerTimeoutMs);
  const orm = await MikroORM.init({
    clientUrl: url,
    entities: Object.values(entities),
    discovery: { warnWhenNoEntities: false },
    driverOptions: () => dialect,
    ...options,
  });
  return Object.assign(orm, { pool });
}
