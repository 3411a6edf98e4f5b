/** MikroORM on a pool of PostgreSQL connections. */
import {
  type EntitySchema,
  IsolationLevel,
  MikroORM,
  type Options,
  type SqlEntityManager,
} from '@mikro-orm/postgresql';
import { createPool } from './pool.ts';
import { PoolDialect } from './pool-dialect.ts';
import { SESSION_SETTINGS } from './session-settings.ts';

export { IsolationLevel };
export type Orm = MikroORM;
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
): Promise<Orm> {
  return await openOrm({ url, entities, poolSize, answerTimeoutMs, settings: SESSION_SETTINGS });
}

type Opening = Pick<Options, 'extensions' | 'migrations'> & {
  readonly url: string;
  readonly entities: Entities;
  readonly poolSize: number;
  readonly answerTimeoutMs: number;
  readonly settings: Readonly<Record<string, string>>;
};

export async function openOrm({
  url,
  entities,
  poolSize,
  answerTimeoutMs,
  settings,
  ...options
}: Opening) {
  const dialect = new PoolDialect(createPool(url, poolSize, settings), answerTimeoutMs);
  return await MikroORM.init({
    clientUrl: url,
    entities: Object.values(entities),
    discovery: { warnWhenNoEntities: false },
    driverOptions: () => dialect,
    ...options,
  });
}
