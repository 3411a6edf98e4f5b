/**
 * Another database takes the place of the one that a replica has written to: a standby without its last writes,
 * or a backup. The replica still runs, and its cached accounts are of a history that is lost.
 */
import { afterEach, expect, inject, test } from 'vitest';
import { openWithCredits } from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { outcomeOf } from '../cluster/cluster.ts';
import { copyDatabase, replaceDatabase } from '../disruptions.ts';
import { createDatabase } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startOn(databaseUrl: string): Promise<TestService> {
  const service = await startTestService({ databaseUrl });
  stops.push(service.stop);
  return service;
}

test('a cached account of a lost history is not taken for one that has got as many writes since', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const first = await startTestService({ databaseUrl });
  const accountId = await openWithCredits(first, 100n);
  await first.stop();
  const backupUrl = await copyDatabase(databaseUrl);

  const replica = await startOn(databaseUrl);
  const charge = (service: TestService, credits: bigint) =>
    service.billing.charge({ accountId, requestId: requestId(), credits });
  await charge(replica, 1n);
  const other = await startTestService({ databaseUrl: backupUrl });
  await charge(other, 5n);
  await other.stop();

  await replaceDatabase(databaseUrl, backupUrl);
  const read = () => outcomeOf(replica.billing.getBalance({ accountId }));
  await expect
    .poll(read, { timeout: 60_000 })
    .toMatchObject({ answer: { balance: { remaining: 95n } } });
  expect((await charge(replica, 1n)).balance).toMatchObject({ remaining: 94n });
  await expectSoundLedger(databaseUrl);
});
