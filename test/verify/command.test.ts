/** `npm run verify` as a process: what it prints, and its exit code. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute } from '../postgres.ts';
import { startTestService, type TestService } from '../service.ts';

const MAIN = new URL('../../src/verify/main.ts', import.meta.url).pathname;

let scrip: TestService;
let accountId: string;

beforeAll(async () => {
  scrip = await startTestService();
  accountId = await scrip.open('perfectparser');
});

afterAll(() => scrip.stop());

type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

function run(args: readonly string[], env: Record<string, string>): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { env: { PATH: process.env['PATH'], ...env } },
      (_error, stdout, stderr) => resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

const verify = (...args: string[]) => run(args, { DATABASE_URL: scrip.databaseUrl });

test('without a discrepancy it prints ok and exits with 0', async () => {
  const ran = await verify();
  expect(ran.stdout).toMatch(/^verify: ok \(1 account, 2 entries, \d+ ms\)\n$/);
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
});

test('it prints the first discrepancy, or with --all every one, and exits with 1', async () => {
  const change = (by: number) =>
    execute(scrip.databaseUrl, 'update accounts set remaining = remaining + $1', [by]);
  await change(-1);
  const first = `verify: account ${accountId}: remaining is 19, the moves say 20\n`;
  expect(await verify()).toEqual({ exitCode: 1, stderr: '', stdout: first });
  const all = await verify('--all', '--account', accountId);
  expect(all).toMatchObject({ exitCode: 1, stderr: '' });
  expect(all.stdout.startsWith(first)).toBe(true);
  expect(all.stdout.split('\n').length).toBeGreaterThan(2);
  await change(1);
});

test('a reader that stops early, as head does, is no error of its own', async () => {
  await execute(scrip.databaseUrl, 'update accounts set remaining = remaining - 1');
  const child = spawn(process.execPath, [MAIN, '--all'], {
    env: { PATH: process.env['PATH'], DATABASE_URL: scrip.databaseUrl },
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  await execute(scrip.databaseUrl, 'update accounts set remaining = remaining + 1');
});

test('if it cannot read the database, it prints one line and exits with 2', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-verify-'));
  const noServer = 'postgres://nobody@127.0.0.1:1/none';
  for (const [args, env, says] of [
    [[], { DATABASE_URL: noServer }, /^verify: connect ECONNREFUSED/],
    [
      [],
      { DATA_DIRECTORY: directory },
      /^verify: DATABASE_URL is not set, and there is no database in .+: .*DATA_DIRECTORY/,
    ],
    [['--everything'], { DATABASE_URL: noServer }, /^verify: Unknown option .*usage: /],
    [[], { DATABASE_URL: 'mysql://elsewhere' }, /^verify: DATABASE_URL must be a postgres/],
  ] as const) {
    const ran = await run(args, env);
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ran.stderr).toMatch(says);
    expect(ran.stderr.trim().split('\n')).toHaveLength(1);
  }
  await rm(directory, { recursive: true });
});
