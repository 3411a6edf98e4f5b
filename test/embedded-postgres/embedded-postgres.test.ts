/**
 * The embedded PostgreSQL with real processes: an owner here is a Node process of its own that
 * starts the server and then waits, so that it can be killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { isRunning, isTaken, readPostmaster } from '../../src/embedded-postgres/postmaster.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const embedded = new URL('../../src/embedded-postgres/embedded-postgres.ts', import.meta.url).href;

let directory: string;
let owners: ChildProcess[];

beforeEach(async () => {
  // mkdtemp makes it 0700, so as root every test here is one of a directory closed to others.
  directory = join(await mkdtemp(join(tmpdir(), 'scrip-embedded-')), '.data');
  owners = [];
});

afterEach(async () => {
  for (const owner of owners) owner.kill('SIGKILL');
  await postgresIsGone();
  // The launcher may still be writing the last line of its log.
  await rm(join(directory, '..'), { recursive: true, maxRetries: 20, retryDelay: 100 });
});

/** The last line of a server that was shut down and not killed. */
const SHUT_DOWN = /database system is shut down\s*$/;

const cluster = (): string => join(directory, 'postgres');

/** Starts an owner; its first line is the url. */
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

/** Within 10 s, or the test fails: the leak is the point. */
async function postgresIsGone(): Promise<void> {
  await until(async () => (await readPostmaster(cluster())) === undefined);
}

/** Empty for a process that has ended, reaped or not. */
const commandOf = (pid: number) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await sleep(20);
  }
  expect.fail(`did not come true in 10 s: ${holds}`);
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
  test('finds what an earlier one wrote, under the same password', async () => {
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

  test('gives a durable UTF-8 database in bytewise order, on the loopback, behind a password', async () => {
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

  test('joins the server that runs in the directory, and stop() leaves it to its owner', async () => {
    const { url } = await startOwner();
    const joined = await startEmbeddedPostgres(directory);
    expect(joined.url).toBe(url);
    await joined.stop();
    expect(await query(url, 'SELECT 1')).toEqual([1]);
  });

  test('at the same instant as three others gives all four one server', async () => {
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

describe('an owner killed with SIGKILL', () => {
  test('takes its server with it, cleanly, and the directory starts again', async () => {
    const { owner, url } = await startOwner();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await kill(owner);
    await postgresIsGone();
    await until(async () => SHUT_DOWN.test(await readFile(`${cluster()}.log`, 'utf8')));

    const again = await startEmbeddedPostgres(directory);
    expect(await query(again.url, 'SELECT answer FROM kept')).toEqual([42]);
    await again.stop();
  });

  test('together with launcher and server loses nothing that was committed', async () => {
    const { owner, url } = await startOwner();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const server = await readPostmaster(cluster());
    for (const pid of [await launcherPid(), server?.pid ?? 0]) process.kill(pid, 'SIGKILL');
    await kill(owner);

    const again = await startEmbeddedPostgres(directory);
    expect(await query(again.url, 'SELECT answer FROM kept')).toEqual([42]);
    await again.stop();
  });

  test('together with the launcher leaves a server that the next start replaces', async () => {
    const { owner, url } = await startOwner();
    const launcher = await launcherPid();
    process.kill(launcher, 'SIGKILL');
    await kill(owner);
    // A signal is sent at once and takes effect soon: until then the server is not an orphan.
    await until(async () => (await commandOf(launcher)) === '');

    const again = await startEmbeddedPostgres(directory);
    expect(again.url).not.toBe(url);
    await again.stop();
    expect(await readPostmaster(cluster())).toBeUndefined();
  });

  test('during the very first start leaves a directory that starts', async () => {
    for (const signalled of ['owner', 'owner and launcher']) {
      const owner = spawnOwner();
      const workshop = async (): Promise<string | undefined> =>
        existsSync(directory)
          ? (await readdir(directory)).find((name) => name.startsWith('initdb-'))
          : undefined;
      await until(async () =>
        existsSync(join(directory, (await workshop()) ?? '', 'postgres/base')),
      );
      const pid = Number((await workshop())?.slice('initdb-'.length));
      if (signalled === 'owner and launcher') process.kill(pid, 'SIGKILL');
      await kill(owner);
      if (signalled === 'owner') await until(async () => !(await isRunning(pid, directory)));

      const postgres = await startEmbeddedPostgres(directory);
      expect(await query(postgres.url, 'SELECT 1')).toEqual([1]);
      await postgres.stop();
      await rm(directory, { recursive: true });
    }
  });
});

describe('the launcher', () => {
  test('tells the owner when the server ends by itself', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    process.kill((await readPostmaster(cluster()))?.pid ?? 0, 'SIGKILL');
    expect((await postgres.lost).message).toBe(
      'embedded PostgreSQL was lost: PostgreSQL ended with SIGKILL',
    );
    await postgres.stop();
  });

  test('that is killed takes the server with it, and the owner learns of it', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    process.kill(await launcherPid(), 'SIGKILL');
    expect((await postgres.lost).message).toMatch(/its launcher was killed/);
    await postgresIsGone();
  });

  test('leaves the server alone when it is signalled: only the owner stops it', async () => {
    const postgres = await startEmbeddedPostgres(directory);
    const pid = await launcherPid();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    expect(await query(postgres.url, 'SELECT 1')).toEqual([1]);
    await postgres.stop();
    expect(isTaken(pid)).toBe(false);
  });
});

describe('a lock file whose pid now belongs to another process', () => {
  test('does not block a start', async () => {
    await (await startEmbeddedPostgres(directory)).stop();
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    const facts = [stranger.pid, cluster(), 0, 5432, '', '127.0.0.1', '0 0', 'ready'];
    await writeFile(join(cluster(), 'postmaster.pid'), `${facts.join('\n')}\n`);
    const postgres = await startEmbeddedPostgres(directory);
    expect(await query(postgres.url, 'SELECT 1')).toEqual([1]);
    await postgres.stop();
    stranger.kill();
  });
});

describe('as root', () => {
  test('it runs as another user, also in a directory that user may not enter', async ({ skip }) => {
    skip(process.getuid?.() !== 0, 'only root needs another user');
    expect((await stat(join(directory, '..'))).mode & 0o777).toBe(0o700);
    const postgres = await startEmbeddedPostgres(directory);
    const { uid } = await stat(cluster());
    expect(uid).not.toBe(0);
    const pid = (await readPostmaster(cluster()))?.pid;
    expect((await stat(`/proc/${pid}`)).uid).toBe(uid);
    await postgres.stop();
  });
});
