/**
 * The process that owns the embedded PostgreSQL: `node launcher.ts <directory>`, started by
 * `embedded-postgres.ts` only. It exists so that the server outlives no parent and dies before none: the IPC
 * channel is the life line, and when it closes (stop(), exit, kill -9 of the parent) PostgreSQL is
 * shut down cleanly. It says 'ready' on that channel and, if it fails, one line on stderr.
 *
 * Only the binaries of `embedded-postgres` are used. Its class stops PostgreSQL and ends the process
 * at the first SIGINT or SIGTERM, and does not tell when the server ends by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { clusterName, isRunning, isTaken, readIfThere, readPostmaster } from './postmaster.ts';

const directory = process.argv[2] ?? '';
const cluster = join(directory, 'postgres');
const logPath = join(directory, 'postgres.log');

let server: ChildProcess | undefined;
let leaving = false;
let said = '';

function leave(): void {
  leaving = true;
  server?.kill('SIGINT'); // fast shutdown: sessions are ended, a checkpoint is written
}

process.umask(0o077);
process.on('disconnect', leave);
if (!process.connected) leave(); // the parent died before the line above
// Only the parent decides: a service manager signals every process at once, and the service still
// has transactions to finish.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

try {
  await run();
} catch (error) {
  fail(String(error instanceof Error ? error.message : error).split('\n')[0] ?? '');
}

async function run(): Promise<void> {
  const { initdb, postgres } = await binaries();
  await removeLeftovers();
  if (!isInitialised() && !(await initialise(initdb))) return fail(reason());
  await removeDeadLock();
  const options = serverOptions(await freePort());
  if (leaving) return;
  server = spawnLogged(postgres, options);
  const exited = once(server, 'exit');
  const drained = once(server, 'close');
  if (await becomesReady(server)) {
    if (!leaving) process.send?.('ready', () => {});
    const [code, signal] = await exited;
    if (!leaving) fail(`PostgreSQL ended with ${signal ?? `exit code ${code}`}`);
  } else {
    await drained;
    if (!leaving) fail(reason());
  }
}

function fail(why: string): void {
  if (process.connected) process.stderr.write(`${why}\n`);
  process.exit(1);
}

/** The package `embedded-postgres` depends on for this machine; it exports the paths of its programs. */
async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const toPackage = createRequire(import.meta.url).resolve('embedded-postgres');
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const path = createRequire(toPackage).resolve(name);
  return import(pathToFileURL(path).href);
}

function isInitialised(): boolean {
  return existsSync(join(cluster, 'PG_VERSION'));
}

/**
 * Makes the cluster in a directory of this process's own and renames it into place, password
 * included: whatever is killed when, `postgres/` is either whole or absent, and of two starts that
 * do this at once the second finds the place taken and drops its own. False if initdb failed.
 */
async function initialise(initdb: string): Promise<boolean> {
  const workshop = join(directory, `initdb-${process.pid}`);
  const made = join(workshop, 'postgres');
  const password = join(workshop, 'password');
  await mkdir(workshop);
  try {
    await writeFile(password, randomBytes(24).toString('base64url'), { flush: true });
    const options = [
      `--pgdata=${made}`,
      '--username=postgres',
      `--pwfile=${password}`,
      // Any user of this machine reaches 127.0.0.1, so the password is asked for.
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C', // bytewise order, whatever this machine has installed
      '--no-instructions',
    ];
    const [code] = await once(spawnLogged(initdb, options), 'close');
    if (code !== 0) return false;
    await rename(password, join(made, 'password'));
    await rename(made, cluster).catch((error: unknown) => {
      if (!isInitialised()) throw error;
    });
    return true;
  } finally {
    await rm(workshop, { recursive: true });
  }
}

/**
 * PostgreSQL removes a dead server's lock file by itself, except when it is empty or its pid is
 * taken by something else: then it would refuse to start for ever. An empty file of the last 5
 * seconds may be one that another start is writing. (Were this wrong after all, the shared memory
 * block still refuses the second server.)
 */
async function removeDeadLock(): Promise<void> {
  const path = join(cluster, 'postmaster.pid');
  const changed = (await stat(path).catch(() => undefined))?.mtimeMs;
  if (changed === undefined || (await readPostmaster(cluster)) !== undefined) return;
  const content = await readIfThere(path);
  const dead =
    content === '' ? Date.now() - changed > 5_000 : isTaken(Number.parseInt(content, 10));
  if (dead) await rm(path, { force: true });
}

/** What launchers left that were killed during initdb. If that still runs, the next start removes it. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = Number(/^initdb-(\d+)$/.exec(name)?.[1]);
    if (pid === process.pid || (pid > 0 && !(await isRunning(pid, directory)))) {
      await rm(join(directory, name), { recursive: true, force: true }).catch(() => {});
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Durability (fsync, synchronous_commit, full_page_writes) stays as PostgreSQL ships it. */
function serverOptions(port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    // None: a socket's path may hold 107 bytes at most, and /var/run/postgresql may not exist.
    unix_socket_directories: '',
    cluster_name: clusterName(process.pid),
    // 100 by default: the tests open many databases at once, each with its own pool.
    max_connections: '200',
    // 128MB by default: the demo ledger stays in memory, and a small machine still has room.
    shared_buffers: '256MB',
    // 1GB by default: under load that is a checkpoint every few seconds, and after each one every
    // page is written to the log whole. Costs up to 2GB of disk in the directory.
    max_wal_size: '2GB',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', cluster, '-p', String(port), ...flags];
}

async function becomesReady(started: ChildProcess): Promise<boolean> {
  while (started.exitCode === null && started.signalCode === null) {
    const found = await readPostmaster(cluster);
    if (found?.pid === started.pid && found?.ready) return true;
    await sleep(20);
  }
  return false;
}

/** What the program says goes to the log; its first 64 KiB stay here too, for `reason`. */
function spawnLogged(program: string, options: readonly string[]): ChildProcess {
  said = '';
  const child = spawn(program, options, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      try {
        appendFileSync(logPath, text);
      } catch {
        // A full disk costs lines of the log, not the server.
      }
      if (said.length < 65_536) said += text;
    });
  }
  return child;
}

/** The first line that says what went wrong, with its DETAIL if it has one. */
function reason(): string {
  const lines = said.trimEnd().split('\n');
  const at = lines.findIndex((line) => /(FATAL|PANIC|error):|error while loading/.test(line));
  const detail = lines[at + 1]?.includes('DETAIL:') ? ` ${lines[at + 1]}` : '';
  const line = at < 0 ? lines.at(-1) : `${lines[at]}${detail}`;
  const timeAndPid = /\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\] /g;
  return line?.replaceAll(timeAndPid, '') || 'PostgreSQL ended without a word';
}
