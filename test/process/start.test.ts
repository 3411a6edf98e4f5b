/** A service with the embedded PostgreSQL: first start in an empty directory, restarts, kills. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readPostmaster } from '../../src/embedded-postgres/postmaster.ts';
import { end, logOf, type Replica, SOON, startReplica, startService } from './replica.ts';

let directory: string;
let DATA_DIRECTORY: string;
let replicas: Replica[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-process-'));
  DATA_DIRECTORY = join(directory, '.data');
});
afterEach(async () => {
  await Promise.all(replicas.map(end));
  replicas = [];
});
afterAll(async () => {
  // The embedded PostgreSQL of a killed service stops a moment later.
  while (await postgresRuns()) await sleep(20);
  await rm(directory, { recursive: true, force: true });
});

const postgresRuns = async () =>
  (await readPostmaster(join(DATA_DIRECTORY, 'postgres'))) !== undefined;

async function start(): Promise<Replica> {
  const replica = await startReplica({ DATA_DIRECTORY });
  replicas.push(replica);
  return replica;
}

const accountId = 'first';
const charge = { accountId, requestId: 'charge-1', credits: 3n };

describe('with the embedded PostgreSQL', () => {
  test('logs its address, charges, and stops PostgreSQL when it stops', async () => {
    const scrip = await start();
    expect(logOf(scrip.output.stdout)).toContainEqual(
      expect.objectContaining({
        msg: 'ready',
        port: scrip.port,
        transport: 'insecure: loopback only',
        plans: ['aspose-cloud', 'perfectparser', 'verts'],
      }),
    );
    // Where its output is piped, every line is JSON.
    const lines = scrip.output.stdout.trim().split('\n');
    expect(lines.length).toBe(logOf(scrip.output.stdout).length);
    const opened = { accountId, requestId: 'open', planId: 'perfectparser' };
    await scrip.accounts.openAccount(opened);
    await scrip.billing.charge(charge);

    const { code, stderr } = await scrip.signal('SIGTERM');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await postgresRuns()).toBe(false);
  });

  test('a restart keeps the data', async () => {
    const scrip = await start();
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 17n, seq: 3n });
    expect((await scrip.signal('SIGINT')).code).toBe(0);
  });

  test('after kill -9 under load a restart has every acknowledged call, and replays it', async () => {
    const scrip = await start();
    const acknowledged = new Map<string, object>();
    const callers = Array.from({ length: 20 }, async (_, caller) => {
      for (let call = 0; ; call++) {
        const requestId = `load-${caller}-${call}`;
        acknowledged.set(
          requestId,
          await scrip.billing.charge({ ...charge, requestId, credits: 0n }),
        );
        if (acknowledged.size === 200) scrip.process.kill('SIGKILL');
      }
    });
    await Promise.allSettled(callers);
    expect(await scrip.ended).toMatchObject({ signal: 'SIGKILL' });
    expect(acknowledged.size).toBeGreaterThanOrEqual(200);

    const again = await start();
    let replays = 0;
    const onTrailers = (trailers: { get(key: string): unknown[] }) => {
      if (trailers.get('idempotent-replayed')[0] === 'true') replays++;
    };
    for (const [requestId, answer] of acknowledged) {
      const repeated = { ...charge, requestId, credits: 0n };
      const response = await again.billing.charge(repeated, { onTrailers });
      expect(response).toEqual({ ...answer, replay: expect.anything() });
    }
    expect(replays).toBe(acknowledged.size);
    await again.signal('SIGTERM');
  });
});

describe('whose PostgreSQL is killed', () => {
  test('ends and logs why; a restart has every acknowledged call', async () => {
    const scrip = await start();
    const { balance: before } = await scrip.billing.getBalance({ accountId });
    let acknowledged = 0n;
    const callers = Array.from({ length: 20 }, async (_, caller) => {
      for (let call = 0; ; call++) {
        const requestId = `lost-${caller}-${call}`;
        await scrip.billing.charge({ ...charge, requestId, credits: 0n });
        acknowledged++;
      }
    });
    const loading = Promise.allSettled(callers);
    await expect.poll(() => acknowledged, SOON).toBeGreaterThan(40n);
    const server = await readPostmaster(join(DATA_DIRECTORY, 'postgres'));
    process.kill(server?.pid ?? 0, 'SIGKILL');
    const { code, stdout } = await scrip.ended;
    scrip.close();
    await loading;
    expect(code).toBe(1);
    const msg = 'the embedded PostgreSQL has ended';
    expect(logOf(stdout)).toContainEqual(expect.objectContaining({ level: 60, msg }));

    const again = await start();
    const { balance: after } = await again.billing.getBalance({ accountId });
    expect((after?.seq ?? 0n) - (before?.seq ?? 0n)).toBeGreaterThanOrEqual(acknowledged);
    await again.signal('SIGTERM');
  });
});

test('on an address that other machines reach it does not start without TLS and a policy', async () => {
  const { code, stderr, stdout } = await startService({ HOST: '0.0.0.0', DATA_DIRECTORY }).ended;
  expect({ code, stdout, lines: stderr.trimEnd().split('\n') }).toEqual({
    code: 1,
    stdout: '',
    lines: [
      'scrip: TLS_CERT_FILE is required, because HOST is no loopback address; INSECURE=true does without TLS',
      'scrip: POLICY_FILE is required, because HOST is no loopback address',
    ],
  });
});

describe('two services', () => {
  test('started at once in one empty directory share its PostgreSQL', async () => {
    DATA_DIRECTORY = join(directory, 'shared');
    const [one, other] = await Promise.all([start(), start()]);
    await one.accounts.openAccount({ accountId, requestId: 'open', planId: 'perfectparser' });
    await other.billing.charge(charge);
    const { balance } = await one.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 17n });
    await Promise.all([one.signal('SIGTERM'), other.signal('SIGTERM')]);
  });
});
