import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Bucket_Kind,
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  Grant_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  HOUR,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const MAX_CREDITS = 9_000_000_000_000_000_000n;
type GrantRequest = Parameters<TestService['accounts']['grantCredits']>[0];
const grantCredits = (accountId: string, request: GrantRequest = {}) =>
  scrip.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits: 10n,
    category: Grant_Category.PROMOTIONAL,
    ...request,
  });

describe('GrantCredits', () => {
  test('by default grants at once, without expiry and with priority 50', async () => {
    const accountId = await scrip.open('verts');
    const response = await grantCredits(accountId, {
      reference: 'goodwill',
      labels: mapOf({ by: 'ann' }),
    });
    const at = response.balance?.asOf;
    expect(response).toEqual({
      grant: {
        grantId: 1n,
        amount: 10n,
        remaining: 10n,
        reserved: 0n,
        category: Grant_Category.PROMOTIONAL,
        priority: 50,
        effectiveAt: at,
        expiresAt: undefined,
        source: Grant_Source.OPERATOR,
        sourceReference: 'goodwill',
        state: Grant_State.OPEN,
        createdAt: at,
        operations: [],
        stranded: false,
        voided: 0n,
        voidOnReturn: 0n,
      },
      balance: {
        remaining: 10n,
        reserved: 0n,
        available: 10n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: true,
        levels: [{ threshold: 500n, low: true }],
        usable: 10n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        nextAllowance: undefined,
        seq: 2n,
        asOf: at,
      },
      entrySeq: 2n,
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.GRANT,
      moves: [
        {
          from: { kind: Bucket_Kind.ISSUED, grantId: 0n },
          to: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n },
          credits: 10n,
        },
      ],
      grantId: 1n,
      reference: 'goodwill',
      labels: mapOf({ by: 'ann' }),
    });
  });

  test('grants PAID, PROMOTIONAL and ADJUSTMENT credits', async () => {
    const accountId = await scrip.open('verts');
    const { PAID, PROMOTIONAL, ADJUSTMENT, ALLOWANCE, UNSPECIFIED } = Grant_Category;
    for (const category of [PAID, PROMOTIONAL, ADJUSTMENT])
      expect((await grantCredits(accountId, { category })).grant?.category).toBe(category);
    for (const category of [UNSPECIFIED, ALLOWANCE])
      expect(await errorOf(grantCredits(accountId, { category }))).toMatchObject({
        reason: 'INVALID_FIELD',
        fields: ['category'],
      });
  });

  test('accepts priorities of 0 to 100', async () => {
    const accountId = await scrip.open('verts');
    for (const priority of [0, 1, 100])
      expect((await grantCredits(accountId, { priority })).grant?.priority).toBe(priority);
    for (const priority of [-1, 101, 2_147_483_647])
      expect(await errorOf(grantCredits(accountId, { priority }))).toMatchObject({
        fields: ['priority'],
      });
  });

  test('of a scheduled grant moves credits when it becomes effective, in an entry of its own', async () => {
    const accountId = await scrip.open('verts');
    const effectiveAt = new Date(scrip.now() + HOUR);
    const { grant: made, balance } = await grantCredits(accountId, { effectiveAt });
    expect(made).toMatchObject({ state: Grant_State.SCHEDULED, amount: 10n, remaining: 0n });
    expect(balance).toMatchObject({ remaining: 0n });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ credits: 10n, moves: [] });
    scrip.advance(HOUR);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 10n });
    expect(await entriesOf(scrip, accountId, { afterSeq: 1n })).toMatchObject([
      { kind: Entry_Kind.GRANT },
      { kind: Entry_Kind.GRANT_EFFECTIVE, caller: 'scrip', credits: 10n, grantId: 1n },
      { kind: Entry_Kind.CHARGE },
    ]);
  });

  test('is effective now if effective_at is in the past', async () => {
    const accountId = await scrip.open('verts');
    const { grant: made, balance } = await grantCredits(accountId, { effectiveAt: new Date(0) });
    expect(made).toMatchObject({ state: Grant_State.OPEN, effectiveAt: balance?.asOf });
  });

  test('requires expires_at to be after effective_at and in the future', async () => {
    const accountId = await scrip.open('verts');
    const at = (ms: number) => new Date(scrip.now() + ms);
    await grantCredits(accountId, { expiresAt: at(HOUR) });
    for (const bad of [
      { expiresAt: at(-1) },
      { expiresAt: new Date(0) },
      { effectiveAt: at(2 * HOUR), expiresAt: at(HOUR) },
    ])
      expect(await errorOf(grantCredits(accountId, bad))).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: 'INVALID_FIELD',
        fields: ['expires_at'],
      });
    scrip.advance(HOUR);
    await scrip.service.sweep();
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.GRANT_EXPIRED,
      caller: 'scrip',
      credits: 10n,
      grantId: 1n,
    });
  });

  test('grants up to the maximum of an account', async () => {
    const accountId = await scrip.open('verts');
    expect((await grantCredits(accountId, { credits: MAX_CREDITS })).balance?.remaining).toBe(
      MAX_CREDITS,
    );
    expect(await balanceOf(scrip, accountId)).toMatchObject({
      remaining: MAX_CREDITS,
      available: MAX_CREDITS,
    });
    for (const credits of [1n, 9_223_372_036_854_775_807n])
      expect(await errorOf(grantCredits(accountId, { credits }))).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: 'INVALID_FIELD',
        fields: ['credits'],
      });
    expect((await entriesOf(scrip, accountId)).length).toBe(2);
  });

  test('is refused while a nearly spent grant leaves no room for the sum of both', async () => {
    const accountId = await scrip.open('verts');
    const charge = (credits: bigint) =>
      scrip.billing.charge({ accountId, requestId: requestId(), credits });
    const [credits, left] = [MAX_CREDITS - 100n, 10n];
    await grantCredits(accountId, { credits });
    await charge(credits - left);
    const before = await storedRows(scrip, accountId);
    expect(await errorOf(grantCredits(accountId, { credits }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['credits'],
    });
    expect(await storedRows(scrip, accountId)).toBe(before);
    await charge(left);
    expect((await grantCredits(accountId, { credits })).balance?.remaining).toBe(credits);
  });

  test.each([0n, -1n, -9_223_372_036_854_775_808n])('refuses %s credits', async (credits) => {
    const accountId = await scrip.open('verts');
    expect(await errorOf(grantCredits(accountId, { credits }))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['credits'],
    });
  });

  test('fails on a closed account', async () => {
    const accountId = await scrip.open('verts');
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await errorOf(grantCredits(accountId))).reason).toBe('ACCOUNT_CLOSED');
  });
});

describe('ListGrants', () => {
  const list = async (accountId: string) => (await scrip.accounts.listGrants({ accountId })).grants;

  test('lists open, spent, expired and scheduled grants, newest first', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 5n, { priority: 0 });
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 5n });
    await grant(scrip, accountId, 5n, { expiresAt: new Date(scrip.now() + HOUR) });
    scrip.advance(HOUR);
    await scrip.service.sweep();
    await grant(scrip, accountId, 5n);
    await grant(scrip, accountId, 5n, { effectiveAt: new Date(scrip.now() + HOUR) });
    const { SCHEDULED, OPEN, EXPIRED, SPENT } = Grant_State;
    expect((await list(accountId)).map((g) => [g.grantId, g.state, g.amount, g.remaining])).toEqual(
      [
        [4n, SCHEDULED, 5n, 0n],
        [3n, OPEN, 5n, 5n],
        [2n, EXPIRED, 5n, 0n],
        [1n, SPENT, 5n, 0n],
      ],
    );
  });

  test('returns each grant as GrantCredits did', async () => {
    const accountId = await scrip.open('verts');
    const made = await grantCredits(accountId, { expiresAt: new Date(scrip.now() + HOUR) });
    expect(await list(accountId)).toEqual([made.grant]);
  });

  test('shows expired grants with nothing remaining before their expiry is written', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 30n, { expiresAt: new Date(scrip.now() + HOUR / 6) });
    await reserveCredits(scrip, accountId, 10n);
    scrip.advance(HOUR / 6);
    const [seen] = await list(accountId);
    expect(seen).toMatchObject({ state: Grant_State.EXPIRED, remaining: 10n, reserved: 10n });
    await scrip.service.sweep();
    expect(await list(accountId)).toEqual([seen]);
  });

  test('shows effective grants as open before that is written', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 30n, { effectiveAt: new Date(scrip.now() + HOUR) });
    scrip.advance(HOUR);
    const [seen] = await list(accountId);
    expect(seen).toMatchObject({ state: Grant_State.OPEN, remaining: 30n });
  });

  test('shows allowances that are due before they are written, with any page size', async () => {
    const own = await startTestService({ frozenAt: Date.UTC(2031, 4, 10) });
    try {
      const accountId = await own.open('aspose-cloud');
      own.setNow(Date.UTC(2031, 7, 2));
      const months = ['2031-08', '2031-07', '2031-06', '2031-05'];
      for (const pageSize of [1, 2, 3, 50]) {
        const listed: string[] = [];
        for (let pageToken = '', isLast = false; !isLast; isLast = pageToken === '') {
          const page = await own.accounts.listGrants({ accountId, pageSize, pageToken });
          listed.push(...page.grants.map(({ sourceReference }) => sourceReference));
          pageToken = page.nextPageToken;
        }
        expect(listed).toEqual(months);
      }
    } finally {
      await own.stop();
    }
  });

  test('pages through all rows once, with any page size', async () => {
    const accountId = await scrip.open('verts');
    for (let n = 0; n < 5; n++) await grant(scrip, accountId, 1n);
    for (const pageSize of [1, 2, 5, 6]) {
      const seen: bigint[] = [];
      let pageToken = '';
      do {
        const page = await scrip.accounts.listGrants({ accountId, pageSize, pageToken });
        expect(page.grants.length).toBeLessThanOrEqual(pageSize);
        seen.push(...page.grants.map(({ grantId }) => grantId));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect(seen).toEqual([5n, 4n, 3n, 2n, 1n]);
    }
  });

  test('returns 50 rows by default', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    const mutations = Array.from({ length: 60 }, () => ({
      mutation: {
        $case: 'grantCredits' as const,
        value: {
          accountId,
          requestId: requestId(),
          credits: 1n,
          category: Grant_Category.PAID,
          reason: 'a test',
        },
      },
    }));
    await scrip.billing.batch({ mutations });
    const { grants, nextPageToken } = await scrip.accounts.listGrants({ accountId });
    expect([grants.length, defined(grants[0]).grantId]).toEqual([50, 61n]);
    expect(nextPageToken).not.toBe('');
    expect((await scrip.accounts.listGrants({ accountId, pageSize: 5_000 })).grants.length).toBe(
      61,
    );
  });

  test('fails for an unknown account and for a negative page size', async () => {
    expect((await errorOf(list('nobody'))).reason).toBe('ACCOUNT_NOT_FOUND');
    const accountId = await scrip.open('verts');
    const call = scrip.accounts.listGrants({ accountId, pageSize: -1 });
    expect((await errorOf(call)).fields).toEqual(['page_size']);
  });
});
