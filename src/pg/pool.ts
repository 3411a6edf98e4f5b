/** Pools of connections to PostgreSQL. */
import pg from 'pg';

/** On a busy machine PostgreSQL can take more than 5 s to start the process of a connection. */
const CONNECT_TIMEOUT_MS = 15_000;
/** Long, because making a connection is slow. */
const IDLE_TIMEOUT_MS = 300_000;

/** A pool of at most `max` connections. `settings` are set in every session. */
export function createPool(
  url: string,
  max: number,
  settings: Readonly<Record<string, string>>,
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'scrip',
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    types: columnTypes(),
  });
  // An idle connection was lost. The pool has discarded it.
  pool.on('error', () => {});
  // An error without a listener ends the process. pg's pool removes its own when it hands a client out, and
  // the error of a lost connection can arrive before the first query.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** MikroORM parses timestamps itself. */
function columnTypes(): pg.CustomTypesConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text);
  return types;
}
