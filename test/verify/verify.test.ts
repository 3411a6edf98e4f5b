/** The audit of a ledger as the service writes it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ENTRY_RULES } from '../../src/verify/moves.ts';
import { verify } from '../../src/verify/verify.ts';
import { execute } from '../postgres.ts';
import { requestId } from '../service.ts';
import {
  type SampleAccounts,
  type SampleService,
  startSampleService,
  writeSampleLedger,
} from './sample-ledger.ts';

let scrip: SampleService;
let accounts: SampleAccounts;

beforeAll(async () => {
  scrip = await startSampleService();
  accounts = await writeSampleLedger(scrip);
});

afterAll(() => scrip.stop());

test('a ledger with every kind of entry and move has no discrepancy', async () => {
  const [{ entries } = {}] = await execute(
    scrip.databaseUrl,
    'select count(*) as entries from entries',
  );
  expect(await verify(scrip.databaseUrl)).toEqual({
    ok: true,
    accounts: 6,
    entries: Number(entries),
  });
});

test('the sample ledger has every kind of entry and every move that is allowed', async () => {
  const rows = await execute(
    scrip.databaseUrl,
    `select distinct kind || ': ' || from_bucket || ' to ' || to_bucket as said
     from history join history_moves using (account_id, seq)
     union select distinct kind from history`,
  );
  const allowed = Object.entries(ENTRY_RULES).flatMap(([kind, { moves }]) => [
    kind,
    ...moves.map((move) => `${kind}: ${move}`),
  ]);
  expect(rows.map(({ said }) => said).sort()).toEqual(allowed.sort());
});

test('one account can be audited', async () => {
  expect(await verify(scrip.databaseUrl, { accountId: accounts.bare })).toEqual({
    ok: true,
    accounts: 1,
    entries: 9,
  });
  expect(await verify(scrip.databaseUrl, { accountId: 'nobody' })).toEqual({
    ok: false,
    discrepancies: [{ accountId: 'nobody', what: 'there is no such account' }],
  });
});

test('there is no discrepancy at any moment while the service writes', async () => {
  const accountIds = await Promise.all(Array.from({ length: 5 }, () => scrip.open('postpaid')));
  let writing = true;
  const calls = accountIds.map(async (accountId) => {
    while (writing) {
      const { reservation } = await scrip.billing.reserve({
        accountId,
        requestId: requestId(),
        credits: 2n,
      });
      const reservationId = reservation?.reservationId ?? '';
      const charged = await scrip.billing.charge({
        accountId,
        requestId: requestId(),
        credits: 1n,
      });
      await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
      await scrip.billing.refund({
        reason: 'a test',
        accountId,
        requestId: requestId(),
        seq: charged.entrySeq,
        all: true,
      });
    }
  });
  const seen = new Set<number>();
  for (let times = 0; times < 5; times++) {
    const result = await verify(scrip.databaseUrl);
    expect(result).toMatchObject({ ok: true });
    if (result.ok) seen.add(result.entries);
  }
  writing = false;
  await Promise.all(calls);
  expect(seen.size).toBe(5);
});

test('accounts and entries beyond one group are audited', async () => {
  const many = await startSampleService();
  const open = () => ({
    $case: 'openAccount' as const,
    value: { accountId: `many-${requestId()}`, requestId: requestId(), planId: 'prepaid' },
  });
  for (const length of [1_000, 200])
    await many.billing.batch({ mutations: Array.from({ length }, () => ({ mutation: open() })) });
  const audited = { accounts: 1_200, entries: 3_600 };
  expect(await verify(many.databaseUrl)).toEqual({ ok: true, ...audited });

  const [last] = await execute(
    many.databaseUrl,
    `update accounts set remaining = remaining - 1
     where account_id = (select account_id from accounts order by account_id desc limit 1)
     returning account_id`,
  );
  const result = await verify(many.databaseUrl);
  expect(result).toMatchObject({ ok: false });
  if (!result.ok) expect(result.discrepancies[0]?.accountId).toBe(last?.['account_id']);
  await many.stop();
});
