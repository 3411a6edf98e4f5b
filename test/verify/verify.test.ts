/** The audit of a ledger as the service writes it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { ENTRY_RULES } from '../../src/verify/moves.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, newestEntry, reserveCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';
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
    accounts: 12,
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
  // What the archiver appends is in the ledgers of test/archive.
  const { CHECKPOINT: _, ...written } = ENTRY_RULES;
  const allowed = Object.entries(written).flatMap(([kind, { moves }]) => [
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

test('a closed account keeps the due allowance that it had, although its grants expire later', async () => {
  const own = await startTestService({ frozenAt: Date.UTC(2026, 0, 20) });
  const accountId = await own.open('aspose-cloud');
  const account = { accountId, reason: 'a test' };
  const at = (month: number, day: number) => own.setNow(Date.UTC(2026, month, day));
  const move = (planId: string) =>
    own.accounts.moveAccount({ ...account, requestId: requestId(), planId });
  at(0, 25);
  await move('perfectparser');
  at(1, 2);
  await move('aspose-cloud');
  await own.accounts.grantCredits({
    ...account,
    requestId: requestId(),
    credits: 10n,
    category: Grant_Category.PROMOTIONAL,
    expiresAt: new Date(Date.UTC(2026, 2, 10)),
  });
  await own.accounts.closeAccount({ accountId, requestId: requestId() });
  at(2, 11);
  await own.service.sweep();
  expect(await newestEntry(own, accountId)).toMatchObject({ kind: Entry_Kind.GRANT_EXPIRED });
  expect(await verify(own.databaseUrl)).toMatchObject({ ok: true });
  await own.stop();
});

describe('what passes without an entry', () => {
  const NOTICE_MS = 86_400_000;
  let own: TestService;
  beforeAll(async () => {
    // No statement is closed at the end of a month.
    const plans = (await plansOfDeploy()).map((plan) => ({
      ...plan,
      terms: { ...plan.terms, overage: null, expiringNoticeMs: NOTICE_MS },
    }));
    own = await startTestService({ frozenAt: Date.UTC(2026, 0, 20), plans });
  });
  afterAll(() => own.stop());

  const seqOf = async (accountId: string) => (await newestEntry(own, accountId)).seq;

  test('the expiry of a grant that is reserved as a whole is not due any more', async () => {
    own.setNow(Date.UTC(2026, 0, 20));
    const accountId = await own.open('perfectparser');
    const { available } = await balanceOf(own, accountId);
    await own.billing.charge({ accountId, requestId: requestId(), credits: available });
    await own.accounts.grantCredits({
      accountId,
      requestId: requestId(),
      reason: 'a test',
      credits: 10n,
      category: Grant_Category.PAID,
      expiresAt: new Date(own.now() + 60_000),
    });
    await reserveCredits(own, accountId, 10n);
    const before = await seqOf(accountId);
    own.advance(60_000);
    await own.service.sweep();
    expect(await seqOf(accountId)).toBe(before);
    expect(await verify(own.databaseUrl)).toMatchObject({ ok: true });
  });

  test('the notice of such a grant is due all the same', async () => {
    own.setNow(Date.UTC(2026, 0, 20));
    const accountId = await own.open('perfectparser');
    const { available } = await balanceOf(own, accountId);
    await own.billing.charge({ accountId, requestId: requestId(), credits: available });
    await own.accounts.grantCredits({
      accountId,
      requestId: requestId(),
      reason: 'a test',
      credits: 10n,
      category: Grant_Category.PAID,
      expiresAt: new Date(own.now() + NOTICE_MS + 60_000),
    });
    await reserveCredits(own, accountId, 10n);
    const postpone = 'update accounts set due_at = due_at + $2::interval where account_id = $1';
    await execute(own.databaseUrl, postpone, [accountId, '2 minutes']);
    expect(await verify(own.databaseUrl)).toMatchObject({
      ok: false,
      discrepancies: [{ accountId, what: expect.stringContaining('something is due at') }],
    });
    await execute(own.databaseUrl, postpone, [accountId, '-2 minutes']);
  });

  test('no allowance is due where the plan has none any more', async () => {
    own.setNow(Date.UTC(2026, 0, 25));
    const accountId = await own.open('aspose-cloud');
    const { available } = await balanceOf(own, accountId);
    await own.billing.charge({ accountId, requestId: requestId(), credits: available });
    await own.accounts.moveAccount({
      accountId,
      requestId: requestId(),
      reason: 'a test',
      planId: 'verts',
    });
    const before = await seqOf(accountId);
    own.setNow(Date.UTC(2026, 1, 2));
    await own.service.sweep();
    expect(await seqOf(accountId)).toBe(before);
    expect(await verify(own.databaseUrl)).toMatchObject({ ok: true });
  });
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
