/** Commits that exceed the reservation, that come after its expiry, or that use expired grants. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Bucket_Kind,
  Entry_Kind,
  OverCommitPolicy,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  HOUR,
  MINUTE,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
  UPSCALE,
} from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

type CommitRequest = Parameters<TestService['billing']['commit']>[0];
const commit = (accountId: string, reservationId: string, request: CommitRequest = { all: true }) =>
  scrip.billing.commit({ accountId, requestId: requestId(), reservationId, ...request });
const fromGrant = (grantId: bigint, credits: bigint) => ({
  source: { $case: 'grantId', value: grantId },
  credits,
});

describe('A commit that exceeds its reservation', () => {
  const reserveWith = async (overCommitPolicy: OverCommitPolicy, credits = 50n) => {
    const accountId = await openWithCredits(scrip, credits);
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 20n,
      overCommitPolicy,
    });
    return { accountId, id: defined(reservation).reservationId };
  };

  test.each([
    ['by default', OverCommitPolicy.UNSPECIFIED],
    ['under REJECT', OverCommitPolicy.REJECT],
  ])('fails %s, and the reservation stays active', async (_, policy) => {
    const { accountId, id } = await reserveWith(policy);
    const rows = await storedRows(scrip, accountId);
    expect(await errorOf(commit(accountId, id, { credits: 21n }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'EXCEEDS_RESERVATION',
      metadata: { asked: '21', allowed: '20' },
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    expect((await commit(accountId, id, { credits: 20n })).committed).toBe(20n);
  });

  test('charges what the reservation holds under CAP', async () => {
    const { accountId, id } = await reserveWith(OverCommitPolicy.CAP);
    const { committed, balance } = await commit(accountId, id, {
      usages: { items: [{ ...UPSCALE, count: 3n }] },
    });
    expect([committed, balance?.available]).toEqual([20n, 30n]);
  });

  test('takes the difference from available credits under DRAW, with one allocation per grant', async () => {
    const { accountId, id } = await reserveWith(OverCommitPolicy.DRAW);
    await grant(scrip, accountId, 10n);
    const { committed, split, balance, reservation } = await commit(accountId, id, {
      credits: 55n,
    });
    expect(committed).toBe(55n);
    expect(split).toEqual([fromGrant(1n, 50n), fromGrant(2n, 5n)]);
    expect(balance).toMatchObject({ remaining: 5n, available: 5n, reserved: 0n });
    expect(reservation).toMatchObject({ credits: 20n, committed: 55n, returned: 0n, held: 0n });
  });

  test('changes nothing under DRAW if available credits do not cover the whole difference', async () => {
    const { accountId, id } = await reserveWith(OverCommitPolicy.DRAW);
    const rows = await storedRows(scrip, accountId);
    const error = await errorOf(commit(accountId, id, { credits: 51n }));
    expect(error).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { shortfall: '1' },
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('has no negative amounts if a partial commit under DRAW exceeds the reservation, which then expires', async () => {
    const { accountId, id } = await reserveWith(OverCommitPolicy.DRAW);
    await commit(accountId, id, { credits: 35n, final: false });
    scrip.advance(15 * MINUTE);
    const { reservation } = await scrip.billing.getReservation({ accountId, reservationId: id });
    const ended = { state: Reservation_State.EXPIRED, held: 0n, committed: 35n, returned: 0n };
    expect(reservation).toMatchObject(ended);
    await scrip.service.sweep();
    expect(
      (await scrip.billing.getReservation({ accountId, reservationId: id })).reservation,
    ).toEqual(reservation);
  });
});

describe('A late commit', () => {
  const expiredReservation = async (credits: bigint, lateBy: number) => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, credits);
    scrip.advance(15 * MINUTE + lateBy);
    return { accountId, id };
  };

  test('succeeds within the grace period and is marked late', async () => {
    const { accountId, id } = await expiredReservation(60n, 4 * MINUTE);
    const { reservation, committed, balance } = await commit(accountId, id, { credits: 45n });
    expect(committed).toBe(45n);
    expect(reservation).toMatchObject({
      state: Reservation_State.COMMITTED,
      late: true,
      committed: 45n,
      returned: 15n,
    });
    expect(balance).toMatchObject({ remaining: 55n, reserved: 0n });
    expect(
      (await entriesOf(scrip, accountId)).map(({ kind, late, credits }) => [kind, late, credits]),
    ).toEqual([
      [Entry_Kind.OPEN_ACCOUNT, false, 0n],
      [Entry_Kind.GRANT, false, 100n],
      [Entry_Kind.RESERVE, false, 60n],
      [Entry_Kind.EXPIRE, false, 60n],
      [Entry_Kind.COMMIT, true, 45n],
    ]);
  });

  test('of all charges everything that the reservation held', async () => {
    const { accountId, id } = await expiredReservation(60n, MINUTE);
    expect((await commit(accountId, id)).committed).toBe(60n);
  });

  test('fails after the grace period and tells when the reservation expired', async () => {
    const { accountId, id } = await expiredReservation(60n, 5 * MINUTE + 1_000);
    const { reservation } = await scrip.billing.getReservation({ accountId, reservationId: id });
    expect(await errorOf(commit(accountId, id))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'RESERVATION_EXPIRED',
      metadata: {
        reservation_id: id,
        state: 'EXPIRED',
        at: reservation?.expiresAt?.toISOString(),
      },
    });
  });

  test('fails within the grace period if its credits are not available any more', async () => {
    const { accountId, id } = await expiredReservation(60n, MINUTE);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 50n });
    expect(await errorOf(commit(accountId, id))).toMatchObject({ reason: 'RESERVATION_EXPIRED' });
    expect((await balanceOf(scrip, accountId)).available).toBe(50n);
    // Fewer credits can still be committed.
    expect((await commit(accountId, id, { credits: 50n })).committed).toBe(50n);
  });
});

describe('A grant that expires while reserved', () => {
  test('can be spent by its reservation, and what is returned to it becomes breakage', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 50n, { expiresAt: new Date(scrip.now() + 5 * MINUTE) });
    await grant(scrip, accountId, 50n);
    const id = await reserveCredits(scrip, accountId, 70n);
    scrip.advance(10 * MINUTE);
    const { committed, balance } = await commit(accountId, id, { credits: 30n });
    expect(committed).toBe(30n);
    expect(balance).toMatchObject({ remaining: 50n, reserved: 0n, available: 50n });
    const { moves } = await newestEntry(scrip, accountId);
    expect(moves.map(({ to, credits }) => [to?.kind, to?.grantId, credits])).toEqual([
      [Bucket_Kind.CONSUMED, 0n, 30n],
      [Bucket_Kind.GRANT_AVAILABLE, 2n, 20n],
      [Bucket_Kind.EXPIRED, 0n, 20n],
    ]);
    scrip.advance(HOUR);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(50n);
  });
});
