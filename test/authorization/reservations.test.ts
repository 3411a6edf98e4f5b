/** Callers that are limited to their own reservations: the work of others looks as if it did not exist. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { DAY, INSPECT, openWithCredits, storedRows } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import {
  callInBatch,
  callMethod,
  type Ended,
  type Given,
  givenAccount,
  reasonOf,
} from './every-call.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const RULES = `
  - { id: header:one, roles: [product-service], own_reservations_only: true }
  - { id: header:two, roles: [product-service], own_reservations_only: true }
  - { id: header:free, roles: [product-service] }`;

let scrip: PolicedService;
beforeAll(async () => {
  scrip = await startPoliced(RULES);
});
afterAll(() => scrip.stop());

/** Reserves ten credits as a caller. */
async function reserveAs(caller: string, accountId: string): Promise<string> {
  const request = { accountId, requestId: requestId(), credits: 10n };
  const { reservation } = await scrip.as(caller).billing.reserve(request);
  return reservation?.reservationId ?? '';
}

const ON_RESERVATIONS = [
  'Commit',
  'Release',
  'ExtendReservation',
  'RaiseReservation',
  'GetReservation',
] as const;

/** Of a failure, what does not depend on the ids of the call. */
const shapeOf = (ended: Ended, given: Given): unknown => {
  if (ended === 'OK') return ended;
  const { code, reason, message, metadata } = ended;
  const text = JSON.stringify({ reason, message, metadata })
    .replaceAll(given.accountId, 'ACCOUNT')
    .replaceAll(given.reservationId, 'RESERVATION')
    .replace(new RegExp(`\\b${given.seq}\\b`, 'g'), 'SEQ');
  return { code, ...JSON.parse(text) };
};

describe.each(ON_RESERVATIONS)('%s', (method) => {
  test.each(['active', 'committed', 'released', 'expired'])(
    "of another caller's reservation that is %s is answered as of none",
    async (state) => {
      const own = scrip.as('free').billing;
      const { accountId, ...given } = await givenAccount(scrip);
      const reservationId = await reserveAs('free', accountId);
      const ending = { accountId, requestId: requestId(), reservationId };
      if (state === 'committed') await own.commit({ ...ending, all: true });
      if (state === 'released') await own.release(ending);
      if (state === 'expired') {
        scrip.advance(DAY);
        await own.charge({ accountId, requestId: requestId(), credits: 1n });
      }
      const before = await storedRows(scrip, accountId);
      const others = { ...given, accountId, reservationId };
      const ended = await callMethod(scrip, 'one', method, others);
      expect(reasonOf(ended)).toBe('RESERVATION_NOT_FOUND');
      const none = { ...others, reservationId: '01a1b2c3-0000-7000-8000-000000000000' };
      expect(shapeOf(ended, others)).toEqual(
        shapeOf(await callMethod(scrip, 'one', method, none), none),
      );
      if (method !== 'GetReservation')
        expect(await callInBatch(scrip, 'one', method, others)).toEqual(ended);
      expect(await storedRows(scrip, accountId)).toBe(before);
    },
  );

  test('of its own is as for everybody', async () => {
    const given = await givenAccount(scrip);
    const reservationId = await reserveAs('one', given.accountId);
    expect(await callMethod(scrip, 'one', method, { ...given, reservationId })).toBe('OK');
    // A caller without the limit may use what others made.
    const others = await reserveAs('one', given.accountId);
    const again = { ...given, requestId: requestId(), reservationId: others };
    expect(await callMethod(scrip, 'free', method, again)).toBe('OK');
  });
});

describe('a reservation of its own', () => {
  test('is its own after it has ended, and its answers are repeated', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const { billing } = scrip.as('one');
    const reservationId = await reserveAs('one', accountId);
    const commit = { accountId, requestId: requestId(), reservationId, credits: 4n };
    const first = await billing.commit(commit);
    expect(await billing.commit(commit)).toEqual({ ...first, replay: expect.anything() });
    // Another request for the same commit.
    expect(await billing.commit({ ...commit, requestId: requestId() })).toMatchObject({
      entrySeq: 0n,
    });
    expect(await billing.getReservation({ accountId, reservationId })).toMatchObject({
      reservation: { reservationId },
    });
    expect(await errorOf(scrip.as('two').billing.commit(commit))).toMatchObject({
      reason: 'RESERVATION_NOT_FOUND',
    });
  });

  test('stays its own when another commits it', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveAs('one', accountId);
    const commit = { accountId, requestId: requestId(), reservationId, all: true };
    await scrip.as('free').billing.commit(commit);
    const get = (caller: string) =>
      scrip.as(caller).billing.getReservation({ accountId, reservationId });
    expect(await get('one')).toMatchObject({ reservation: { reservationId } });
    expect(await errorOf(get('two'))).toMatchObject({ reason: 'RESERVATION_NOT_FOUND' });
  });
});

test('a list has only its own, in every state and on every page', async () => {
  const accountId = await openWithCredits(scrip, 1_000n);
  const own: string[] = [];
  for (let index = 0; index < 6; index++) {
    own.unshift(await reserveAs('one', accountId));
    await reserveAs('two', accountId);
    await reserveAs('free', accountId);
  }
  const ending = (reservationId = '') => ({ accountId, requestId: requestId(), reservationId });
  await scrip.billing.commit({ ...ending(own[0]), all: true });
  await scrip.billing.release(ending(own[1]));
  const list = async (caller: string, states: Reservation_State[] = [], pageSize = 2) => {
    const ids: string[] = [];
    for (let pageToken = ''; ; ) {
      const { listReservations } = scrip.as(caller).billing;
      const page = await listReservations({ accountId, states, pageSize, pageToken });
      ids.push(...page.reservations.map(({ reservationId }) => reservationId));
      if (page.nextPageToken === '') return ids;
      pageToken = page.nextPageToken;
    }
  };
  const { ACTIVE, COMMITTED, RELEASED } = Reservation_State;
  expect(await list('one')).toEqual(own);
  expect(await list('one', [ACTIVE])).toEqual(own.slice(2));
  expect(await list('one', [COMMITTED, RELEASED])).toEqual(own.slice(0, 2));
  expect(await list('free')).toHaveLength(18);
  expect(await list('free', [ACTIVE])).toHaveLength(16);
});

describe('Refund', () => {
  const chargeAs = async (caller: string, accountId: string) =>
    (
      await scrip
        .as(caller)
        .billing.charge({ accountId, requestId: requestId(), usages: { items: [INSPECT] } })
    ).entrySeq;

  test("of another caller's charge or commit is answered as of none", async () => {
    const given = await givenAccount(scrip);
    const { accountId } = given;
    const reservationId = await reserveAs('free', accountId);
    const committed = await scrip
      .as('free')
      .billing.commit({ accountId, requestId: requestId(), reservationId, all: true });
    for (const seq of [await chargeAs('free', accountId), committed.entrySeq]) {
      const others = { ...given, seq, requestId: requestId() };
      const rows = await storedRows(scrip, accountId);
      const ended = await callMethod(scrip, 'one', 'Refund', others);
      expect(reasonOf(ended)).toBe('ENTRY_NOT_FOUND');
      const none = { ...others, seq: 987_654n };
      expect(shapeOf(ended, others)).toEqual(
        shapeOf(await callMethod(scrip, 'one', 'Refund', none), none),
      );
      expect(await callInBatch(scrip, 'one', 'Refund', others)).toEqual(ended);
      expect(await storedRows(scrip, accountId)).toBe(rows);
    }
  });

  test('of its own is as for everybody', async () => {
    const { accountId } = await givenAccount(scrip);
    const refund = (caller: string, seq: bigint) =>
      scrip
        .as(caller)
        .billing.refund({ accountId, requestId: requestId(), seq, all: true, reason: 'a test' });
    await refund('one', await chargeAs('one', accountId));
    await refund('free', await chargeAs('one', accountId));
  });
});

describe('a request id that another caller used', () => {
  test('does not show what it did', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 10n };
    const { reservation } = await scrip.as('two').billing.reserve(request);
    const error = await errorOf(scrip.as('one').billing.reserve(request));
    expect(error).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
    expect(JSON.stringify(error)).not.toContain(reservation?.reservationId);
    for (const caller of ['two', 'free'])
      expect(await scrip.as(caller).billing.reserve(request)).toMatchObject({
        reservation: { reservationId: reservation?.reservationId },
        replay: expect.anything(),
      });
  });
});
