import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Reservation, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { entriesOf, MINUTE, openWithCredits, reserveCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const get = async (accountId: string, reservationId: string) =>
  (await scrip.billing.getReservation({ accountId, reservationId })).reservation;

/** An account with a reservation in each state, oldest first: expired, committed, released, active. */
async function reservationsInEachState() {
  const accountId = await openWithCredits(scrip, 100n);
  const expired = await reserveCredits(scrip, accountId, 1n);
  scrip.advance(15 * MINUTE);
  const committed = await reserveCredits(scrip, accountId, 2n);
  await scrip.billing.commit({
    accountId,
    requestId: requestId(),
    reservationId: committed,
    all: true,
  });
  const released = await reserveCredits(scrip, accountId, 3n);
  await scrip.billing.release({ accountId, requestId: requestId(), reservationId: released });
  const active = await reserveCredits(scrip, accountId, 4n);
  return { accountId, expired, committed, released, active };
}

describe('GetReservation', () => {
  test('returns an active reservation as Reserve did', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 7n,
      reference: 'job',
      labels: mapOf({ a: 'b' }),
    });
    expect(await get(accountId, reservation?.reservationId ?? '')).toEqual(reservation);
  });

  test('returns ended reservations', async () => {
    const { accountId, expired, committed, released, active } = await reservationsInEachState();
    expect(await get(accountId, expired)).toMatchObject({ state: Reservation_State.EXPIRED });
    expect(await get(accountId, committed)).toMatchObject({ state: Reservation_State.COMMITTED });
    expect(await get(accountId, released)).toMatchObject({ state: Reservation_State.RELEASED });
    expect(await get(accountId, active)).toMatchObject({ state: Reservation_State.ACTIVE });
  });

  test('returns an expired reservation before its expiry is written', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 40n);
    await scrip.billing.commit({
      accountId,
      requestId: requestId(),
      reservationId: id,
      credits: 15n,
      final: false,
    });
    scrip.advance(15 * MINUTE);
    const seen = await get(accountId, id);
    expect(seen).toMatchObject({
      state: Reservation_State.EXPIRED,
      held: 0n,
      committed: 15n,
      returned: 25n,
      allocations: [],
      endedAt: seen?.expiresAt,
    });
    expect((await entriesOf(scrip, accountId)).length).toBe(4);
    await scrip.service.sweep();
    expect((await entriesOf(scrip, accountId)).length).toBe(5);
    expect(await get(accountId, id)).toEqual(seen);
  });

  test('fails for reservations of other accounts', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const id = await reserveCredits(scrip, await openWithCredits(scrip, 10n), 1n);
    expect(await errorOf(get(accountId, id))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'RESERVATION_NOT_FOUND',
      metadata: { reservation_id: id },
    });
    expect(await errorOf(get('nobody', id))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'ACCOUNT_NOT_FOUND',
      metadata: { account_id: 'nobody' },
    });
  });

  test.each(['', 'x', '0190', '01900000000070008000000000000000', "' or 1=1"])(
    'refuses the reservation id %j',
    async (reservationId) => {
      const accountId = await openWithCredits(scrip, 10n);
      expect(await errorOf(get(accountId, reservationId))).toMatchObject({
        reason: 'INVALID_FIELD',
        fields: ['reservation_id'],
      });
    },
  );
});

describe('ListReservations', () => {
  const ids = (reservations: readonly Reservation[]) =>
    reservations.map(({ reservationId }) => reservationId);

  test('lists reservations in all states, newest first', async () => {
    const { accountId, expired, committed, released, active } = await reservationsInEachState();
    const { reservations, nextPageToken } = await scrip.billing.listReservations({ accountId });
    expect(ids(reservations)).toEqual([active, released, committed, expired]);
    expect(nextPageToken).toBe('');
    for (const reservation of reservations)
      expect(await get(accountId, reservation.reservationId)).toEqual(reservation);
  });

  test('lists reservations in the given states, as they are now', async () => {
    const { accountId, expired, committed, released, active } = await reservationsInEachState();
    const { ACTIVE, COMMITTED, RELEASED, EXPIRED } = Reservation_State;
    const inStates = async (...states: Reservation_State[]) =>
      ids((await scrip.billing.listReservations({ accountId, states })).reservations);
    expect(await inStates(ACTIVE)).toEqual([active]);
    expect(await inStates(EXPIRED)).toEqual([expired]);
    expect(await inStates(RELEASED, COMMITTED)).toEqual([released, committed]);
    scrip.advance(15 * MINUTE); // Nothing is swept.
    expect(await inStates(ACTIVE)).toEqual([]);
    expect(await inStates(EXPIRED)).toEqual([active, expired]);
  });

  test('pages through all rows once, with any page size', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const made: string[] = [];
    for (let n = 0; n < 7; n++) made.unshift(await reserveCredits(scrip, accountId, 1n));
    for (const pageSize of [1, 2, 3, 7, 8]) {
      const seen: string[] = [];
      let pageToken = '';
      let pages = 0;
      do {
        const page = await scrip.billing.listReservations({ accountId, pageSize, pageToken });
        expect(page.reservations.length).toBeLessThanOrEqual(pageSize);
        seen.push(...ids(page.reservations));
        pageToken = page.nextPageToken;
        pages++;
      } while (pageToken !== '');
      expect(seen).toEqual(made);
      expect(pages).toBe(Math.ceil(7 / pageSize));
    }
  });

  test('returns 50 rows by default, and at most 1,000', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const mutations = Array.from({ length: 1_000 }, () => ({
      mutation: {
        $case: 'reserve' as const,
        value: { accountId, requestId: requestId(), credits: 0n },
      },
    }));
    await scrip.billing.batch({ mutations });
    await reserveCredits(scrip, accountId, 0n);
    const sizeOf = async (pageSize: number) => {
      const page = await scrip.billing.listReservations({ accountId, pageSize });
      return [page.reservations.length, page.nextPageToken !== ''];
    };
    expect(await sizeOf(0)).toEqual([50, true]);
    expect(await sizeOf(2_147_483_647)).toEqual([1_000, true]);
  });

  test('reports unknown states and a negative page size together', async () => {
    const accountId = await scrip.open('verts');
    const states: Reservation_State[] = [Reservation_State.UNSPECIFIED];
    const call = scrip.billing.listReservations({ accountId, states, pageSize: -1 });
    expect((await errorOf(call)).fields.toSorted()).toEqual(['page_size', 'states']);
  });

  test('fails for an unknown account', async () => {
    expect(await errorOf(scrip.billing.listReservations({ accountId: 'nobody' }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'ACCOUNT_NOT_FOUND',
    });
  });
});
