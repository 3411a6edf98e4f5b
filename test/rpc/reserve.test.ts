import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Bucket_Kind,
  Entry_Kind,
  Grant_Category,
  OverCommitPolicy,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  grant,
  HOUR,
  INSPECT,
  MINUTE,
  newestEntry,
  openWithCredits,
  UPSCALE,
} from '../accounts.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), planIn(EVERYTHING)] });
});
afterAll(() => scrip.stop());

const MAX = 9_223_372_036_854_775_807n;
type ReserveRequest = Parameters<TestService['billing']['reserve']>[0];
const reserve = (accountId: string, request: ReserveRequest) =>
  scrip.billing.reserve({ accountId, requestId: requestId(), ...request });
const fromGrant = (grantId: bigint, credits: bigint) => ({
  source: { $case: 'grantId', value: grantId },
  credits,
});

describe('Reserve', () => {
  test('sets credits aside and returns the reservation, the balance and the priced usages', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    const before = scrip.now();
    const response = await reserve(accountId, {
      usages: { items: [{ ...UPSCALE, count: 2n }] },
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
    const { reservationId, createdAt } = defined(response.reservation);
    expect(reservationId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
    expect(defined(createdAt).getTime()).toBeGreaterThanOrEqual(before);
    expect(response).toEqual({
      reservation: {
        accountId,
        reservationId,
        state: Reservation_State.ACTIVE,
        credits: 20n,
        held: 20n,
        committed: 0n,
        returned: 0n,
        allocations: [fromGrant(1n, 20n)],
        expiresAt: new Date(defined(createdAt).getTime() + 15 * MINUTE),
        createdAt,
        endedAt: undefined,
        overCommitPolicy: OverCommitPolicy.REJECT,
        planId: 'verts',
        rateCardVersion: 1n,
        reference: 'job-1',
        labels: mapOf({ team: 'images' }),
        late: false,
      },
      balance: {
        remaining: 600n,
        reserved: 20n,
        available: 580n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: false,
        levels: [{ threshold: 500n, low: false }],
        usable: 600n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        seq: 3n,
        asOf: createdAt,
      },
      entrySeq: 3n,
      lines: [
        {
          usage: { ...UPSCALE, count: 2n },
          unitCredits: 10n,
          credits: 20n,
          billable: true,
          components: [],
        },
      ],
    });
  });

  test('writes one entry that moves the credits from available to reserved', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = requestId();
    const { reservation } = await reserve(accountId, {
      requestId: id,
      credits: 40n,
      reference: 'job-2',
      labels: mapOf({ a: '1' }),
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      accountId,
      seq: 3n,
      kind: Entry_Kind.RESERVE,
      moves: [
        {
          from: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n },
          to: { kind: Bucket_Kind.GRANT_RESERVED, grantId: 1n },
          credits: 40n,
        },
      ],
      credits: 40n,
      remainingAfter: 100n,
      reservedAfter: 40n,
      overageAfter: 0n,
      owedAfter: 0n,
      reservationId: reservation?.reservationId,
      grantId: 0n,
      refundedSeq: 0n,
      rateCardVersion: 1n,
      late: false,
      caller: 'test',
      requestId: id,
      reference: 'job-2',
      labels: mapOf({ a: '1' }),
    });
  });

  test('takes credits by priority, then soonest expiry, then unpaid before paid, then oldest', async () => {
    const accountId = await scrip.open('verts');
    const at = (ms: number) => new Date(scrip.now() + ms);
    const promotional = { category: Grant_Category.PROMOTIONAL };
    await grant(scrip, accountId, 1n); // 1: paid, never expires
    await grant(scrip, accountId, 1n); // 2: as 1, younger
    await grant(scrip, accountId, 1n, promotional); // 3: unpaid, never expires
    await grant(scrip, accountId, 1n, { expiresAt: at(2 * DAY) }); // 4
    await grant(scrip, accountId, 1n, { expiresAt: at(DAY) }); // 5: sooner
    await grant(scrip, accountId, 1n, { priority: 49 }); // 6: first of all
    await grant(scrip, accountId, 1n, { priority: 100, expiresAt: at(HOUR) }); // 7: last of all
    const { reservation } = await reserve(accountId, { credits: 7n });
    expect(reservation?.allocations).toEqual(
      [6n, 5n, 4n, 3n, 1n, 2n, 7n].map((grantId) => fromGrant(grantId, 1n)),
    );
  });

  test('takes part of the last grant', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await grant(scrip, accountId, 100n);
    const { reservation } = await reserve(accountId, { credits: 25n });
    expect(reservation?.allocations).toEqual([fromGrant(1n, 10n), fromGrant(2n, 15n)]);
  });

  test('reserves 0 credits for usages that cost nothing', async () => {
    const accountId = await scrip.open('aspose-cloud');
    for (const request of [
      { credits: 0n },
      { usages: { items: [{ operation: 'document.upload' }] } },
    ]) {
      const { reservation, balance, entrySeq } = await reserve(accountId, request);
      expect(reservation).toMatchObject({ credits: 0n, held: 0n, allocations: [] });
      expect(reservation?.state).toBe(Reservation_State.ACTIVE);
      expect(balance).toMatchObject({ reserved: 0n, available: 50n });
      expect(await newestEntry(scrip, accountId)).toMatchObject({ seq: entrySeq, moves: [] });
    }
  });

  test('is exact up to the maximum of an account', async () => {
    const most = 9_000_000_000_000_000_000n;
    const accountId = await openWithCredits(scrip, most);
    const { reservation, balance } = await reserve(accountId, { credits: most - 1n });
    expect(reservation?.allocations).toEqual([fromGrant(1n, most - 1n)]);
    expect(balance).toMatchObject({ remaining: most, reserved: most - 1n, available: 1n });
    expect((await newestEntry(scrip, accountId)).moves[0]?.credits).toBe(most - 1n);
    const { reservations } = await scrip.billing.listReservations({ accountId });
    expect(reservations[0]).toEqual(reservation);
  });

  test('fails if credits are missing, with the shortfall and the packs that cover it', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    const error = await errorOf(reserve(accountId, { credits: 1_100n }));
    expect(error).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'INSUFFICIENT_CREDITS',
      metadata: {
        required: '1100',
        available: '20',
        shortfall: '1080',
        best_pack: 'starter',
        best_quantity: '2',
        best_price: '10.00 USD',
      },
      fields: [],
      retryMs: null,
    });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ available: 20n, seq: 2n });
  });

  test('accepts the largest int64 as credits', async () => {
    const accountId = await openWithCredits(scrip, 7n);
    const { metadata } = await errorOf(reserve(accountId, { credits: MAX }));
    expect(metadata).toMatchObject({ required: `${MAX}`, shortfall: `${MAX - 7n}` });
  });

  test('uses overage up to its limit on a postpaid plan', async () => {
    const accountId = await scrip.open('everything'); // 80 credits, overage up to 10,000
    const { reservation, balance } = await reserve(accountId, { credits: 1_080n });
    expect(reservation?.allocations.at(-1)).toEqual({
      source: { $case: 'overage', value: true },
      credits: 1_000n,
    });
    expect(balance).toMatchObject({ remaining: 80n, reserved: 1_080n, available: -1_000n });
    expect(balance).toMatchObject({ overage: 0n, overageLimit: 10_000n });
    expect(await errorOf(reserve(accountId, { credits: 9_001n }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '9001', available: '9000', shortfall: '1', limit: '10000' },
    });
    await reserve(accountId, { credits: 9_000n });
    expect((await balanceOf(scrip, accountId)).available).toBe(-10_000n);
  });

  test('fails on a closed account', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    const { account } = await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect(await errorOf(reserve(accountId, { credits: 1n }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'ACCOUNT_CLOSED',
      metadata: { account_id: accountId, at: account?.closedAt?.toISOString() },
    });
  });

  test('stores the over-commit policy', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    for (const overCommitPolicy of [OverCommitPolicy.CAP, OverCommitPolicy.DRAW]) {
      const { reservation } = await reserve(accountId, { credits: 1n, overCommitPolicy });
      expect(reservation?.overCommitPolicy).toBe(overCommitPolicy);
    }
    const overCommitPolicy = OverCommitPolicy.UNSPECIFIED;
    const { reservation } = await reserve(accountId, { credits: 1n, overCommitPolicy });
    expect(reservation?.overCommitPolicy).toBe(OverCommitPolicy.REJECT);
  });

  test('accepts 1,000 usages and refuses 1,001', async () => {
    const accountId = await openWithCredits(scrip, 2_000n);
    const { reservation, lines } = await reserve(accountId, {
      usages: { items: Array(1_000).fill(INSPECT) },
    });
    expect([reservation?.credits, lines.length]).toEqual([1_000n, 1_000]);
    expect((await newestEntry(scrip, accountId)).usages.length).toBe(1_000);
    expect(
      await errorOf(reserve(accountId, { usages: { items: Array(1_001).fill(INSPECT) } })),
    ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['usages.items'] });
  });
});

describe('A reservation lasts', () => {
  test.each([
    ['a second', { seconds: 1n, nanos: 0 }, 1_000],
    ['a millisecond', { seconds: 0n, nanos: 1_000_000 }, 1],
    ['a second and a half', { seconds: 1n, nanos: 500_000_000 }, 1_500],
    ['whole milliseconds, finer digits cut', { seconds: 1n, nanos: 999_999_999 }, 1_999],
    ['as long as the plan allows at most', { seconds: 86_400n, nanos: 0 }, DAY],
  ])('%s, if the ttl says so', async (_, ttl, ms) => {
    const accountId = await openWithCredits(scrip, 20n);
    const { reservation } = await reserve(accountId, { credits: 1n, ttl });
    const { createdAt, expiresAt } = defined(reservation);
    expect(defined(expiresAt).getTime() - defined(createdAt).getTime()).toBe(ms);
  });

  test.each([
    ['zero', { seconds: 0n, nanos: 0 }],
    ['a negative duration', { seconds: -1n, nanos: 0 }],
    ['negative nanoseconds', { seconds: 0n, nanos: -1_000_000 }],
    ['longer than the plan allows', { seconds: 86_400n, nanos: 1_000_000 }],
    ['more than a year', { seconds: 400n * 86_400n, nanos: 0 }],
    ['the largest duration', { seconds: MAX, nanos: 0 }],
    ['the smallest duration', { seconds: -MAX, nanos: 0 }],
  ])('never %s', async (_, ttl) => {
    const accountId = await openWithCredits(scrip, 20n);
    expect(await errorOf(reserve(accountId, { credits: 1n, ttl }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['ttl'],
    });
  });

  test('by default and at most as long as the plan says', async () => {
    const accountId = await scrip.open('everything');
    const { reservation } = await reserve(accountId, { credits: 1n });
    const { createdAt, expiresAt } = defined(reservation);
    expect(defined(expiresAt).getTime() - defined(createdAt).getTime()).toBe(90_000);
    const ttl = { seconds: 7_201n, nanos: 0 };
    expect(await errorOf(reserve(accountId, { credits: 1n, ttl }))).toMatchObject({
      metadata: { field: 'ttl', allowed: '7200s' },
    });
  });

  test('and its credits are available when it ends, without a sweep', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    await reserve(accountId, { credits: 20n, ttl: { seconds: 60n, nanos: 0 } });
    expect((await errorOf(reserve(accountId, { credits: 1n }))).reason).toBe(
      'INSUFFICIENT_CREDITS',
    );
    scrip.advance(MINUTE);
    const { balance } = await reserve(accountId, { credits: 20n });
    expect(balance).toMatchObject({ reserved: 20n, available: 0n });
    expect((await entriesOf(scrip, accountId)).map(({ kind, caller }) => [kind, caller])).toEqual([
      [Entry_Kind.OPEN_ACCOUNT, 'test'],
      [Entry_Kind.GRANT, 'test'],
      [Entry_Kind.RESERVE, 'test'],
      [Entry_Kind.EXPIRE, 'scrip'],
      [Entry_Kind.RESERVE, 'test'],
    ]);
  });
});
