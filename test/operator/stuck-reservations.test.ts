/** ListStuckReservations: reservations of all accounts, oldest first. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import type {
  ListStuckReservationsRequest,
  StuckReservation,
} from '../../src/gen/billing/v1/operator_service.ts';
import { defined, MINUTE, openWithCredits } from '../accounts.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { named } from './traced.ts';

const RULES = `
  - { id: header:by-prefix, roles: [operator], accounts: { prefixes: [mine-] } }
  - { id: header:by-plan, roles: [operator], accounts: { plans: [perfectparser] } }
  - { id: header:own, roles: [product-service, operator], own_reservations_only: true }
  - { id: header:product, roles: [product-service] }`;

let scrip: PolicedService;
beforeAll(async () => {
  scrip = await startPoliced(RULES, { frozenAt: Date.UTC(2031, 0, 15) });
});
afterAll(() => scrip.stop());

type Filter = Parameters<PolicedService['operator']['listStuckReservations']>[0];

/** All pages. */
async function list(filter: Filter, caller = 'test'): Promise<readonly StuckReservation[]> {
  const all: StuckReservation[] = [];
  for (let pageToken = ''; ; ) {
    const page = await scrip.as(caller).operator.listStuckReservations({ ...filter, pageToken });
    all.push(...page.reservations);
    pageToken = page.nextPageToken;
    if (pageToken === '') return all;
  }
}

const idsOf = (reservations: readonly StuckReservation[]) =>
  reservations.map(({ reservation }) => defined(reservation).reservationId);

async function reserve(accountId: string, minutes: number, caller = 'test'): Promise<string> {
  const { reservation } = await scrip
    .as(caller)
    .billing.reserve({ ...named(accountId), credits: 1n, ttl: { seconds: BigInt(minutes * 60) } });
  return defined(reservation).reservationId;
}

const seconds = (minutes: number) => ({ seconds: BigInt(minutes * 60) });

describe('Of all accounts', () => {
  let ids: string[];
  let accounts: string[];
  beforeAll(async () => {
    await execute(scrip.databaseUrl, 'delete from reservations');
    accounts = await Promise.all([1, 2, 3].map(() => openWithCredits(scrip, 100n)));
    ids = [];
    // Made a minute apart, on one account after the other; the later ones expire first.
    for (let made = 0; made < 6; made += 1) {
      ids.push(await reserve(defined(accounts[made % 3]), 60 - 10 * made));
      scrip.advance(MINUTE);
    }
  });

  test('the oldest is first, with its caller, age and account', async () => {
    const all = await list({});
    expect(idsOf(all)).toEqual(ids);
    expect(all[0]).toMatchObject({
      reservation: { accountId: accounts[0], state: Reservation_State.ACTIVE, held: 1n },
      caller: 'test',
      age: { seconds: 360n },
      overdue: false,
    });
  });

  test('those that were made some time ago', async () => {
    expect(idsOf(await list({ olderThan: seconds(4) }))).toEqual(ids.slice(0, 3));
    expect(await list({ olderThan: seconds(7) })).toEqual([]);
  });

  test('those that expire soon', async () => {
    // The last has 10 minutes of which one has passed, the one before 20 of which two have.
    expect(idsOf(await list({ expiringWithin: seconds(9) }))).toEqual(ids.slice(5));
    expect(idsOf(await list({ expiringWithin: seconds(18) }))).toEqual(ids.slice(4));
    expect(await list({ expiringWithin: seconds(8) })).toEqual([]);
  });

  test('those of one account', async () => {
    expect(idsOf(await list({ accountId: defined(accounts[1]) }))).toEqual([ids[1], ids[4]]);
  });

  test.each([1, 2, 3, 5, 6, 1_000])('in pages of %i', async (pageSize) => {
    expect(idsOf(await list({ pageSize }))).toEqual(ids);
    const filter = { olderThan: seconds(3), expiringWithin: seconds(60) };
    expect(idsOf(await list({ pageSize, ...filter }))).toEqual(idsOf(await list(filter)));
  });

  test('a page token counts for the same filters only', async () => {
    const request = { pageSize: 1, olderThan: seconds(1) };
    const { nextPageToken: pageToken } = await scrip.operator.listStuckReservations(request);
    const others: Partial<ListStuckReservationsRequest>[] = [
      { accountId: defined(accounts[0]) },
      { state: Reservation_State.EXPIRED },
      { olderThan: { seconds: 61n, nanos: 0 } },
      { expiringWithin: { seconds: 60n, nanos: 0 } },
    ];
    for (const other of others)
      expect(
        await errorOf(scrip.operator.listStuckReservations({ ...request, ...other, pageToken })),
      ).toMatchObject({ reason: 'INVALID_FIELD', fields: ['page_token'] });
  });

  test('one that is past its expiry is overdue until it is swept, and then EXPIRED', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const id = await reserve(accountId, 1);
    scrip.advance(2 * MINUTE);
    const [overdue] = await list({ accountId, expiringWithin: { nanos: 1_000_000 } });
    expect(overdue).toMatchObject({
      reservation: { reservationId: id, state: Reservation_State.ACTIVE },
      overdue: true,
    });
    await scrip.service.sweep();
    expect(await list({ accountId })).toEqual([]);
    expect(await list({ accountId, state: Reservation_State.EXPIRED })).toMatchObject([
      { reservation: { reservationId: id, state: Reservation_State.EXPIRED }, overdue: false },
    ]);
  });

  test('one that ended is in neither list', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const reservationId = await reserve(accountId, 1);
    await scrip.billing.release({ ...named(accountId), reservationId });
    for (const state of [Reservation_State.ACTIVE, Reservation_State.EXPIRED])
      expect(await list({ accountId, state })).toEqual([]);
  });
});

test('pages of reservations that few match end, and the next go on', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  const wanted = await reserve(accountId, 60);
  // 45,000 older ones, which expire later.
  await execute(
    scrip.databaseUrl,
    `insert into reservations
     select older.* from reservations r, generate_series(1, 45000) n, jsonb_populate_record(r, jsonb_build_object(
       'reservation_id', gen_random_uuid(), 'created_at', r.created_at - n * interval '1 second',
       'expires_at', r.expires_at + interval '1 day')) older
     where r.reservation_id = $1`,
    [wanted],
  );
  const filter = { expiringWithin: seconds(60), olderThan: { nanos: 1_000_000 } };
  scrip.advance(MINUTE);
  const pages: number[] = [];
  const found: string[] = [];
  for (let pageToken = ''; ; ) {
    const page = await scrip.operator.listStuckReservations({ ...filter, pageToken });
    pages.push(page.reservations.length);
    found.push(...idsOf(page.reservations));
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  expect(pages.length).toBe(3);
  expect(found).toContain(wanted);
  await execute(scrip.databaseUrl, 'delete from reservations where account_id = $1', [accountId]);
});

describe('A caller that the policy limits sees', () => {
  let mine: string;
  let parsed: string;
  beforeAll(async () => {
    mine = `mine-${requestId()}`;
    await scrip.accounts.openAccount({ ...named(mine), planId: 'aspose-cloud' });
    parsed = await scrip.open('perfectparser');
    const other = await openWithCredits(scrip, 10n);
    for (const accountId of [mine, parsed, other]) await reserve(accountId, 60, 'product');
    await reserve(other, 60, 'own');
  });

  test.each([
    ['by-prefix', () => mine],
    ['by-plan', () => parsed],
  ] as const)('%s: those of its accounts', async (caller, accountId) => {
    const seen = await list({}, caller);
    expect(seen.map(({ reservation }) => reservation?.accountId)).toEqual([accountId()]);
  });

  test('own work only: its own', async () => {
    expect((await list({}, 'own')).map(({ caller }) => caller)).toEqual(['own']);
  });
});

test.each([
  ['state', { state: Reservation_State.COMMITTED }],
  ['state', { state: Reservation_State.RELEASED }],
  ['older_than', { olderThan: { seconds: -1n } }],
  ['expiring_within', { expiringWithin: { seconds: 0n } }],
  ['account_id', { accountId: 'with space' }],
  ['page_size', { pageSize: -1 }],
  ['page_token', { pageToken: 'x' }],
] as const)('a bad %s is refused', async (field, request) => {
  expect(await errorOf(scrip.operator.listStuckReservations(request))).toMatchObject({
    code: status.INVALID_ARGUMENT,
    fields: [field],
  });
});
