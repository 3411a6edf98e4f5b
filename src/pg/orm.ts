/** MikroORM on a pool of PostgreSQL connections. */
import { MikroORM, type Options, type SqlEntityManager } from '@mikro-orm/postgresql';
import { createPool } from './pool.ts';
import { PoolDialect } from './pool-dialect.ts';
import { entities } from './schema.ts';
import { SESSION_SETTINGS } from './session-settings.ts';

export type Orm = MikroORM;
export type Em = SqlEntityManager;

/**
 * Connects for the service, as the role `scrip_runtime`. A connection on which PostgreSQL is silent for
 * `answerTimeoutMs` while it is in use is given up.
 */
export async function connect(
  url: string,
  poolSize: number,
  answerTimeoutMs: number,
): Promise<Orm> {
  return await openOrm({ url, poolSize, answerTimeoutMs, settings: SESSION_SETTINGS });
}

type Opening = Pick<Options, 'extensions' | 'migrations'> & {
  readonly url: string;
  readonly poolSize: number;
  readonly answerTimeoutMs: number;
  readonly settings: Readonly<Record<string, string>>;
};

export async function openOrm({ url, poolSize, answerTimeoutMs, settings, ...options }: Opening) {
  const dialect = new PoolDialect(createPool(url, poolSize, settings), answerTimeoutMs);
  return await MikroORM.init({
    clientUrl: url,
    entities,
    driverOptions: () => dialect,
    ...options,
  });
}
