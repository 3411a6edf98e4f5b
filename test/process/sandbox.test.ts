/** A sandbox as a process: it starts, keeps its time over a restart, and refuses what is none of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect, type Scrip } from '../../src/client.ts';
import { readPostmaster } from '../../src/embedded-postgres/postmaster.ts';
import { createDatabase } from '../postgres.ts';
import { end, logOf, type Program, SOON, startProgram } from './replica.ts';

const DAY = 86_400_000;

let directory: string;
let DATA_DIRECTORY: string;
let programs: Program[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-sandbox-'));
  DATA_DIRECTORY = join(directory, '.data-sandbox');
});
afterEach(async () => {
  await Promise.all(programs.map(end));
  programs = [];
});
afterAll(async () => {
  // The embedded PostgreSQL of a killed service stops a moment later.
  while ((await readPostmaster(join(DATA_DIRECTORY, 'postgres'))) !== undefined) await sleep(20);
  await rm(directory, { recursive: true, force: true });
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
  const program = startProgram(['src/main.ts', ...args], {
    PORT: '0',
    ADMIN_PORT: 'none',
    SANDBOX_PAYMENTS_PORT: '0',
    DATA_DIRECTORY,
    ...env,
  });
  programs.push(program);
  return program;
}

async function startSandbox(): Promise<{ readonly program: Program; readonly scrip: Scrip }> {
  const program = start(['--sandbox']);
  const ready = () => logOf(program.output.stdout).find(({ msg }) => msg === 'ready');
  await expect.poll(() => ready() ?? program.process.exitCode, SOON).not.toBeNull();
  const line = ready();
  if (!line) throw new Error(program.output.stderr);
  return { program, scrip: connect(`127.0.0.1:${line['port']}`, { caller: 'test' }) };
}

const timeOf = async ({ sandbox }: Scrip): Promise<number> =>
  (await sandbox.getClock({})).time?.getTime() ?? Number.NaN;

describe('a sandbox', () => {
  test('says in each line of its log what it is, and keeps its time and payments over a kill', async () => {
    const first = await startSandbox();
    const lines = logOf(first.program.output.stdout);
    expect(lines.filter(({ sandbox }) => sandbox !== true)).toEqual([]);
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: 'this is a sandbox: not for production' }),
    );
    const accountId = 'acme';
    const { accounts, billing, sandbox } = first.scrip;
    await accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
    const until = (await timeOf(first.scrip)) + 40 * DAY;
    await sandbox.advanceClock({ until: new Date(until) });
    const url = 'https://shop.example/';
    const { purchase } = await billing.purchase({
      accountId,
      requestId: 'buy',
      packId: 'starter',
      payment: { $case: 'checkout', value: { successUrl: url, cancelUrl: url } },
    });
    first.program.process.kill('SIGKILL');
    await first.program.ended;
    first.scrip.close();

    const second = await startSandbox();
    expect(await timeOf(second.scrip)).toBeGreaterThanOrEqual(until);
    const purchaseId = purchase?.purchaseId ?? '';
    await second.scrip.sandbox.actOnPayment({ purchaseId, action: 1 });
    const { balance } = await second.scrip.billing.getBalance({ accountId });
    expect(balance?.remaining).toBe(1_000n);
    second.scrip.close();
    second.program.process.kill('SIGTERM');
    expect(await second.program.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('is no database for a service', async () => {
    const { code, stderr } = await start([]).ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('--sandbox') });
  });
});

describe('refused is', () => {
  test('a database that is none of a sandbox', async () => {
    const DATABASE_URL = await createDatabase(inject('postgresUrl'));
    const { code, stderr } = await start(['--sandbox'], { DATABASE_URL }).ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('the database is not a sandbox: scrip sandbox create'),
    });
  });

  test.each([
    ['another option', ['--sandbx'], {}, "Unknown option '--sandbx'"],
    ['an address that others reach', ['--sandbox'], { ADMIN_HOST: '0.0.0.0' }, 'ADMIN_HOST'],
    ['a key of Stripe', ['--sandbox'], { STRIPE_SECRET_KEY: 'sk_live_1' }, 'STRIPE_SECRET_KEY'],
  ])('%s', async (_, args, env, text) => {
    const { code, stderr, stdout } = await start(args, env).ended;
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(text),
    });
  });
});
