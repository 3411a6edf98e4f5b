import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bucket_Kind, Entry_Kind, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  defined,
  grant,
  MINUTE,
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

const release = (accountId: string, reservationId: string) =>
  scrip.billing.release({ accountId, requestId: requestId(), reservationId });

describe('Release', () => {
  test('returns everything that is held in one entry', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    const { reservation: made } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 50n,
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
    const response = await release(accountId, defined(made).reservationId);
    expect(response).toEqual({
      reservation: {
        ...made,
        state: Reservation_State.RELEASED,
        held: 0n,
        returned: 50n,
        allocations: [],
        endedAt: response.balance?.asOf,
      },
      balance: {
        remaining: 600n,
        reserved: 0n,
        available: 600n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: false,
        levels: [{ threshold: 500n, low: false }],
        usable: 600n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        seq: 4n,
        asOf: response.balance?.asOf,
      },
      entrySeq: 4n,
      released: 50n,
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.RELEASE,
      moves: [
        {
          from: { kind: Bucket_Kind.GRANT_RESERVED, grantId: 1n },
          to: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n },
          credits: 50n,
        },
      ],
      credits: 50n,
      reservationId: made?.reservationId,
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
  });

  test('returns what partial commits have left', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 50n);
    const part = { accountId, reservationId: id, credits: 20n, final: false };
    await scrip.billing.commit({ ...part, requestId: requestId() });
    const { released, reservation, balance } = await release(accountId, id);
    expect(released).toBe(30n);
    expect(reservation).toMatchObject({ committed: 20n, returned: 30n });
    expect(balance).toMatchObject({ remaining: 80n, reserved: 0n });
  });

  test('of credits of an expired grant makes breakage', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 50n, { expiresAt: new Date(scrip.now() + MINUTE) });
    const id = await reserveCredits(scrip, accountId, 50n);
    scrip.advance(MINUTE);
    const { released, balance } = await release(accountId, id);
    expect(released).toBe(50n);
    expect(balance).toMatchObject({ remaining: 0n, reserved: 0n });
    expect((await newestEntry(scrip, accountId)).moves.map(({ to }) => to?.kind)).toEqual([
      Bucket_Kind.EXPIRED,
    ]);
  });

  test('of an expired reservation ends its grace period: no late commit follows', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 50n);
    scrip.advance(16 * MINUTE);
    const { released, reservation, entrySeq } = await release(accountId, id);
    expect(released).toBe(0n);
    expect(reservation).toMatchObject({ state: Reservation_State.RELEASED, returned: 50n });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ seq: entrySeq, moves: [] });
    const request = { accountId, requestId: requestId(), reservationId: id, all: true };
    expect((await errorOf(scrip.billing.commit(request))).reason).toBe('RESERVATION_RELEASED');
  });

  test('of a released reservation, or of one past its grace period, has no effect', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const released = await reserveCredits(scrip, accountId, 50n);
    await release(accountId, released);
    const expired = await reserveCredits(scrip, accountId, 50n);
    scrip.advance(21 * MINUTE);
    await scrip.service.sweep();
    const rows = await storedRows(scrip, accountId);
    for (const [id, state] of [
      [released, Reservation_State.RELEASED],
      [expired, Reservation_State.EXPIRED],
    ] as const) {
      const again = await release(accountId, id);
      expect(again).toMatchObject({ released: 0n, entrySeq: 0n });
      expect(again.reservation).toMatchObject({ state, returned: 50n, held: 0n });
    }
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('of a committed reservation fails and tells when it was committed', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 50n);
    const { reservation } = await scrip.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId,
      all: true,
    });
    expect(await errorOf(release(accountId, reservationId))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'RESERVATION_COMMITTED',
      metadata: {
        reservation_id: reservationId,
        state: 'COMMITTED',
        at: reservation?.endedAt?.toISOString(),
      },
    });
  });

  test('fails for an unknown reservation', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    expect(await errorOf(release(accountId, '01900000-0000-7000-8000-000000000000'))).toMatchObject(
      { code: status.NOT_FOUND, reason: 'RESERVATION_NOT_FOUND' },
    );
  });

  test('succeeds on a closed account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 50n);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await release(accountId, id)).balance).toMatchObject({ available: 100n });
  });
});
