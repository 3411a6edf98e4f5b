/** Pools of connections to PostgreSQL. */
import pg from 'pg';

/** On a busy machine PostgreSQL can take more than 5 s to start the process of a connection. */
const CONNECT_TIMEOUT_MS = 15_000;
/** Long, because making a connection is slow. */
const IDLE_TIMEOUT_MS = 300_000;

/** How many connections a pool has, how many of them nobody uses, and how many requests wait for one. */
export type PoolFigures = Readonly<Pick<pg.Pool, 'totalCount' | 'idleCount' | 'waitingCount'>>;

/** A pool of at most `max` connections. `settings` are set in every session. */
export function createPool(
  url: string,
  max: number,
  settings: Readonly<Record<string, string>>,
): pg.Pool {
  const pool = new pg.Pool({
    ...withSettings(url, settings),
    application_name: 'scrip',
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    types: columnTypes(),
  });
  // An idle connection was lost. The pool has discarded it.
  pool.on('error', () => {});
  // An error without a listener ends the process. pg's pool removes its own when it hands a client out, and
  // the error of a lost connection can arrive before the first query.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** How to connect so that the session has settings. Options of the URL stay; of two with one name the settings count. */
export function withSettings(
  url: string,
  settings: Readonly<Record<string, string>>,
): { readonly connectionString: string; readonly options: string } {
  const all = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const given = URL.canParse(url) ? new URL(url) : null;
  const options = given?.searchParams.get('options');
  if (!given || !options) return { connectionString: url, options: all.join(' ') };
  // pg would prefer those of the URL.
  given.searchParams.delete('options');
  return { connectionString: given.href, options: [options, ...all].join(' ') };
}

/** MikroORM parses timestamps itself. */
function columnTypes(): pg.CustomTypesConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text);
  return types;
}
