/** `npm run demo` as a process: with a temporary service, and with a running one. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { createDatabase, execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, startTestService, type TestService } from '../service.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

let scrip: TestService;
let first: Ran;

beforeAll(async () => {
  scrip = await startTestService();
  first = await against(scrip);
});

afterAll(() => scrip.stop());

type Ran = {
  readonly exitCode: number;
  readonly lines: readonly string[];
  readonly stderr: string;
};

function runDemo(env: Record<string, string>, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['src/demo/main.ts', ...args],
      { cwd: ROOT, env: { PATH: process.env['PATH'], ...env } },
      (_error, stdout, stderr) =>
        resolve({ exitCode: child.exitCode ?? -1, lines: stdout.trim().split('\n'), stderr }),
    );
  });
}

const against = ({ service, databaseUrl }: TestService) =>
  runDemo({ DATABASE_URL: databaseUrl }, '--address', `127.0.0.1:${service.port}`);

test('it starts a service of its own, also where another one runs, and leaves nothing behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-demo-test-'));
  await chmod(directory, 0o755);
  const ran = await runDemo({
    TMPDIR: directory,
    PORT: String(scrip.service.port),
    SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}`,
  });
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.lines[0]).toMatch(/^The demo drives a service of its own on .*, with a temporary/);
  expect(ran.lines.at(-1)).toMatch(/^verify: ok \(3 accounts, \d+ entries, \d+ ms\)$/);
  expect(await readdir(directory)).toEqual([]);
  await rm(directory, { recursive: true });
});

test('it can run twice on a running service', async () => {
  const second = await against(scrip);
  for (const [ran, accounts] of [
    [first, 3],
    [second, 6],
  ] as const) {
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
    expect(ran.lines.at(-1)).toMatch(new RegExp(`^verify: ok \\(${accounts} accounts, `));
  }
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true, accounts: 6 });
});

test('every tenant has a table of steps with their credits and the available credits', () => {
  const rows = first.lines.map((line) => line.trim().replaceAll(/ {2,}/g, ' | '));
  for (const line of [
    'step | operation | credits | available | note',
    '8 | charge document.convert | 1 | 48 | save it as PDF: another output',
    '11 | charge document.convert | 1 | 999 | output 51: the first of the prepaid credits',
    '13 | statement | 3 | 0 | so far: 3 credits at 0.020, billed when the month is over',
    '3 | reserve 50 x extraction.result_per_file | 0 | 20 | refused: INSUFFICIENT_CREDITS, shortfall 80',
    '17 | charge image.upscale | 50 | 485 | below 500: the low balance warning is on',
    '18 | event balance.low | 0 | 485 | and an event tells those who follow',
    '20 | reserve image.upscale | 0 | 485 | sheddable job: PAUSED_BELOW_FLOOR',
    '21 | charge image.upscale | 10 | 475 | critical job: goes on',
  ])
    expect(rows).toContain(line);
});

test('a wrong figure ends it, after the steps that were right', async () => {
  const file = await readFile(join(ROOT, 'deploy/plans/verts.yaml'), 'utf8');
  const label = 'label: File inspection, credits: ';
  const dearer = planIn(file.replace(`${label}1`, `${label}2`));
  const others = (await plansOfDeploy()).filter(({ planId }) => planId !== 'verts');
  const changed = await startTestService({ plans: [...others, dearer] });
  const ran = await against(changed);
  await changed.stop();
  expect(ran).toMatchObject({
    exitCode: 1,
    stderr: 'demo: verts, step 3: credits is 2, must be 1\n',
  });
  expect(ran.lines.at(-1)).toMatch(/^ +2 {2}purchase standard/);
});

test('a discrepancy in the ledger ends it and names the account', async () => {
  const accountId = await scrip.open('verts');
  const setSeq = (seq: number) =>
    execute(scrip.databaseUrl, 'update accounts set seq = $2 where account_id = $1', [
      accountId,
      seq,
    ]);
  await setSeq(2);
  const ran = await against(scrip);
  await setSeq(1);
  expect(ran).toMatchObject({
    exitCode: 1,
    stderr: `demo: verify: account ${accountId}: seq is 2, the newest entry is 1\n`,
  });
});

test('it calls only the service it was told to, and audits only its database', async () => {
  const nobody = await runDemo({}, '--address', '127.0.0.1:1');
  expect(nobody.exitCode).toBe(1);
  expect(nobody.stderr).toMatch(/^demo: no service answers on 127\.0\.0\.1:1: /);

  const other = await createDatabase(inject('postgresUrl'));
  const address = `127.0.0.1:${scrip.service.port}`;
  const elsewhere = await runDemo({ DATABASE_URL: other }, '--address', address);
  expect(elsewhere.exitCode).toBe(1);
  expect(elsewhere.stderr).toContain('there is no such account in the database of DATABASE_URL');
  expect(elsewhere.stderr).toContain(`set them as for the service on ${address}`);
});

test.each([['--adress', '127.0.0.1:1'], ['verts'], ['--address']])(
  'it refuses arguments that it does not know: %s',
  async (...args) => {
    const ran = await runDemo({}, ...args);
    expect(ran).toMatchObject({ exitCode: 2, lines: [''] });
    expect(ran.stderr).toContain('usage: npm run demo -- [--address HOST:PORT]');
  },
);

test('--help says where it writes', async () => {
  const ran = await runDemo({}, '--help');
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.lines[0]).toBe('usage: npm run demo -- [--address HOST:PORT]');
});
