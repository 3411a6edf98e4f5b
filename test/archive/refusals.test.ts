/** Beyond the horizon a repetition is refused, whatever the replica has in memory, and nothing is charged again. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  HOUR,
  openWithCredits,
  reserveCredits,
} from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';
import { archiveLedger, temporaryDirectory } from './archiving.ts';

const START = Date.parse('2024-01-10T12:00:00Z');
const directory = temporaryDirectory();

const LATE = planIn(`
plan_id: late
title: Late
terms: { late_usage: 3d }
packs: []
operations:
  job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: 1 }] }
`);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [...(await plansOfDeploy()), LATE],
    frozenAt: START,
    env: { ARCHIVE_DIRECTORY: directory },
  });
});
afterAll(() => scrip.stop());

/** Makes the account hot in the cache of the replica. */
const warmUp = (accountId: string) =>
  scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });

async function archiveBefore() {
  const month = new Date(scrip.now()).toISOString().slice(0, 7);
  return await archiveLedger(scrip, directory, month);
}

describe('a repetition of an archived request', () => {
  test.each([false, true])(
    'is refused, and charges nothing (account in memory: %s)',
    async (warm) => {
      const accountId = await openWithCredits(scrip, 100n);
      const charge = { accountId, requestId: requestId(), credits: 10n };
      await scrip.billing.charge(charge);
      const reserve = { accountId, requestId: requestId(), credits: 10n };
      const reservationId = defined(
        (await scrip.billing.reserve(reserve)).reservation,
      ).reservationId;
      const commit = { accountId, requestId: requestId(), reservationId, credits: 5n };
      await scrip.billing.commit(commit);
      scrip.advance(40 * DAY);
      await archiveBefore();
      if (warm) await warmUp(accountId);
      const { remaining } = await balanceOf(scrip, accountId);
      for (const repeated of [
        () => scrip.billing.charge(charge),
        () => scrip.billing.charge({ ...charge, credits: 11n }),
        () => scrip.billing.reserve(reserve),
        () => scrip.billing.commit(commit),
      ])
        expect(await errorOf(repeated())).toMatchObject({
          reason: 'REQUEST_ARCHIVED',
          metadata: { account_id: accountId },
        });
      // Of another method, the id is free as before.
      await scrip.billing.charge({ accountId, requestId: reserve.requestId, credits: 1n });
      expect((await balanceOf(scrip, accountId)).remaining).toBe(remaining - 1n);
    },
  );

  test('is answered as before until its rows have left', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const charge = { accountId, requestId: requestId(), credits: 10n };
    const first = await scrip.billing.charge(charge);
    scrip.advance(40 * DAY);
    const killed = archiveLedger(scrip, directory, monthOf(scrip.now()), {
      around: () => () => Promise.reject(new Error('killed')),
    });
    await expect(killed).rejects.toThrow('killed');
    expect((await scrip.billing.charge(charge)).entrySeq).toBe(first.entrySeq);
    await archiveBefore();
    expect(await errorOf(scrip.billing.charge(charge))).toMatchObject({
      reason: 'REQUEST_ARCHIVED',
    });
  });
});

const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);

test('a refund of an archived charge is refused; one of a newer charge is not', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const old = await scrip.billing.charge({ accountId, requestId: requestId(), credits: 10n });
  scrip.advance(40 * DAY);
  const { entrySeq: seq } = await warmUp(accountId);
  await archiveBefore();
  const refund = (of: bigint) =>
    scrip.billing.refund({ accountId, requestId: requestId(), seq: of, all: true, reason: 'late' });
  expect(await errorOf(refund(old.entrySeq))).toMatchObject({
    reason: 'ENTRY_ARCHIVED',
    metadata: { seq: `${old.entrySeq}`, account_id: accountId },
  });
  expect((await refund(seq)).refunded).toBe(1n);
});

test('late usage from before the newest archived entry is refused', async () => {
  const accountId = await openWithCredits(scrip, 100n, 'late');
  const monthEnd = Date.parse(`${monthOf(scrip.now() + 40 * DAY)}-01T00:00:00Z`);
  scrip.setNow(monthEnd - 2 * HOUR);
  await warmUp(accountId);
  scrip.setNow(monthEnd + DAY);
  await archiveBefore();
  const use = (usedAt: number) =>
    scrip.billing.charge({
      ...{ accountId, requestId: requestId(), credits: 1n, usedAt: new Date(usedAt) },
    });
  expect(await errorOf(use(monthEnd - 3 * HOUR))).toMatchObject({
    reason: 'LATE_USAGE_NOT_ALLOWED',
    metadata: { earliest: new Date(monthEnd - 2 * HOUR).toISOString() },
  });
  await use(monthEnd - HOUR);
});

test('a job that goes on over the border is committed, read and refunded as a whole', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const nearEnd = Date.UTC(
    new Date(scrip.now()).getUTCFullYear(),
    new Date(scrip.now()).getUTCMonth() + 1,
    1,
  );
  scrip.setNow(nearEnd - 60_000);
  const reservationId = await reserveCredits(scrip, accountId, 10n);
  scrip.setNow(nearEnd + 60_000);
  await archiveBefore();
  const { entrySeq } = await scrip.billing.commit({
    accountId,
    requestId: requestId(),
    reservationId,
    credits: 4n,
  });
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  const read = () => scrip.billing.getReservation({ accountId, reservationId });
  expect((await read()).reservation).toMatchObject({ committed: 4n });
  scrip.advance(40 * DAY);
  await archiveBefore();
  expect((await read()).reservation).toMatchObject({ committed: 4n });
  expect(
    await errorOf(
      scrip.billing.refund({
        accountId,
        requestId: requestId(),
        seq: entrySeq,
        all: true,
        reason: 'x',
      }),
    ),
  ).toMatchObject({ reason: 'ENTRY_ARCHIVED' });
  const rows = await execute(
    scrip.databaseUrl,
    `select seq from entries where account_id = '${accountId}' and kind <> 32`,
  );
  expect(rows).toEqual([]);
  expect(await verify(scrip.databaseUrl, { all: true, archiveDirectory: directory })).toMatchObject(
    { ok: true },
  );
});

test('erased data are gone from the files, and an audit holds', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const labels = new Map([['name', 'Ada Lovelace']]);
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 10n, labels });
  const named = () => ({ accountId, requestId: requestId() });
  scrip.advance(40 * DAY);
  await archiveBefore();
  const labelled = async () =>
    (await entriesOf(scrip, accountId)).flatMap((entry) => [...entry.labels.values()]);
  expect(await labelled()).toEqual(['Ada Lovelace']);
  await scrip.accounts.closeAccount(named());
  await scrip.accounts.eraseAccountData({ ...named(), reason: 'a request' });
  expect(await labelled()).toEqual([]);
  expect(await verify(scrip.databaseUrl, { all: true, archiveDirectory: directory })).toMatchObject(
    { ok: true },
  );
  scrip.advance(40 * DAY);
  await archiveBefore();
  expect(await verify(scrip.databaseUrl, { all: true, archiveDirectory: directory })).toMatchObject(
    { ok: true },
  );
});
