/**
 * Callers of a headless service, whose name has an address of each replica: while replicas are replaced by others at
 * other addresses, fail, and are added, every call is answered, and every charge is made once.
 */
import { afterEach, beforeEach, expect, inject, onTestFinished, test, vi } from 'vitest';
import { connect, type Scrip } from '../../clients/typescript/src/index.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { createDatabase, execute } from '../postgres.ts';
import { end, type Replica, SOON, startPublished, startReplica } from '../process/replica.ts';
import { NameServer } from './name-server.ts';

// grpc-js reads it when it is loaded. Without it the name servers of this machine are asked.
vi.hoisted(() => {
  process.env['GRPC_NODE_USE_ALTERNATIVE_RESOLVER'] = 'true';
});

const CALLERS = 16;
const ENVIRONMENT = { CONNECTION_AGE_MAX_MS: '1000' };
const accountId = 'busy';

let databaseUrl: string;
let port: number;
/** By their addresses. */
let replicas: Map<string, Replica>;
let names: NameServer;
let address: string;

beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  names = new NameServer();
  const server = await names.open();
  const first = await startReplica({
    ...ENVIRONMENT,
    DATABASE_URL: databaseUrl,
    HOST: '127.0.0.2',
  });
  port = first.port;
  replicas = new Map([['127.0.0.2', first]]);
  await start('127.0.0.3');
  names.addresses = [...replicas.keys()];
  address = `${server}scrip.example.test:${port}`;
});
afterEach(async () => {
  await Promise.all([...replicas.values()].map(end));
  names.close();
});

async function start(host: string) {
  const env = { ...ENVIRONMENT, DATABASE_URL: databaseUrl, HOST: host, PORT: String(port) };
  replicas.set(host, await startPublished(env));
}

/** As a rollout does: the new replica is ready before the old one is asked to go. */
async function replace(old: string, next: string) {
  await start(next);
  const replica = replicas.get(old) as Replica;
  replicas.delete(old);
  names.addresses = [...replicas.keys()];
  const { code } = await replica.signal('SIGTERM');
  expect(code).toBe(0);
}

/** A replica that ends without a word. Its address is there until a probe has failed. */
async function fail(host: string) {
  const replica = replicas.get(host) as Replica;
  await replica.signal('SIGKILL');
  replicas.delete(host);
}

/** Resolves to its credits. */
async function openBusyAccount({ accounts, billing }: Scrip): Promise<bigint> {
  await accounts.openAccount({ accountId, planId: 'verts' });
  const grant = { credits: 1_000_000n, category: 'CATEGORY_PAID', reason: 'a test' } as const;
  await accounts.grantCredits({ accountId, ...grant });
  const { balance } = await billing.getBalance({ accountId });
  return balance?.available ?? 0n;
}

/** Calls without a pause until it is told to stop, and counts what was charged. */
function load() {
  const scrip = connect({ address, caller: 'client', timeoutMs: 120_000, batching: false });
  onTestFinished(() => scrip.close());
  const counts = { charged: 0n, isOver: false };
  const call = async () => {
    while (!counts.isOver) {
      await scrip.billing.charge({ accountId, credits: 1n });
      counts.charged++;
    }
  };
  return {
    scrip,
    counts,
    /** Resolves when all callers have their answers; rejects if a call failed. */
    begin: () => Promise.all(Array.from({ length: CALLERS }, call)),
    /** Waits for some calls from now on. */
    async proceed() {
      const { charged } = counts;
      await expect.poll(() => counts.charged, SOON).toBeGreaterThan(charged + BigInt(CALLERS));
    },
  };
}

// Seven processes start one after the other.
const PATIENCE = { timeout: 600_000 };

test('a rolling restart and a failed replica lose no call', PATIENCE, async () => {
  const { scrip, counts, begin, proceed } = load();
  const before = await openBusyAccount(scrip);
  const calling = begin();
  await proceed();
  await replace('127.0.0.2', '127.0.0.4');
  await proceed();
  await replace('127.0.0.3', '127.0.0.5');
  await proceed();
  await fail('127.0.0.4');
  await proceed();
  await start('127.0.0.6');
  names.addresses = [...replicas.keys()];
  await proceed();
  counts.isOver = true;
  await calling;

  const { balance } = await scrip.billing.getBalance({ accountId });
  expect(balance?.available).toBe(before - counts.charged);
  const sql = `select count(*)::int as charges from history where kind = 'CHARGE'`;
  expect(await execute(databaseUrl, sql)).toEqual([{ charges: Number(counts.charged) }]);
  await expectSoundLedger(databaseUrl);
  scrip.close();
});

test('a replica that was added gets calls', PATIENCE, async () => {
  const { scrip, counts, begin, proceed } = load();
  const before = await openBusyAccount(scrip);
  const calling = begin();
  await proceed();
  await start('127.0.0.4');
  names.addresses = [...replicas.keys()];
  const added = replicas.get('127.0.0.4') as Replica;
  await expect.poll(() => chargesOf(added), SOON).toBeGreaterThan(0);
  counts.isOver = true;
  await calling;
  const { balance } = await scrip.billing.getBalance({ accountId });
  expect(balance?.available).toBe(before - counts.charged);
});

/** Calls of Charge that a replica has answered. */
async function chargesOf({ adminPort }: Replica): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
  const pattern = /^rpc_server_call_duration_seconds_count\{[^}]*Service\/Charge"[^}]*\} (\d+)/m;
  return Number(pattern.exec(await response.text())?.[1] ?? 0);
}
