/** Accounts with all kinds of grants and overage: burn order, allowances, refunds and expiry notices. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  Grant_State,
} from '../../src/gen/billing/v1/ledger.ts';
import {
  Allowance_Period,
  Allowance_Rollover,
  Terms_RefundExpired,
} from '../../src/gen/billing/v1/pricing.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, DAY, defined, entriesOf, grant, newestEntry } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { convert, fromGrant, fromOverage, scan, waterfallPlan } from './waterfall.ts';

const ALL = waterfallPlan(
  'all',
  `  allowance: { credits: 10, every: 30 days, rollover: { up_to: 15 } }
  overage: { limit: 100 }
  refund_expired: new_grant
  expiring_notice: 3d`,
);
const MONTHLY = waterfallPlan(
  'monthly',
  '  allowance: { credits: 50, every: month, rollover: none }',
);
const KEEP_ALL = waterfallPlan(
  'keeping',
  '  allowance: { credits: 5, every: 1 month, rollover: all }',
);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [ALL, MONTHLY, KEEP_ALL, waterfallPlan('plain')] });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
});

const withRequestId = (accountId: string) => ({ accountId, requestId: requestId() });
const charge = (accountId: string, credits: bigint) =>
  scrip.billing.charge({ ...withRequestId(accountId), credits });

/** A new account, and the time of its opening, from which its periods count. */
async function openAndReadTime(planId: string) {
  const accountId = await scrip.open(planId);
  const { account } = await scrip.accounts.getAccount({ accountId });
  return { accountId, opened: defined(account?.openedAt).getTime() };
}

const eventsOf = (accountId: string, type: string) =>
  execute(
    scrip.databaseUrl,
    'select at, data from events where account_id = $1 and type = $2 order by at, event_id',
    [accountId, type],
  );

describe('one account', () => {
  test('spends allowance, promotional and paid credits and overage in burn order', async () => {
    const accountId = await scrip.open('all'); // 1: 10 of the allowance, which do not expire
    await grant(scrip, accountId, 5n, {
      category: Grant_Category.PROMOTIONAL,
      expiresAt: new Date(scrip.now() + 10 * DAY),
    }); // 2
    await scrip.accounts.grantCredits({
      reason: 'a test',
      ...withRequestId(accountId),
      credits: 4n,
      category: Grant_Category.PROMOTIONAL,
      priority: 10,
      onlyFor: { operations: ['doc.scan'] },
    }); // 3
    await scrip.billing.purchase({
      ...withRequestId(accountId),
      packId: 'small',
      payment: { $case: 'paymentReference', value: 'order-1' },
    }); // 4: 20 for 12 months
    await grant(scrip, accountId, 7n); // 5: paid, never expires
    const { reservation } = await scrip.billing.reserve({
      ...withRequestId(accountId),
      usages: { items: [convert(40n), scan(10n)] },
    });
    const split = [
      fromGrant(3n, 4n),
      fromGrant(2n, 5n),
      fromGrant(4n, 20n),
      fromGrant(1n, 10n),
      fromGrant(5n, 7n),
      fromOverage(4n),
    ];
    expect(reservation?.allocations).toEqual(split);
    const committed = await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId: defined(reservation).reservationId,
      all: true,
    });
    expect(committed.split).toEqual(split);
    expect(await newestEntry(scrip, accountId)).toMatchObject({ kind: Entry_Kind.COMMIT, split });
    const { entrySeq } = await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: committed.entrySeq,
      credits: 11n,
    });
    const refunded = (await entriesOf(scrip, accountId, { afterSeq: entrySeq - 1n }))[0];
    expect(refunded).toMatchObject({ kind: Entry_Kind.REFUND, split: [] });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 7n, overage: 0n });
  });
});

describe('the terms of a plan', () => {
  test('show the allowance, refund_expired and expiring_notice', async () => {
    const { plan } = await scrip.plans.getPlan({ planId: 'all' });
    expect(plan?.terms).toMatchObject({
      allowance: {
        credits: 10n,
        period: Allowance_Period.LENGTH,
        length: { length: { $case: 'days', value: 30 } },
        rollover: Allowance_Rollover.UP_TO,
        rolloverUpTo: 15n,
      },
      refundExpired: Terms_RefundExpired.NEW_GRANT,
      expiringNotice: { seconds: 3n * 86_400n, nanos: 0 },
    });
    const keeping = await scrip.plans.getPlan({ planId: 'keeping' });
    expect(keeping.plan?.terms?.allowance).toMatchObject({
      period: Allowance_Period.LENGTH,
      length: { length: { $case: 'months', value: 1 } },
      rollover: Allowance_Rollover.ALL,
      rolloverUpTo: 0n,
    });
  });
});

describe('an allowance', () => {
  test('is shown by GetBalance before it is due, and counts when it is due', async () => {
    scrip.setNow(Date.UTC(2031, 4, 20));
    const accountId = await scrip.open('monthly');
    await charge(accountId, 20n);
    const dueAt = new Date(Date.UTC(2031, 5, 1));
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      available: 30n,
      nextAllowance: { dueAt, credits: 50n },
    });
    scrip.setNow(dueAt.getTime());
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      available: 50n,
      nextAllowance: { dueAt: new Date(Date.UTC(2031, 6, 1)), credits: 50n },
    });
  });

  test('is not shown if the plan has none or the account is closed', async () => {
    const plain = await scrip.open('plain');
    expect((await balanceOf(scrip, plain)).nextAllowance).toBeUndefined();
    const closed = await scrip.open('monthly');
    await scrip.accounts.closeAccount(withRequestId(closed));
    expect((await balanceOf(scrip, closed)).nextAllowance).toBeUndefined();
  });

  test('of a length has periods that begin at the opening, and is carried over up to its limit', async () => {
    scrip.setNow(Date.UTC(2031, 6, 10, 9, 30));
    const { accountId, opened } = await openAndReadTime('all');
    scrip.setNow(opened + 90 * DAY);
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 25n,
      nextExpiry: undefined,
      nextAllowance: { credits: 10n },
    });
    await scrip.service.sweep();
    const { grants } = await scrip.accounts.listGrants({ accountId });
    expect(grants.map((g) => [g.effectiveAt?.getTime(), g.state, g.remaining])).toEqual([
      [opened + 90 * DAY, Grant_State.OPEN, 10n],
      [opened + 60 * DAY, Grant_State.OPEN, 10n],
      [opened + 30 * DAY, Grant_State.OPEN, 5n],
      [opened, Grant_State.EXPIRED, 0n],
    ]);
    expect(grants[0]?.sourceReference).toBe(new Date(opened + 90 * DAY).toISOString());
    // After each period: 20 of 20 carried over, then 15 of 20, then again of 25.
    const expired = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.GRANT_EXPIRED] });
    expect(expired.map(({ grantId, credits }) => [grantId, credits])).toEqual([
      [1n, 5n],
      [1n, 5n],
      [2n, 5n],
    ]);
  });

  test('with rollover "all" adds up, and is due on the last day of shorter months', async () => {
    scrip.setNow(Date.UTC(2032, 0, 31, 12));
    const { accountId, opened } = await openAndReadTime('keeping');
    const since = opened - Date.UTC(2032, 0, 31);
    scrip.setNow(Date.UTC(2032, 3, 30) + since);
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: 20n,
      nextAllowance: { dueAt: new Date(Date.UTC(2032, 4, 31) + since), credits: 5n },
    });
    await charge(accountId, 0n);
    const { grants } = await scrip.accounts.listGrants({ accountId });
    expect(grants.map(({ effectiveAt }) => effectiveAt?.toISOString().slice(0, 10))).toEqual([
      '2032-04-30',
      '2032-03-31',
      '2032-02-29',
      '2032-01-31',
    ]);
  });
});

describe('a refund of credits of an expired grant', () => {
  test('makes a new grant per refund if the plan says so', async () => {
    const accountId = await scrip.open('all');
    const expiresAt = new Date(scrip.now() + 5 * DAY);
    const { grant: promotional } = await scrip.accounts.grantCredits({
      reason: 'a test',
      ...withRequestId(accountId),
      credits: 8n,
      category: Grant_Category.PROMOTIONAL,
      priority: 3,
      onlyFor: { operations: ['doc.convert'] },
      expiresAt,
    });
    const charged = await scrip.billing.charge({
      ...withRequestId(accountId),
      usages: { items: [convert(8n)] },
    });
    scrip.advance(6 * DAY);
    const refunded = await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: charged.entrySeq,
      credits: 3n,
    });
    expect(refunded).toMatchObject({ refunded: 3n, expired: 0n, split: [fromGrant(2n, 3n)] });
    const lived = expiresAt.getTime() - defined(promotional?.effectiveAt).getTime();
    const [anew] = refunded.newGrants;
    expect(anew).toMatchObject({
      grantId: 3n,
      amount: 3n,
      category: Grant_Category.PROMOTIONAL,
      priority: 3,
      operations: ['doc.convert'],
      source: Grant_Source.REFUND,
      sourceReference: '2',
    });
    expect(defined(anew?.expiresAt).getTime() - defined(anew?.effectiveAt).getTime()).toBe(lived);
    expect(await entriesOf(scrip, accountId, { afterSeq: refunded.entrySeq - 1n })).toMatchObject([
      { kind: Entry_Kind.REFUND, credits: 3n },
      { kind: Entry_Kind.GRANT, credits: 3n, grantId: 3n },
    ]);
    const rest = await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: charged.entrySeq,
      all: true,
    });
    expect(rest).toMatchObject({ refunded: 5n, newGrants: [{ grantId: 4n, amount: 5n }] });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 18n });
  });

  test('has one effect per request id, and repeats return the same grant', async () => {
    const accountId = await scrip.open('all');
    await grant(scrip, accountId, 8n, { expiresAt: new Date(scrip.now() + DAY) });
    const charged = await charge(accountId, 8n);
    scrip.advance(2 * DAY);
    const request = {
      ...withRequestId(accountId),
      seq: charged.entrySeq,
      all: true,
      reason: 'a test',
    };
    const answers = await Promise.all([1, 2, 3].map(() => scrip.billing.refund(request)));
    const responses = answers.map((answer) => ({ ...answer, replay: undefined }));
    for (const response of responses) expect(response).toEqual(responses[0]);
    const { grants } = await scrip.accounts.listGrants({ accountId });
    expect(grants.filter(({ source }) => source === Grant_Source.REFUND)).toHaveLength(1);
  });

  test('is breakage otherwise', async () => {
    const accountId = await scrip.open('plain');
    await grant(scrip, accountId, 8n, { expiresAt: new Date(scrip.now() + DAY) });
    const charged = await charge(accountId, 8n);
    scrip.advance(2 * DAY);
    const refunded = await scrip.billing.refund({
      reason: 'a test',
      ...withRequestId(accountId),
      seq: charged.entrySeq,
      all: true,
    });
    expect(refunded).toMatchObject({ refunded: 8n, expired: 8n, newGrants: [] });
  });
});

describe('grant.expiring', () => {
  test('is written once, at the notice time, with what is left, also by the sweeper', async () => {
    const accountId = await scrip.open('all');
    const expiresAt = new Date(scrip.now() + 10 * DAY);
    await grant(scrip, accountId, 30n, { expiresAt });
    await charge(accountId, 5n);
    scrip.advance(7 * DAY - 60_000);
    await scrip.service.sweep();
    expect(await eventsOf(accountId, 'grant.expiring')).toEqual([]);
    scrip.advance(60_000);
    await scrip.service.sweep();
    await scrip.service.sweep();
    await charge(accountId, 5n);
    expect(await eventsOf(accountId, 'grant.expiring')).toMatchObject([
      {
        data: {
          grant_id: '2',
          remaining: '25',
          expires_at: expiresAt.toISOString(),
          category: 'PAID',
        },
      },
    ]);
    scrip.advance(3 * DAY);
    await scrip.service.sweep();
    expect(await eventsOf(accountId, 'grant.expiring')).toHaveLength(1);
    expect(await eventsOf(accountId, 'grant.expired')).toMatchObject([{ data: { credits: '20' } }]);
  });

  test('is written with the grant if the grant is made after the notice time', async () => {
    const accountId = await scrip.open('all');
    await grant(scrip, accountId, 30n, { expiresAt: new Date(scrip.now() + 2 * DAY) });
    expect(await eventsOf(accountId, 'grant.expiring')).toMatchObject([
      { data: { grant_id: '2', remaining: '30' } },
    ]);
  });

  test('leaves nothing due when it is written', async () => {
    const accountId = await scrip.open('plain');
    const expiresAt = new Date(scrip.now() + 10 * DAY);
    await grant(scrip, accountId, 30n, { expiresAt });
    const due = async () =>
      (
        await execute(scrip.databaseUrl, 'select due_at from accounts where account_id = $1', [
          accountId,
        ])
      )[0]?.['due_at'];
    expect(await due()).toEqual(new Date(expiresAt.getTime() - 7 * DAY));
    scrip.advance(4 * DAY);
    await scrip.service.sweep();
    expect(await due()).toEqual(expiresAt);
  });
});
