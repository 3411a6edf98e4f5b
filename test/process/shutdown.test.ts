/** SIGTERM and SIGKILL under load: what was acknowledged stands, and what was accepted is answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { type Scrip, ScripError } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { expectSoundBooks } from '../cluster/audit.ts';
import { outcomeOf, outcomesOf, tally } from '../cluster/cluster.ts';
import { createDatabase, execute } from '../postgres.ts';
import { showDatabaseOnFailure } from '../service.ts';
import { end, type Replica, startReplica } from './replica.ts';

const CALLERS = 50;
const SHUTDOWN_GRACE_MS = 30_000;
const accountId = 'busy';
const SOON = { timeout: 10_000 };

let databaseUrl: string;
let replicas: Replica[];

beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  replicas = [];
});
afterEach(async () => {
  await Promise.all(replicas.map(end));
});

async function start(): Promise<Replica> {
  const replica = await startReplica({
    DATABASE_URL: databaseUrl,
    SHUTDOWN_GRACE_MS: String(SHUTDOWN_GRACE_MS),
  });
  replicas.push(replica);
  return replica;
}

async function openBusyAccount({ accounts }: Scrip) {
  await accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
  const category = Grant_Category.PAID;
  await accounts.grantCredits({ accountId, requestId: 'grant', credits: 100_000n, category });
}

const charge = (requestId: string) => ({ accountId, requestId, credits: 1n });

/** What grpc.health.v1.Health/Watch says, as it says it. */
function watchHealth({ channel }: Scrip, service: string): string[] {
  const said: string[] = [];
  const name = Buffer.from(service);
  // HealthCheckRequest has the service's name as field 1, HealthCheckResponse an enum.
  const request = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const call = channel.makeServerStreamRequest<Buffer, string>(
    '/grpc.health.v1.Health/Watch',
    (bytes) => bytes,
    (bytes) => ['UNKNOWN', 'SERVING', 'NOT_SERVING'][bytes[1] ?? 0] ?? '',
    request,
  );
  call.on('data', (state: string) => said.push(state));
  call.on('error', () => said.push('ended'));
  return said;
}

/** Calls one after the other, until one does not come through; answers what was acknowledged. */
async function chargeUntilRefused(scrip: Scrip, caller: number, acknowledged: Set<string>) {
  for (let call = 0; ; call++) {
    const requestId = `load-${caller}-${call}`;
    try {
      await scrip.billing.charge(charge(requestId));
      acknowledged.add(requestId);
    } catch (error) {
      if (error instanceof ScripError) return { requestId, code: error.code };
      throw error;
    }
  }
}

async function appliedRequests(): Promise<Set<unknown>> {
  const sql = `select request_id from entries where kind = 'CHARGE'`;
  return new Set((await execute(databaseUrl, sql)).map((row) => row['request_id']));
}

test('SIGTERM finishes the 50 calls under way, ends followers, says NOT_SERVING, and exits with 0', async () => {
  showDatabaseOnFailure(databaseUrl);
  const scrip = await start();
  await openBusyAccount(scrip);
  const healthOfAll = watchHealth(scrip, '');
  const healthOfOne = watchHealth(scrip, 'billing.v1.BillingService');
  const following = outcomeOf(
    scrip.billing.streamHistory({ accountId, afterSeq: 2n, follow: true }).next(),
  );

  // Someone holds the account, so that every call is under way when the signal comes.
  const holder = new pg.Client(databaseUrl);
  await holder.connect();
  await holder.query('begin');
  await holder.query('select from accounts where account_id = $1 for update', [accountId]);
  const calls = Array.from({ length: CALLERS }, (_, n) => scrip.billing.charge(charge(`c-${n}`)));
  const charging = outcomesOf(calls);
  await sleep(300);
  expect(healthOfAll).toEqual(['SERVING']);

  scrip.process.kill('SIGTERM');
  expect(await following).toMatchObject({
    reason: 'SHUTTING_DOWN',
    error: { code: status.UNAVAILABLE, metadata: { next_after_seq: '2' } },
  });
  await expect.poll(() => healthOfAll, SOON).toContain('NOT_SERVING');
  await expect.poll(() => healthOfOne, SOON).toContain('NOT_SERVING');
  const late = scrip.connect();
  expect(await outcomeOf(late.billing.charge(charge('late')))).toMatchObject({
    error: { code: status.UNAVAILABLE },
  });
  late.close();
  scrip.process.kill('SIGTERM'); // an impatient operator

  const releasedAt = performance.now();
  await holder.query('commit');
  await holder.end();
  expect(tally(await charging)).toEqual({ OK: CALLERS });
  const { code, stderr } = await scrip.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  // Those who watch its health do not keep it from stopping.
  expect(performance.now() - releasedAt).toBeLessThan(SHUTDOWN_GRACE_MS / 2);
  scrip.close();

  const applied = await appliedRequests();
  expect([...applied].sort()).toEqual(Array.from({ length: CALLERS }, (_, n) => `c-${n}`).sort());
  await expectSoundBooks(databaseUrl);
});

test('SIGTERM under load: every call is answered, and what was acknowledged is in the ledger', async () => {
  showDatabaseOnFailure(databaseUrl);
  const scrip = await start();
  await openBusyAccount(scrip);
  const acknowledged = new Set<string>();
  const callers = Array.from({ length: CALLERS }, (_, n) =>
    chargeUntilRefused(scrip, n, acknowledged),
  );
  await sleep(500);
  const { code } = await scrip.signal('SIGTERM');
  expect(code).toBe(0);
  const refused = await Promise.all(callers);
  for (const { code } of refused) expect(code).toBe(status.UNAVAILABLE);

  expect(acknowledged.size).toBeGreaterThan(0);
  const applied = await appliedRequests();
  expect([...acknowledged].filter((requestId) => !applied.has(requestId))).toEqual([]);

  // The callers go to the next replica, and nothing is lost or applied twice.
  const next = await start();
  for (const { requestId } of refused) await next.billing.charge(charge(requestId));
  const { balance } = await next.billing.getBalance({ accountId });
  expect(balance?.remaining).toBe(100_000n - BigInt(acknowledged.size + CALLERS));
  await expectSoundBooks(databaseUrl);
});

test('SIGTERM ends it where nobody reads its log any more', async () => {
  const replica = await start();
  replica.process.stdout?.destroy();
  replica.process.stderr?.destroy();
  replica.process.kill('SIGTERM');
  await expect.poll(() => replica.process.exitCode, SOON).toBe(0);
});

test('kill -9 under load: another replica answers every acknowledged request the same again', async () => {
  showDatabaseOnFailure(databaseUrl);
  const [doomed, survivor] = await Promise.all([start(), start()]);
  await openBusyAccount(doomed);
  const acknowledged = new Set<string>();
  const callers = Array.from({ length: CALLERS }, (_, n) =>
    chargeUntilRefused(doomed, n, acknowledged),
  );
  await sleep(500);
  expect(await doomed.signal('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
  const refused = await Promise.all(callers);
  expect(acknowledged.size).toBeGreaterThan(0);

  let replayed = 0;
  const onTrailers = (trailers: { get(key: string): unknown[] }) => {
    if (trailers.get('idempotent-replayed')[0] === 'true') replayed++;
  };
  const repeat = [...acknowledged].map((id) => survivor.billing.charge(charge(id), { onTrailers }));
  await Promise.all(repeat);
  expect(replayed).toBe(acknowledged.size);
  for (const { requestId } of refused) await survivor.billing.charge(charge(requestId));
  const { balance } = await survivor.billing.getBalance({ accountId });
  expect(balance?.remaining).toBe(100_000n - BigInt(acknowledged.size + CALLERS));
  await expectSoundBooks(databaseUrl);
});
