/** A replica is killed in the middle of atomic batches: each has taken effect as a whole or not at all. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import { Random } from '../cluster/random.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { createDatabase } from '../postgres.ts';
import { end, type Replica, startReplica } from './replica.ts';

const MUTATIONS = 5;

let databaseUrl: string;
let accountId: string;
let replica: Replica;

beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  replica = await startReplica({ DATABASE_URL: databaseUrl });
});
afterEach(async () => {
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
});
afterAll(() => end(replica));

/** Gives four credits and takes four times one, each under its own request id. */
function newBatch() {
  const mutations = Array.from({ length: MUTATIONS }, (_, index) => {
    const named = { accountId, requestId: randomUUID() };
    const given = { ...named, credits: 4n, category: Grant_Category.PAID, reason: 'a test' };
    return index === 0
      ? { mutation: { $case: 'grantCredits' as const, value: given } }
      : { mutation: { $case: 'charge' as const, value: { ...named, credits: 1n } } };
  });
  return { mutations, atomic: true };
}
type Batch = ReturnType<typeof newBatch>;

async function openAccount() {
  accountId = `killed-${randomUUID()}`;
  await replica.accounts.openAccount({ accountId, requestId: randomUUID(), planId: 'verts' });
}

async function restart() {
  expect((await replica.ended).signal).toBe('SIGKILL');
  replica.close();
  replica = await startReplica({ DATABASE_URL: databaseUrl });
}

/** How many of its mutations have an entry. */
async function written({ mutations }: Batch): Promise<number> {
  const ids = new Set<string>(mutations.map(({ mutation }) => mutation.value.requestId));
  let count = 0;
  for await (const { entries } of replica.billing.streamHistory({ accountId }))
    count += entries.filter(({ requestId }) => ids.has(requestId)).length;
  return count;
}

const isDone = ({ result }: MutationResult): boolean =>
  result !== undefined && result.$case !== 'error';

/** The answer to a batch that was sent again. */
async function repeat(batch: Batch): Promise<readonly MutationResult[]> {
  const { results } = await replica.billing.batch(batch);
  expect(results.every(isDone)).toBe(true);
  expect(await written(batch)).toBe(MUTATIONS);
  return results;
}

async function remaining(): Promise<bigint | undefined> {
  return (await replica.billing.getBalance({ accountId })).balance?.remaining;
}

test('before it has read the account: nothing was written, and a repeat does all', async () => {
  await openAccount();
  const unlock = await lockAccount(databaseUrl, accountId);
  const batch = newBatch();
  const lost = replica.billing.batch(batch).catch(() => null);
  await waitForBlockedSessions(databaseUrl);
  replica.process.kill('SIGKILL');
  expect(await lost).toBeNull();
  await unlock();
  await restart();
  expect(await written(batch)).toBe(0);
  await repeat(batch);
  expect(await remaining()).toBe(0n);
});

test('while its transaction writes: all or nothing was written, and a repeat does the rest or is answered', async () => {
  await openAccount();
  const session = new pg.Client(databaseUrl);
  await session.connect();
  await session.query('begin');
  // The batch brings the account below a level, which is an event: the others of its rows are written before.
  await session.query('lock table events in exclusive mode');
  const batch = newBatch();
  const lost = replica.billing.batch(batch).catch(() => null);
  await waitForBlockedSessions(databaseUrl);
  replica.process.kill('SIGKILL');
  expect(await lost).toBeNull();
  await session.query('rollback');
  await session.end();
  await restart();
  // PostgreSQL may have had its COMMIT by then.
  expect([0, MUTATIONS]).toContain(await written(batch));
  await repeat(batch);
  expect(await remaining()).toBe(0n);
});

test('at any moment under load: no part of a batch is left, and none is done twice', async () => {
  await openAccount();
  const random = new Random(7);
  const unanswered: Batch[] = [];
  let answered = 0;
  for (let kill = 0; kill < 3; kill++) {
    const enough = answered + random.integer(1, 60);
    const caller = async () => {
      for (;;) {
        const batch = newBatch();
        unanswered.push(batch);
        const sent = await replica.billing.batch(batch).catch(() => null);
        if (sent === null) return;
        expect(sent.results.every(isDone)).toBe(true);
        unanswered.splice(unanswered.indexOf(batch), 1);
        answered += 1;
        if (answered === enough) replica.process.kill('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 8 }, caller));
    await restart();
  }
  for (const batch of unanswered) expect([0, MUTATIONS]).toContain(await written(batch));
  for (const batch of unanswered) await repeat(batch);
  expect(await remaining()).toBe(0n);
  const { balance } = await replica.billing.getBalance({ accountId });
  expect(balance?.seq).toBe(BigInt(1 + MUTATIONS * (answered + unanswered.length)));
});
