import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Account_State } from '../../src/gen/billing/v1/account_service.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { defined, entriesOf, openWithCredits, reserveCredits, storedRows } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const get = async (accountId: string) => (await scrip.accounts.getAccount({ accountId })).account;
const close = (accountId: string) =>
  scrip.accounts.closeAccount({ accountId, requestId: requestId() });

describe('OpenAccount', () => {
  test('returns the account and the grants of its plan', async () => {
    const accountId = requestId();
    const { account, balance } = await scrip.accounts.openAccount({
      accountId,
      requestId: requestId(),
      planId: 'perfectparser',
      displayName: 'Müller & Söhne 🧾',
      labels: mapOf({ region: 'eu' }),
    });
    expect(account).toEqual({
      accountId,
      planId: 'perfectparser',
      state: Account_State.OPEN,
      displayName: 'Müller & Söhne 🧾',
      labels: mapOf({ region: 'eu' }),
      openedAt: balance?.asOf,
      timeZone: 'UTC',
      closedAt: undefined,
      lowBalanceLevels: [{ credits: 10n }],
      pauseFloor: 0n,
      ownLowBalanceThreshold: undefined,
      ownPauseFloor: undefined,
      autoTopUp: undefined,
      topUpDueAt: undefined,
      topUpPurchaseId: '',
    });
    expect(balance).toMatchObject({ remaining: 20n, available: 20n, seq: 2n });
    expect(await get(accountId)).toEqual(account);
    expect(await entriesOf(scrip, accountId)).toMatchObject([
      {
        kind: Entry_Kind.OPEN_ACCOUNT,
        moves: [],
        labels: mapOf({ region: 'eu' }),
        details: mapOf({ display_name: 'Müller & Söhne 🧾' }),
        caller: 'test',
      },
      { kind: Entry_Kind.GRANT, credits: 20n, grantId: 1n, caller: 'test' },
    ]);
  });

  test('fails if the account exists, whatever the plan', async () => {
    const accountId = await scrip.open('verts');
    const rows = await storedRows(scrip, accountId);
    for (const planId of ['verts', 'perfectparser', 'no-such-plan'])
      expect(
        await errorOf(scrip.accounts.openAccount({ accountId, requestId: requestId(), planId })),
      ).toMatchObject({
        code: status.ALREADY_EXISTS,
        reason: 'ACCOUNT_EXISTS',
        metadata: { account_id: accountId },
      });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('fails for an unknown plan', async () => {
    const accountId = requestId();
    const call = scrip.accounts.openAccount({ accountId, requestId: accountId, planId: 'gold' });
    expect(await errorOf(call)).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'PLAN_NOT_FOUND',
      metadata: { plan_id: 'gold' },
    });
    expect((await errorOf(get(accountId))).reason).toBe('ACCOUNT_NOT_FOUND');
  });

  test('opens one account if many calls arrive at the same time', async () => {
    const accountId = requestId();
    const calls = Array.from({ length: 20 }, () =>
      scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'perfectparser' }),
    );
    const settled = await Promise.allSettled(calls);
    expect(settled.filter((call) => call.status === 'fulfilled').length).toBe(1);
    expect((await entriesOf(scrip, accountId)).length).toBe(2);
  });
});

describe('GetAccount', () => {
  test('returns closed accounts', async () => {
    const accountId = await scrip.open('verts');
    const { account } = await close(accountId);
    expect(await get(accountId)).toEqual(account);
  });

  test('fails for an unknown account', async () => {
    expect(await errorOf(get('nobody'))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'ACCOUNT_NOT_FOUND',
      metadata: { account_id: 'nobody' },
    });
  });
});

describe('UpdateAccount', () => {
  test('changes the fields that are set and no others', async () => {
    const accountId = requestId();
    const account = {
      accountId,
      planId: 'verts',
      displayName: 'One',
      labels: mapOf({ a: '1', b: '2' }),
    };
    await scrip.accounts.openAccount({ ...account, requestId: requestId() });
    const respond = (
      change: Omit<Parameters<TestService['accounts']['updateAccount']>[0], 'accountId'>,
    ) => scrip.accounts.updateAccount({ ...change, accountId, requestId: requestId() });
    const update = async (change: Parameters<typeof respond>[0]) => (await respond(change)).account;
    expect(await respond({})).toMatchObject({
      account: { displayName: 'One', labels: mapOf({ a: '1', b: '2' }) },
      entrySeq: 0n,
    });
    expect(await update({ displayName: 'Two' })).toMatchObject({ displayName: 'Two' });
    expect((await update({ labels: { labels: mapOf({ c: '3' }) } }))?.labels).toEqual(
      mapOf({ c: '3' }),
    );
    expect(await update({ displayName: '' })).toMatchObject({ displayName: '' });
    expect((await update({ labels: { labels: new Map() } }))?.labels).toEqual(new Map());
    expect(await get(accountId)).toMatchObject({
      displayName: '',
      labels: new Map(),
      planId: 'verts',
    });
    const labels = new Map();
    expect(await entriesOf(scrip, accountId)).toMatchObject([
      { kind: Entry_Kind.OPEN_ACCOUNT, details: mapOf({ display_name: 'One' }) },
      { kind: Entry_Kind.UPDATE_ACCOUNT, details: mapOf({ display_name: 'Two' }), labels },
      {
        kind: Entry_Kind.UPDATE_ACCOUNT,
        details: mapOf({ labels: '1' }),
        labels: mapOf({ c: '3' }),
      },
      { kind: Entry_Kind.UPDATE_ACCOUNT, details: mapOf({ display_name: '' }), labels },
      { kind: Entry_Kind.UPDATE_ACCOUNT, details: mapOf({ labels: '0' }), labels },
    ]);
  });

  test('fails on a closed account', async () => {
    const accountId = await scrip.open('verts');
    const { account } = await close(accountId);
    const call = scrip.accounts.updateAccount({ accountId, requestId: requestId() });
    expect(await errorOf(call)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'ACCOUNT_CLOSED',
      metadata: { account_id: accountId, at: account?.closedAt?.toISOString() },
    });
  });
});

describe('CloseAccount', () => {
  test('closes the account, which keeps its credits', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    await reserveCredits(scrip, accountId, 100n);
    const { account, balance } = await close(accountId);
    expect(account).toMatchObject({ accountId, state: Account_State.CLOSED });
    expect(defined(account?.closedAt).getTime()).toBeGreaterThan(0);
    expect(balance).toMatchObject({ remaining: 600n, reserved: 100n, available: 500n, seq: 4n });
  });

  test('of a closed account has no second effect', async () => {
    const accountId = await scrip.open('verts');
    const { account } = await close(accountId);
    const rows = await storedRows(scrip, accountId);
    scrip.advance(1_000);
    expect(await close(accountId)).toMatchObject({ account, entrySeq: 0n });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('ends the allowances of an account, and its granted credits expire as before', async () => {
    scrip.setNow(Date.UTC(2031, 2, 15));
    const accountId = await scrip.open('aspose-cloud');
    await close(accountId);
    scrip.setNow(Date.UTC(2031, 3, 15));
    await scrip.service.sweep();
    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance).toMatchObject({ remaining: 0n });
    expect((await entriesOf(scrip, accountId)).map(({ kind }) => kind)).toEqual([
      Entry_Kind.OPEN_ACCOUNT,
      Entry_Kind.GRANT,
      Entry_Kind.CLOSE_ACCOUNT,
      Entry_Kind.GRANT_EXPIRED,
    ]);
  });
});

describe('ListAccounts', () => {
  test('pages through the accounts of one plan or of all plans, ordered by id', async () => {
    // On a database of its own, because other tests open accounts.
    const own = await startTestService();
    try {
      const opened: string[] = [];
      for (const [index, planId] of ['verts', 'perfectparser', 'verts', 'verts'].entries()) {
        const accountId = `list.${['d', 'a', 'c', 'b'][index]}`;
        await own.accounts.openAccount({ accountId, requestId: requestId(), planId });
        opened.push(accountId);
      }
      const ids = async (planId: string, pageSize: number) => {
        const seen: string[] = [];
        let pageToken = '';
        do {
          const page = await own.accounts.listAccounts({ planId, pageSize, pageToken });
          expect(page.accounts.length).toBeLessThanOrEqual(pageSize);
          seen.push(...page.accounts.map(({ accountId }) => accountId));
          pageToken = page.nextPageToken;
        } while (pageToken !== '');
        return seen;
      };
      for (const pageSize of [1, 2, 3, 4, 1_000]) {
        expect(await ids('', pageSize)).toEqual(opened.toSorted());
        expect(await ids('verts', pageSize)).toEqual(['list.b', 'list.c', 'list.d']);
        expect(await ids('no-such-plan', pageSize)).toEqual([]);
      }
      const { accounts } = await own.accounts.listAccounts({ planId: 'perfectparser' });
      const { account } = await own.accounts.getAccount({ accountId: 'list.a' });
      expect(accounts).toEqual([{ ...account, available: 20n }]);
    } finally {
      await own.stop();
    }
  });

  test('reports a negative page size and an invalid plan id together', async () => {
    const call = scrip.accounts.listAccounts({ pageSize: -1, planId: 'a b' });
    expect((await errorOf(call)).fields.toSorted()).toEqual(['page_size', 'plan_id']);
  });
});
