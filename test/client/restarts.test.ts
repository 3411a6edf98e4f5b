/** Callers of replicas that stop, die and start again see neither, and every charge is made once. */
import { afterEach, beforeEach, expect, inject, onTestFinished, test } from 'vitest';
import { connect } from '../../clients/typescript/src/index.ts';
import { createDatabase } from '../postgres.ts';
import { end, type Replica, startPublished, startReplica } from '../process/replica.ts';

const CALLERS = 32;
const CREDITS = 100_000n;
const accountId = 'busy';

let databaseUrl: string;
let replicas: Replica[];
beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
  const env = { DATABASE_URL: databaseUrl };
  replicas = [await startReplica(env), await startPublished(env)];
});
afterEach(async () => {
  await Promise.all(replicas.map(end));
});

/** Stops the replica, and starts it again on its port. */
async function restart(index: number, signal: NodeJS.Signals) {
  const replica = replicas[index] as Replica;
  await replica.signal(signal);
  const env = { DATABASE_URL: databaseUrl, PORT: String(replica.port) };
  replicas[index] = await startPublished(env);
}

test.each([true, false])('batching: %s', async (batching) => {
  const address = `ipv4:${replicas.map(({ port }) => `127.0.0.1:${port}`).join()}`;
  const scrip = connect({ address, caller: 'client', batching, timeoutMs: 120_000 });
  onTestFinished(() => scrip.close());
  await scrip.accounts.openAccount({ accountId, planId: 'verts' });
  const { balance: before } = await scrip.accounts.grantCredits({
    accountId,
    credits: CREDITS,
    category: 'CATEGORY_PAID',
    reason: 'a test',
  });
  let charged = 0n;
  let isOver = false;
  const calling = Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (!isOver) {
        await scrip.billing.charge({ accountId, credits: 1n });
        charged += 1n;
      }
    }),
  );
  // One after the other, one without warning, and at last both without warning at the same time.
  await restart(0, 'SIGTERM');
  await restart(1, 'SIGTERM');
  await restart(0, 'SIGKILL');
  await Promise.all([restart(0, 'SIGKILL'), restart(1, 'SIGKILL')]);
  isOver = true;
  await calling;
  const { balance } = await scrip.billing.getBalance({ accountId });
  expect(charged).toBeGreaterThan(CALLERS);
  expect(balance?.available).toBe((before?.available ?? 0n) - charged);
});
