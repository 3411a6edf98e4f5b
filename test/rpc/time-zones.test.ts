/** Time zones of accounts over a socket, on two replicas with a clock that stands still. */
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BudgetEnforcement, BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import { Entry_Kind, Grant_Source } from '../../src/gen/billing/v1/ledger.ts';
import { GetUsageRequest_Granularity as Granularity } from '../../src/gen/billing/v1/statement_service.ts';
import { mapOf } from '../../src/map-of.ts';
import { defined, newestEntry } from '../accounts.ts';
import { expectSoundLedger } from '../cluster/audit.ts';
import { type Cluster, outcomesOf, startCluster, tally } from '../cluster/cluster.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, type TestService } from '../service.ts';

const newId = () => `zone-${randomUUID()}`;
const at = (text: string) => Date.parse(text);
/** The clocks of Berlin go forward on the 30th. */
const STARTS_AT = at('2031-03-29T10:00:00Z');

let cluster: Cluster;
let scrip: TestService;
beforeAll(async () => {
  cluster = await startCluster({ frozenAt: STARTS_AT });
  [scrip] = cluster.replicas;
});
afterAll(async () => {
  await expectSoundLedger(cluster.databaseUrl);
  await cluster.stop();
});

async function open(timeZone: string, planId = 'aspose-cloud'): Promise<string> {
  const accountId = newId();
  await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId, timeZone });
  return accountId;
}
const change = (accountId: string, timeZone: string) =>
  scrip.accounts.updateAccount({ accountId, requestId: requestId(), timeZone });
const charge = (accountId: string, credits: bigint, replica = 0) =>
  cluster.replicas[replica]!.billing.charge({
    accountId,
    requestId: requestId(),
    credits,
    labels: mapOf({ user: 'ann' }),
  });
const capDay = (accountId: string, credits: bigint) =>
  scrip.accounts.setBudget({
    accountId,
    requestId: requestId(),
    reason: 'a test',
    budget: {
      budgetId: 'day',
      dimension: { $case: 'label', value: 'user' },
      value: undefined,
      credits,
      period: BudgetPeriod.DAY,
      enforcement: BudgetEnforcement.HARD,
      exceptions: [],
    },
  });

describe('a time zone', () => {
  test('is given by any of its names, and shown by its canonical one', async () => {
    const accountId = await open('asia/CALCUTTA');
    const { account } = await scrip.accounts.getAccount({ accountId });
    expect(account?.timeZone).toBe('Asia/Kolkata');
    const { timeZone, balance } = await scrip.billing.getBalance({ accountId });
    expect(timeZone).toBe('Asia/Kolkata');
    expect(balance?.nextAllowance?.dueAt).toEqual(new Date('2031-03-31T18:30:00Z'));
  });

  test('is UTC by default', async () => {
    const accountId = await open('');
    expect((await scrip.accounts.getAccount({ accountId })).account?.timeZone).toBe('UTC');
    expect((await scrip.billing.getBalance({ accountId })).timeZone).toBe('UTC');
  });

  test.each(['Mars/Olympus', '+01:00', 'Europe', 'x'.repeat(65)])('is not %s', async (timeZone) => {
    const accountId = newId();
    const named = { accountId, requestId: requestId(), timeZone };
    expect(
      await errorOf(scrip.accounts.openAccount({ ...named, planId: 'aspose-cloud' })),
    ).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      metadata: { field: 'time_zone' },
    });
    expect(await errorOf(scrip.accounts.getAccount({ accountId }))).toMatchObject({
      reason: 'ACCOUNT_NOT_FOUND',
    });
  });

  test('that is changed is an entry, once', async () => {
    const accountId = await open('');
    const { account, entrySeq } = await change(accountId, 'europe/berlin');
    expect(account?.timeZone).toBe('Europe/Berlin');
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.UPDATE_ACCOUNT,
      seq: entrySeq,
      details: mapOf({ time_zone: 'Europe/Berlin' }),
    });
    expect((await change(accountId, 'Europe/Berlin')).entrySeq).toBe(0n);
  });

  test('of an import says when its allowance is due, and which month is running', async () => {
    const accountId = newId();
    const request = {
      accountId,
      requestId: requestId(),
      planId: 'aspose-cloud',
      timeZone: 'Pacific/Kiritimati',
      openedAt: new Date('2030-01-01T00:00:00Z'),
      system: 'before',
      grants: [
        {
          source: Grant_Source.ALLOWANCE,
          credits: 50n,
          effectiveAt: new Date('2031-02-28T10:00:00Z'),
        },
      ],
    };
    const { balance } = await scrip.accounts.importAccount(request);
    expect(balance?.nextAllowance?.dueAt).toEqual(new Date('2031-03-31T10:00:00Z'));
    const [utc] = request.grants.map((grant) => ({
      ...grant,
      effectiveAt: new Date('2031-03-01T00:00:00Z'),
    }));
    const wrong = { ...request, accountId: newId(), requestId: requestId(), grants: [utc!] };
    expect(await errorOf(scrip.accounts.importAccount(wrong))).toMatchObject({
      metadata: { field: 'grants[0].effective_at' },
    });
  });
});

describe('at the turn of a day', () => {
  const CALLERS = 50;
  test.each([
    ['Europe/Berlin', '2031-03-29T23:00:00Z', 23],
    ['Asia/Kathmandu', '2031-03-30T18:15:00Z', 24],
    ['America/St_Johns', '2031-03-31T02:30:00Z', 24],
  ])(
    'of %s, 50 callers on two replicas use each day’s budget to its cap',
    async (zone, turn, hours) => {
      const midnight = at(turn);
      cluster.setNow(midnight - 1);
      const accountId = await open(zone);
      await scrip.accounts.grantCredits({
        accountId,
        requestId: requestId(),
        credits: 10_000n,
        category: 1,
        reason: 'a test',
      });
      await capDay(accountId, 90n);
      const all = () =>
        outcomesOf(Array.from({ length: CALLERS }, (_, index) => charge(accountId, 7n, index % 2)));
      expect(tally(await all())).toEqual({ OK: 12, BUDGET_EXCEEDED: CALLERS - 12 });
      const refused = await errorOf(charge(accountId, 7n));
      expect(refused.metadata['resets_at']).toBe(new Date(midnight).toISOString());
      cluster.setNow(midnight);
      expect(tally(await all())).toEqual({ OK: 12, BUDGET_EXCEEDED: CALLERS - 12 });
      const { uses } = await scrip.accounts.getBudgets({ accountId });
      expect(uses).toMatchObject([
        {
          used: 84n,
          startedAt: new Date(midnight),
          resetsAt: new Date(midnight + hours * 3_600_000),
        },
      ]);
    },
  );
});

describe('a statement', () => {
  test('closes the month of the zone, and the next one after a change of zone', async () => {
    cluster.setNow(at('2031-04-10T00:00:00Z'));
    const accountId = await open('America/New_York');
    await charge(accountId, 60n);
    cluster.setNow(at('2031-05-01T03:59:59.999Z'));
    await charge(accountId, 70n);
    await change(accountId, 'Asia/Tokyo');
    cluster.setNow(at('2031-05-01T04:00:00Z'));
    await charge(accountId, 80n);
    const april = defined(
      (await scrip.statements.getStatement({ accountId, month: '2031-04' })).statement,
    );
    expect(april).toMatchObject({ overage: 80n, closedAt: new Date('2031-05-01T04:00:00Z') });
    // Midnight in Tokyo.
    cluster.setNow(at('2031-05-31T14:59:59.999Z'));
    await charge(accountId, 1n);
    const running = await scrip.statements.getStatement({ accountId, month: '2031-05' });
    expect(running.statement).toMatchObject({ overage: 31n, closedAt: undefined });
    cluster.setNow(at('2031-05-31T15:00:00Z'));
    await charge(accountId, 2n);
    const may = await scrip.statements.getStatement({ accountId, month: '2031-05' });
    expect(may.statement).toMatchObject({
      overage: 31n,
      closedAt: new Date('2031-05-31T15:00:00Z'),
    });
    expect(
      await errorOf(scrip.statements.getStatement({ accountId, month: '2031-07' })),
    ).toMatchObject({
      reason: 'INVALID_FIELD',
    });
  });
});

describe('a usage report in the time zone of its account', () => {
  const read = (accountId: string, granularity: Granularity) =>
    scrip.statements.getUsage({
      of: { $case: 'accountId', value: accountId },
      granularity,
      inAccountTimeZone: true,
    });

  test('has days that begin at its midnight', async () => {
    cluster.setNow(at('2031-10-26T20:00:00Z'));
    const accountId = await open('Europe/Berlin');
    cluster.setNow(at('2031-10-26T22:30:00Z'));
    await charge(accountId, 3n);
    cluster.setNow(at('2031-10-26T23:30:00Z'));
    await charge(accountId, 4n);
    const days = await read(accountId, Granularity.DAY);
    expect(days.rows.map(({ startsAt, credits }) => [startsAt?.toISOString(), credits])).toEqual([
      // 25 hours.
      ['2031-10-25T22:00:00.000Z', 3n],
      ['2031-10-26T23:00:00.000Z', 4n],
    ]);
    const months = await read(accountId, Granularity.MONTH);
    expect(months.rows.map(({ startsAt, credits }) => [startsAt?.toISOString(), credits])).toEqual([
      ['2031-09-30T22:00:00.000Z', 7n],
    ]);
  });

  test('is refused where days begin within an hour of UTC, or of several accounts', async () => {
    const accountId = await open('Asia/Kolkata');
    const metadata = { field: 'in_account_time_zone' };
    expect(await errorOf(read(accountId, Granularity.DAY))).toMatchObject({ metadata });
    const all = { granularity: Granularity.DAY, inAccountTimeZone: true };
    expect(await errorOf(scrip.statements.getUsage(all))).toMatchObject({ metadata });
  });
});
