/** SIGTERM and SIGKILL under load: acknowledged calls are in the ledger, accepted calls are answered. */
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { type Scrip, ScripError } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { outcomeOf, outcomesOf, tally } from '../cluster/cluster.ts';
import { lockAccount } from '../disruptions.ts';
import { createDatabase, execute } from '../postgres.ts';
import { showDatabaseOnFailure } from '../service.ts';
import { end, type Replica, SOON, startReplica } from './replica.ts';

const CALLERS = 50;
/** Longer than a test may take: a replica that waits for it fails the test. */
const SHUTDOWN_GRACE_MS = 600_000;
const accountId = 'busy';

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
  await accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: 'grant',
    credits: 100_000n,
    category,
  });
}

const charge = (requestId: string) => ({ accountId, requestId, credits: 1n });

/** The states that grpc.health.v1.Health/Watch reports; the array grows as they come. */
function watchHealth({ channel }: Scrip, service: string): string[] {
  const states: string[] = [];
  const name = Buffer.from(service);
  // HealthCheckRequest has the service's name as field 1, HealthCheckResponse an enum.
  const request = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const call = channel.makeServerStreamRequest<Buffer, string>(
    '/grpc.health.v1.Health/Watch',
    (bytes) => bytes,
    (bytes) => ['UNKNOWN', 'SERVING', 'NOT_SERVING'][bytes[1] ?? 0] ?? '',
    request,
  );
  call.on('data', (state: string) => states.push(state));
  call.on('error', () => states.push('ended'));
  return states;
}

/** Charges one credit after the other until a call fails, and returns that call. */
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

/** Loads the replica with `CALLERS` callers and resolves when each of them has work behind it. */
async function load(scrip: Scrip) {
  const acknowledged = new Set<string>();
  const callers = Array.from({ length: CALLERS }, (_, n) =>
    chargeUntilRefused(scrip, n, acknowledged),
  );
  await expect.poll(() => acknowledged.size, SOON).toBeGreaterThan(2 * CALLERS);
  return { acknowledged, refused: Promise.all(callers) };
}

async function appliedRequests(): Promise<Set<unknown>> {
  const sql = `select request_id from history where kind = 'CHARGE'`;
  return new Set((await execute(databaseUrl, sql)).map((row) => row['request_id']));
}

test('SIGTERM answers the 50 calls in progress, ends streams, reports NOT_SERVING, exits with 0', async () => {
  showDatabaseOnFailure(databaseUrl);
  const scrip = await start();
  await openBusyAccount(scrip);
  const healthOfAll = watchHealth(scrip, '');
  const healthOfOne = watchHealth(scrip, 'billing.v1.BillingService');
  const following = outcomeOf(
    scrip.billing.streamHistory({ accountId, afterSeq: 2n, follow: true }).next(),
  );

  // The account is locked, so that every call is in progress when the signal comes.
  const unlock = await lockAccount(databaseUrl, accountId);
  const calls = Array.from({ length: CALLERS }, (_, n) => scrip.billing.charge(charge(`c-${n}`)));
  const charging = outcomesOf(calls);
  // This call is answered after the replica has received those before it on the same connection.
  await scrip.plans.listPlans({});
  await expect.poll(() => healthOfAll, SOON).toEqual(['SERVING']);
  await expect.poll(() => healthOfOne, SOON).toEqual(['SERVING']);

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

  await unlock();
  expect(tally(await charging)).toEqual({ OK: CALLERS });
  // The watchers of its health do not keep it from stopping.
  const { code, stderr } = await scrip.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  scrip.close();

  const applied = await appliedRequests();
  expect([...applied].sort()).toEqual(Array.from({ length: CALLERS }, (_, n) => `c-${n}`).sort());
  await expectSoundLedger(databaseUrl);
});

test('SIGTERM under load: every call is answered, and every acknowledged call is in the ledger', async () => {
  showDatabaseOnFailure(databaseUrl);
  const scrip = await start();
  await openBusyAccount(scrip);
  const { acknowledged, refused } = await load(scrip);
  const { code } = await scrip.signal('SIGTERM');
  expect(code).toBe(0);
  for (const { code } of await refused) expect(code).toBe(status.UNAVAILABLE);

  const applied = await appliedRequests();
  expect([...acknowledged].filter((requestId) => !applied.has(requestId))).toEqual([]);

  // The callers repeat their calls at the next replica: nothing is lost or applied twice.
  const next = await start();
  for (const { requestId } of await refused) await next.billing.charge(charge(requestId));
  const { balance } = await next.billing.getBalance({ accountId });
  expect(balance?.remaining).toBe(100_000n - BigInt(acknowledged.size + CALLERS));
  await expectSoundLedger(databaseUrl);
});

test('SIGTERM stops a replica whose log nobody reads any more', async () => {
  const replica = await start();
  replica.process.stdout?.destroy();
  replica.process.stderr?.destroy();
  replica.process.kill('SIGTERM');
  await expect.poll(() => replica.process.exitCode, SOON).toBe(0);
});

test('kill -9 under load: another replica replays every acknowledged request', async () => {
  showDatabaseOnFailure(databaseUrl);
  const [doomed, survivor] = await Promise.all([start(), start()]);
  await openBusyAccount(doomed);
  const { acknowledged, refused } = await load(doomed);
  expect(await doomed.signal('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });

  let replayed = 0;
  const onTrailers = (trailers: { get(key: string): unknown[] }) => {
    if (trailers.get('idempotent-replayed')[0] === 'true') replayed++;
  };
  const repeat = [...acknowledged].map((id) => survivor.billing.charge(charge(id), { onTrailers }));
  await Promise.all(repeat);
  expect(replayed).toBe(acknowledged.size);
  for (const { requestId } of await refused) await survivor.billing.charge(charge(requestId));
  const { balance } = await survivor.billing.getBalance({ accountId });
  expect(balance?.remaining).toBe(100_000n - BigInt(acknowledged.size + CALLERS));
  await expectSoundLedger(databaseUrl);
});
