/** ListReservations on accounts whose reservations are far apart in a long history. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Reservation, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { KIND_CODES } from '../../src/store/tables/codes.ts';
import { balanceOf, openWithCredits, reserveCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const { RELEASED, COMMITTED, ACTIVE, EXPIRED } = Reservation_State;
const { RESERVE, RELEASE, CHARGE } = KIND_CODES;

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

/** Entries between two reservations of the long history, and its length. */
const STRIDE = 250;
const LENGTH = 26_999;

/**
 * An account with a running reservation of its first entries, and then a long history that SQL has copied: a
 * reservation begins at every multiple of `stride` and is released by the next entry. All others are charges
 * of 0 credits.
 */
async function openWithLongHistory(stride: number): Promise<string> {
  const accountId = await openWithCredits(scrip, 100n);
  const named = () => ({ accountId, requestId: requestId() });
  await reserveCredits(scrip, accountId, 1n);
  const reservationId = await reserveCredits(scrip, accountId, 1n);
  await scrip.billing.release({ ...named(), reservationId });
  await scrip.billing.charge({ ...named(), credits: 0n });
  const { seq } = await balanceOf(scrip, accountId);
  await execute(
    scrip.databaseUrl,
    `insert into entries select (jsonb_populate_record(e, jsonb_build_object(
         'seq', s, 'method', null, 'request_id', null, 'fingerprint', null, 'response', null,
         'reservation_id', case when e.kind <> ${CHARGE} then md5($1 || s / $2)::uuid end))).*
       from generate_series($3::int, $4::int) s
       join entries e on account_id = $1 and kind = case s % $2
         when 0 then ${RESERVE} when 1 then ${RELEASE} else ${CHARGE} end
       where e.reservation_id is null or e.reservation_id = $5`,
    [accountId, stride, Number(seq) + 1, LENGTH, reservationId],
  );
  await execute(
    scrip.databaseUrl,
    'update accounts set seq = $2, version = version + 1 where account_id = $1',
    [accountId, LENGTH],
  );
  return accountId;
}

/** All pages of a list. */
async function listAll(accountId: string, pageSize: number, states: Reservation_State[]) {
  const reservations: Reservation[] = [];
  let pages = 0;
  let pageToken = '';
  do {
    const page = await scrip.billing.listReservations({ accountId, pageSize, states, pageToken });
    expect(page.reservations.length).toBeLessThanOrEqual(pageSize);
    reservations.push(...page.reservations);
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== '');
  return { reservations, pages };
}

describe('ListReservations on an account with 27,000 entries', () => {
  let accountId: string;
  let all: Reservation[];
  beforeAll(async () => {
    accountId = await openWithLongHistory(STRIDE);
    all = (await listAll(accountId, 1_000, [])).reservations;
  });

  test('lists every reservation once, newest first', () => {
    // Those of the copied history, one that was released, and one that runs.
    expect(all.length).toBe(Math.floor(LENGTH / STRIDE) + 2);
    expect(new Set(all.map(({ reservationId }) => reservationId)).size).toBe(all.length);
    expect(all.map(({ state }) => state)).toEqual([
      ...Array(all.length - 1).fill(RELEASED),
      ACTIVE,
    ]);
  });

  test.each([1, 7, 50, 107, 1_000])('pages through all of them, %d at a time', async (pageSize) => {
    expect((await listAll(accountId, pageSize, [])).reservations).toEqual(all);
  });

  test.each([3, 1_000])('in one state or several, %d at a time', async (pageSize) => {
    const inStates = async (...states: Reservation_State[]) =>
      (await listAll(accountId, pageSize, states)).reservations;
    const running = all.slice(-1);
    expect(await inStates(RELEASED)).toEqual(all.slice(0, -1));
    expect(await inStates(RELEASED, EXPIRED)).toEqual(all.slice(0, -1));
    expect(await inStates(ACTIVE)).toEqual(running);
    expect(await inStates(COMMITTED, ACTIVE)).toEqual(running);
    expect(await inStates(COMMITTED)).toEqual([]);
    expect(await inStates(EXPIRED)).toEqual([]);
  });
});

test('ListReservations pages to the end of a history that has no reservation for 26,994 entries', async () => {
  const accountId = await openWithLongHistory(LENGTH + 1);
  for (const pageSize of [1, 1_000]) {
    const { reservations, pages } = await listAll(accountId, pageSize, []);
    expect(reservations.map(({ state }) => state)).toEqual([RELEASED, ACTIVE]);
    // A page can be empty and not the last.
    expect(pages).toBeGreaterThan(1);
  }
});
