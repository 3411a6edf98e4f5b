/**
 * Starts, joins and kills embedded servers. They are real processes: an owner here is a Node process that starts
 * the server and then waits, so that it can be killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { isPidInUse, isRunning, readPostmaster } from '../../src/embedded-postgres/postmaster.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const embedded = new URL('../../src/embedded-postgres/embedded-postgres.ts', import.meta.url).href;

let directory: string;
let owners: ChildProcess[];

beforeEach(async () => {
  // mkdtemp makes it 0700, so for root the directory of every test is closed to other users.
  directory = join(await mkdtemp(join(tmpdir(), 'scrip-embedded-')), '.data');
  owners = [];
});

afterEach(async () => {
  for (const owner of owners) owner.kill('SIGKILL');
  // A process that is left behind fails the test.
  await until(async () => (await processesInDirectory()).length === 0);
  await rm(join(directory, '..'), { recursive: true });
});

/** The last line in the log of a server that was shut down and not killed. */
const SHUT_DOWN = /database system is shut down\s*$/;

const cluster = (): string => join(directory, 'postgres');

/** Processes that work in the directory: launchers, initdb and servers. None where there is no /proc. */
async function processesInDirectory(): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const workingIn = await Promise.all(
    all.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')),
  );
  return all.filter((_, index) => workingIn[index]?.startsWith(directory));
}

const until = (holds: () => Promise<boolean>): Promise<boolean> =>
  vi.waitUntil(holds, { timeout: 60_000, interval: 20 });

/** Starts an owner and waits until its server is ready. */
async function startOwner(): Promise<{ owner: ChildProcess; url: string }> {
  const owner = spawnOwner();
  const [url] = await once(createInterface(owner.stdout as NodeJS.ReadableStream), 'line');
  return { owner, url };
}

function spawnOwner(): ChildProcess {
  const program = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(embedded)});
    const postgres = await startEmbeddedPostgres(${JSON.stringify(directory)});
    console.log(postgres.url);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  owners.push(owner);
  return owner;
}

async function kill(owner: ChildProcess): Promise<void> {
  owner.kill('SIGKILL');
  await once(owner, 'exit');
}

async function serverIsGone(): Promise<void> {
  await until(async () => (await readPostmaster(cluster())) === undefined);
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

async function launcherPid(): Promise<number> {
  const options = await readFile(join(cluster(), 'postmaster.opts'), 'utf8');
  return Number(/scrip-launcher-(\d+)/.exec(options)?.[1]);
}

describe('a start', () => {
  test('finds the data of an earlier one, under the same password', async () => {
    const first = await startEmbeddedPostgres(directory);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    expect(await readPostmaster(cluster())).toBeUndefined();

    const second = await startEmbeddedPostgres(directory);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([42]);
    expect(new URL(second.url).password).toBe(new URL(first.url).password);
    await second.stop();
    await second.stop();
  });

  test('gives a durable UTF-8 database ordered by bytes, on 127.0.0.1, with a password', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    const setting = async (name: string): Promise<unknown> =>
      (await query(postgres.url, `SHOW ${name}`))[0];
    expect(await query(postgres.url, 'SELECT current_database()')).toEqual(['scrip']);
    expect(await setting('fsync')).toBe('on');
    expect(await setting('synchronous_commit')).toBe('on');
    expect(await setting('listen_addresses')).toBe('127.0.0.1');
    expect(await setting('max_connections')).toBe('200');
    expect(await setting('server_encoding')).toBe('UTF8');
    expect(await query(postgres.url, `SELECT 'Z' < 'a', 'Z' < 'é'`)).toEqual([true, true]);

    const guess = Object.assign(new URL(postgres.url), { password: 'guess' }).href;
    await expect(query(guess, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect((await stat(join(cluster(), 'password'))).mode & 0o777).toBe(0o600);
    await postgres.stop();
  });

  test('joins the server that runs in the directory, and its stop() leaves the server running', async () => {
    const { url } = await startOwner();
    const joined = await startEmbeddedPostgres(directory);
    expect(joined.url).toBe(url);
    await joined.stop();
    expect(await query(url, 'SELECT 1')).toEqual([1]);
  });

  test('tells a process that joined when the server of the other process has ended', async () => {
    const { owner } = await startOwner();
    const joined = await startEmbeddedPostgres(directory);
    await kill(owner);
    expect(String(await joined.lost)).toContain('has ended');
    await joined.stop();
    await serverIsGone();
  });

  test('at the same moment as three others gives all four the same server', async () => {
    const servers = await Promise.all([1, 2, 3, 4].map(() => startEmbeddedPostgres(directory)));
    expect(new Set(servers.map(({ url }) => url)).size).toBe(1);
    await Promise.all(servers.map((server) => server.stop()));
    expect(await readPostmaster(cluster())).toBeUndefined();
    expect((await readdir(directory)).sort()).toEqual(['postgres', 'postgres.log']);
  });

  test('that cannot succeed fails with one line that says why', async () => {
    await mkdir(cluster(), { recursive: true });
    await writeFile(join(cluster(), 'PG_VERSION'), '9\n');
    const failure = await startEmbeddedPostgres(directory).catch((error: unknown) => error);
    expect(String(failure)).toMatch(/^Error: embedded PostgreSQL did not start: .+\.log\)$/);
  });
});

describe('SIGKILL of', () => {
  test('an owner shuts its server down cleanly, and the directory starts again', async () => {
    const { owner, url } = await startOwner();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await kill(owner);
    await serverIsGone();
    await until(async () => SHUT_DOWN.test(await readFile(`${cluster()}.log`, 'utf8')));

    const again = await startEmbeddedPostgres(directory);
    expect(await query(again.url, 'SELECT answer FROM kept')).toEqual([42]);
    await again.stop();
  });

  test('owner, launcher and server loses nothing that was committed', async () => {
    const { owner, url } = await startOwner();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const server = await readPostmaster(cluster());
    for (const pid of [await launcherPid(), server?.pid ?? 0]) process.kill(pid, 'SIGKILL');
    await kill(owner);

    const again = await startEmbeddedPostgres(directory);
    expect(await query(again.url, 'SELECT answer FROM kept')).toEqual([42]);
    await again.stop();
  });

  test('owner and launcher leaves a server that the next start replaces', async () => {
    const { owner, url } = await startOwner();
    const launcher = await launcherPid();
    process.kill(launcher, 'SIGKILL');
    await kill(owner);
    // The server is an orphan only once the signal has taken effect.
    await until(async () => !(await isRunning(launcher, directory)));

    const again = await startEmbeddedPostgres(directory);
    expect(again.url).not.toBe(url);
    await again.stop();
    expect(await readPostmaster(cluster())).toBeUndefined();
  });

  test.each(['the owner', 'the owner and its launcher'])(
    '%s, during the very first start, leaves a directory that starts',
    async (killed) => {
      const owner = spawnOwner();
      const launcher = await launcherDuringInitdb();
      if (killed !== 'the owner') process.kill(launcher, 'SIGKILL');
      await kill(owner);
      await until(async () => !(await isRunning(launcher, directory)));

      const postgres = await startEmbeddedPostgres(directory);
      expect(await query(postgres.url, 'SELECT 1')).toEqual([1]);
      await postgres.stop();
    },
  );
});

/** The pid of the launcher, once its initdb has begun to write the cluster. */
async function launcherDuringInitdb(): Promise<number> {
  return await vi.waitUntil(
    async () => {
      const names = existsSync(directory) ? await readdir(directory) : [];
      const name = names.find((one) => existsSync(join(directory, one, 'postgres/base')));
      return name && Number(name.slice('initdb-'.length));
    },
    { timeout: 60_000, interval: 5 },
  );
}

describe('the launcher', () => {
  test('tells the owner when the server ends by itself', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    process.kill((await readPostmaster(cluster()))?.pid ?? 0, 'SIGKILL');
    expect((await postgres.lost).message).toBe(
      'embedded PostgreSQL was lost: PostgreSQL ended with SIGKILL',
    );
    await postgres.stop();
  });

  test('that is killed: the server is stopped, and the owner is told', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    process.kill(await launcherPid(), 'SIGKILL');
    expect((await postgres.lost).message).toMatch(/its launcher was killed/);
    await serverIsGone();
  });

  test('ignores signals: only the owner stops the server', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    const pid = await launcherPid();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    expect(await query(postgres.url, 'SELECT 1')).toEqual([1]);
    await postgres.stop();
    expect(isPidInUse(pid)).toBe(false);
  });
});

test('a lock file whose pid now belongs to another process does not prevent a start', async () => {
  await (await startEmbeddedPostgres(directory)).stop();
  // Of this very process.
  const lines = [process.pid, cluster(), 0, 5432, '', '127.0.0.1', '0 0', 'ready'];
  await writeFile(join(cluster(), 'postmaster.pid'), `${lines.join('\n')}\n`);
  const postgres = await startEmbeddedPostgres(directory);
  expect(await query(postgres.url, 'SELECT 1')).toEqual([1]);
  await postgres.stop();
});

test('root starts a server of another user, also in a directory closed to that user', async ({
  skip,
}) => {
  skip(process.getuid?.() !== 0, 'only root needs another user');
  expect((await stat(join(directory, '..'))).mode & 0o777).toBe(0o700);
  const postgres = await startEmbeddedPostgres(directory);
  const { uid } = await stat(cluster());
  expect(uid).not.toBe(0);
  const pid = (await readPostmaster(cluster()))?.pid;
  expect((await stat(`/proc/${pid}`)).uid).toBe(uid);
  await postgres.stop();
});
