/** Readers whose position is in a history that the database does not have: it lost its last writes. */
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { openWithCredits } from '../accounts.ts';
import { copyDatabase, replaceDatabase } from '../disruptions.ts';
import { createDatabase } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const lost = (after: string, newest: string) => ({
  code: status.FAILED_PRECONDITION,
  reason: 'POSITION_LOST',
  metadata: { after, newest },
});

const charge = ({ billing }: TestService, accountId: string) =>
  billing.charge({ accountId, requestId: requestId(), credits: 1n });

/** A service, and a backup of its database from before the account was charged once. */
async function startWithBackup() {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const first = await startTestService({ databaseUrl });
  const accountId = await openWithCredits(first, 10n);
  await first.stop();
  const backupUrl = await copyDatabase(databaseUrl);
  const scrip = await startTestService({ databaseUrl });
  stops.push(scrip.stop);
  const { entrySeq } = await charge(scrip, accountId);
  return { databaseUrl, backupUrl, scrip, accountId, entrySeq };
}

describe('StreamHistory', () => {
  test.each([false, true])(
    'after a seq beyond the newest entry fails; follow: %s',
    async (follow) => {
      const { scrip, accountId, entrySeq } = await startWithBackup();
      const afterSeq = entrySeq + 1n;
      expect(
        await errorOf(scrip.billing.streamHistory({ accountId, afterSeq, follow }).next()),
      ).toMatchObject(lost(String(afterSeq), String(entrySeq)));
    },
  );

  test('that is open fails when the entries it has sent are gone', async () => {
    const { databaseUrl, backupUrl, scrip, accountId, entrySeq } = await startWithBackup();
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    await replaceDatabase(databaseUrl, backupUrl);
    expect(await errorOf(stream.next())).toMatchObject(
      lost(String(entrySeq), String(entrySeq - 1n)),
    );
  });

  test('that is open fails when other entries have their seqs', async () => {
    const { databaseUrl, backupUrl, scrip, accountId, entrySeq } = await startWithBackup();
    const other = await startTestService({ databaseUrl: backupUrl });
    await charge(other, accountId);
    await charge(other, accountId);
    await other.stop();
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    await replaceDatabase(databaseUrl, backupUrl);
    expect(await errorOf(stream.next())).toMatchObject(
      lost(String(entrySeq), String(entrySeq + 1n)),
    );
  });

  test('that is open fails when the account is gone', async () => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    const backupUrl = await copyDatabase(databaseUrl);
    const scrip = await startTestService({ databaseUrl });
    stops.push(scrip.stop);
    const accountId = await scrip.open('verts');
    const stream = scrip.billing.streamHistory({ accountId, follow: true });
    await stream.next();
    await replaceDatabase(databaseUrl, backupUrl);
    expect(await errorOf(stream.next())).toMatchObject(lost('1', '0'));
  });
});

describe('StreamEvents', () => {
  test('that is open fails when the events it has sent are gone', async () => {
    const databaseUrl = await createDatabase(inject('postgresUrl'));
    const backupUrl = await copyDatabase(databaseUrl);
    const scrip = await startTestService({ databaseUrl });
    stops.push(scrip.stop);
    const accountId = await openWithCredits(scrip, 10n);
    await charge(scrip, accountId);
    const stream = scrip.events.streamEvents({ accountId: '', follow: true });
    let message = (await stream.next()).value;
    while (message && message.events.length === 0) message = (await stream.next()).value;
    await replaceDatabase(databaseUrl, backupUrl);
    expect(await errorOf(stream.next())).toMatchObject({
      reason: 'POSITION_LOST',
      metadata: { after: message?.nextToken },
    });
  });
});
