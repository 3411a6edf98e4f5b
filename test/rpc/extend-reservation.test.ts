import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  MINUTE,
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

const MAX = 9_223_372_036_854_775_807n;
const extend = (accountId: string, reservationId: string, seconds: bigint, nanos = 0) =>
  scrip.billing.extendReservation({
    accountId,
    requestId: requestId(),
    reservationId,
    ttl: { seconds, nanos },
  });

async function activeReservation() {
  const accountId = await openWithCredits(scrip, 100n);
  const id = await reserveCredits(scrip, accountId, 50n);
  const { reservation } = await scrip.billing.getReservation({ accountId, reservationId: id });
  return { accountId, id, reservation: defined(reservation) };
}

describe('ExtendReservation', () => {
  test('moves the expiry to a later time, counted from now, in an entry without moves', async () => {
    const { accountId, id, reservation } = await activeReservation();
    scrip.advance(10 * MINUTE);
    const before = scrip.now();
    const response = await extend(accountId, id, 1_200n);
    const extended = defined(response.reservation);
    const expiresAt = defined(extended.expiresAt);
    expect(extended).toEqual({ ...reservation, expiresAt });
    expect(expiresAt.getTime() - before).toBeGreaterThanOrEqual(20 * MINUTE);
    expect(expiresAt.getTime() - scrip.now()).toBeLessThanOrEqual(20 * MINUTE);
    expect(response.entrySeq).toBe(4n);
    expect(await entriesOf(scrip, accountId, { afterSeq: 3n })).toMatchObject([
      { kind: Entry_Kind.EXTEND, reservationId: id, expiresAt, moves: [], reservedAfter: 50n },
    ]);
    scrip.advance(15 * MINUTE);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(50n);
    scrip.advance(5 * MINUTE);
    expect((await balanceOf(scrip, accountId)).reserved).toBe(0n);
  });

  test('never moves the expiry to an earlier time, and then writes nothing', async () => {
    const { accountId, id, reservation } = await activeReservation();
    const rows = await storedRows(scrip, accountId);
    expect(await extend(accountId, id, 1n)).toMatchObject({ reservation, entrySeq: 0n });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test("extends up to the plan's maximum from now, any number of times", async () => {
    const { accountId, id } = await activeReservation();
    for (let times = 1; times <= 3; times++) {
      const { reservation } = await extend(accountId, id, 86_400n);
      expect(defined(reservation?.expiresAt).getTime() - scrip.now()).toBeLessThanOrEqual(DAY);
      expect(reservation?.state).toBe(Reservation_State.ACTIVE);
      scrip.advance(DAY - MINUTE);
    }
    expect(await errorOf(extend(accountId, id, 86_401n))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      metadata: { field: 'ttl', allowed: '86400s' },
      fields: ['ttl'],
    });
  });

  test.each([
    ['zero', 0n, 0],
    ['a negative duration', -1n, 0],
    ['negative nanoseconds', 0n, -1_000_000],
    ['the largest duration', MAX, 0],
  ])('refuses %s', async (_, seconds, nanos) => {
    const { accountId, id } = await activeReservation();
    expect(await errorOf(extend(accountId, id, seconds, nanos))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['ttl'],
    });
  });

  test('requires a ttl', async () => {
    const { accountId, id } = await activeReservation();
    const call = scrip.billing.extendReservation({
      accountId,
      requestId: requestId(),
      reservationId: id,
    });
    expect(await errorOf(call)).toMatchObject({ reason: 'INVALID_FIELD', fields: ['ttl'] });
  });

  test('of a reservation that has ended fails with its state', async () => {
    const { accountId, id: committed } = await activeReservation();
    await scrip.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId: committed,
      all: true,
    });
    const released = await reserveCredits(scrip, accountId, 10n);
    await scrip.billing.release({ accountId, requestId: requestId(), reservationId: released });
    const expired = await reserveCredits(scrip, accountId, 10n);
    scrip.advance(15 * MINUTE);
    for (const [id, state] of [
      [committed, 'COMMITTED'],
      [released, 'RELEASED'],
      [expired, 'EXPIRED'],
    ] as const)
      expect(await errorOf(extend(accountId, id, 60n))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: `RESERVATION_${state}`,
        metadata: { reservation_id: id, state, at: expect.stringMatching(/^\d{4}-.*Z$/) },
      });
  });

  test('fails for an unknown reservation', async () => {
    const { accountId } = await activeReservation();
    const unknown = '01900000-0000-7000-8000-000000000000';
    expect(await errorOf(extend(accountId, unknown, 60n))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'RESERVATION_NOT_FOUND',
      metadata: { reservation_id: unknown },
    });
  });
});
