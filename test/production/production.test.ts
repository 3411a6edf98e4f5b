/**
 * The production build in an empty folder, as an ordinary user, on the machine's own Node, which only
 * has to be 20 or newer.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../src/client.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { snippet } from '../docs/snippets.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { startCommand } from './command.ts';
import { callEveryRpc, RPCS } from './every-rpc.ts';
import { Installation, ROOT } from './installation.ts';

const READY = /"port":(\d+).*"msg":"ready"/;

const installation = new Installation();
afterAll(() => installation.remove());

/** What a folder of production is told to run. */
const [INSTALL = [], START = []] = snippet('docs/operations.md', 'npm ci --omit=dev')
  .trim()
  .split('\n')
  .map((line) => line.replace(/ +#.*/, '').split(' '));

beforeAll(async () => {
  const { code, stdout, stderr } = await installation.run(INSTALL);
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  expect(stdout).not.toMatch(/warn|deprecated/i);
});

test('npm start runs the build, and every RPC answers', async () => {
  const node = await installation.run(['node', '--version']);
  expect(Number(/^v(\d+)/.exec(node.stdout)?.[1])).toBeGreaterThanOrEqual(20);

  const stripe = await new StripeFake().start();
  const payOther = (purchaseId: string) => {
    stripe.payOther(stripe.sessionOf(purchaseId).id, 100);
  };
  const service = installation.start(START, {
    ...stripe.env,
    PURCHASE_CHECK_INTERVAL_MS: '100',
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    EVENTS_WEBHOOK_URL: 'http://127.0.0.1:1/nobody-listens',
    EVENTS_WEBHOOK_SECRET: `whsec_${'a'.repeat(32)}`,
    EVENTS_WEBHOOK_ATTEMPTS_MAX: '1',
  });
  const called = new Set<string>();
  try {
    const [, port] = await service.waitFor(READY);
    const scrip = connect(`127.0.0.1:${port}`, { caller: 'test' });
    await callEveryRpc(scrip, called, payOther).finally(scrip.close);
  } finally {
    await service.stop();
    await stripe.stop();
  }
  expect([...called].toSorted()).toEqual(RPCS.toSorted());
  const { code, stdout, stderr } = await service.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/"node":"v24\..*"msg":"starting from dist\/"/);
  expect(stdout).toContain('"msg":"stopped"');
});

test('npm start runs the sources where the development dependencies are installed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-sources-'));
  const env = {
    ...process.env,
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    DATA_DIRECTORY: directory,
  };
  const service = startCommand('npm', ['start'], { cwd: ROOT, env });
  try {
    await service.waitFor(READY);
  } finally {
    await service.stop();
    await rm(directory, { recursive: true });
  }
  const { code, stdout } = await service.ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/"node":"v24\..*"msg":"starting from src\/"/);
});

test('npm run verify and npm run scrip find the database and the plan files', async () => {
  const verified = await installation.run(['npm', 'run', '--silent', 'verify']);
  expect(verified).toMatchObject({ code: 0, stderr: '' });
  expect(verified.stdout).toMatch(/^verify: ok \(3 accounts, /);

  const scrip = ['npm', 'run', '--silent', 'scrip', '--', 'plans'];
  const listed = await installation.run([...scrip, 'list']);
  expect(listed).toMatchObject({ code: 0, stderr: '' });
  expect(listed.stdout).toMatch(/^aspose-cloud: .*\nperfectparser: .*\nverts: .*\n$/);
  const checked = await installation.run([...scrip, 'check']);
  expect(checked).toMatchObject({ code: 0, stderr: '' });
});

test('npm run migrate migrates the database of DATABASE_URL', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-production-database-'));
  const { url, stop } = await startEmbeddedPostgres(directory);
  try {
    const command = ['npm', 'run', '--silent', 'migrate'];
    const first = await installation.run(command, { DATABASE_URL: url });
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^migrated: 0001-baseline(, \d{4}-[a-z-]+)*$/m);
    const second = await installation.run(command, { DATABASE_URL: url });
    expect(second.stdout).toBe('the schema is up to date\n');
  } finally {
    await stop();
    await rm(directory, { recursive: true });
  }
});
