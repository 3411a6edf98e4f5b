import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Bucket_Kind,
  Entry_Kind,
  OverCommitPolicy,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  MINUTE,
  newestEntry,
  openWithCredits,
  reserveCredits,
} from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { convert, fromGrant, fromOverage, waterfallPlan } from './waterfall.ts';

const prepaid = waterfallPlan('prepaid');
let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [prepaid, waterfallPlan('postpaid', '  overage: { limit: 50 }')],
  });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
});

const withRequestId = (accountId: string) => ({ accountId, requestId: requestId() });
type Rest = Parameters<TestService['billing']['raiseReservation']>[0];
const raise = (accountId: string, reservationId: string, rest: Rest) =>
  scrip.billing.raiseReservation({ ...withRequestId(accountId), reservationId, ...rest });

async function activeReservation(
  credits = 30n,
  overCommitPolicy: OverCommitPolicy = OverCommitPolicy.REJECT,
) {
  const accountId = await openWithCredits(scrip, 100n, 'prepaid');
  const { reservation } = await scrip.billing.reserve({
    ...withRequestId(accountId),
    credits,
    overCommitPolicy,
    reference: 'job 7',
    labels: mapOf({ team: 'blue' }),
  });
  return { accountId, reservation: defined(reservation), id: defined(reservation).reservationId };
}

describe('RaiseReservation', () => {
  test('adds credits to the reservation and writes an entry', async () => {
    const { accountId, reservation, id } = await activeReservation();
    const raised = await raise(accountId, id, { usages: { items: [convert(12n)] } });
    expect(raised).toMatchObject({
      raised: 12n,
      entrySeq: 4n,
      lines: [{ usage: convert(12n), credits: 12n }],
      balance: { reserved: 42n, available: 58n },
    });
    expect(raised.reservation).toEqual({
      ...reservation,
      credits: 42n,
      held: 42n,
      allocations: [fromGrant(1n, 42n)],
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      kind: Entry_Kind.RAISE,
      credits: 12n,
      moves: [
        {
          from: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n },
          to: { kind: Bucket_Kind.GRANT_RESERVED, grantId: 1n },
          credits: 12n,
        },
      ],
      reservationId: id,
      reference: 'job 7',
      labels: mapOf({ team: 'blue' }),
      rateCardVersion: 1n,
      split: [],
    });
    const got = await scrip.billing.getReservation({ accountId, reservationId: id });
    expect(got.reservation).toEqual(raised.reservation);
  });

  test('fails if credits are missing and changes nothing', async () => {
    const { accountId, reservation, id } = await activeReservation();
    expect(await errorOf(raise(accountId, id, { credits: 71n }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '71', available: '70', shortfall: '1', best_pack: 'small' },
    });
    const got = await scrip.billing.getReservation({ accountId, reservationId: id });
    expect(got.reservation).toEqual(reservation);
    expect((await entriesOf(scrip, accountId)).length).toBe(3);
  });

  test('uses overage on a postpaid plan', async () => {
    const accountId = await openWithCredits(scrip, 10n, 'postpaid');
    const id = await reserveCredits(scrip, accountId, 8n);
    const { reservation } = await raise(accountId, id, { credits: 20n });
    expect(reservation?.allocations).toEqual([fromGrant(1n, 10n), fromOverage(18n)]);
    expect(await errorOf(raise(accountId, id, { credits: 33n }))).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '33', available: '32', shortfall: '1', limit: '50' },
    });
  });

  test('has one effect per request id', async () => {
    const { accountId, id } = await activeReservation();
    const request = { ...withRequestId(accountId), reservationId: id, credits: 5n };
    const answers = await Promise.all([1, 2, 3].map(() => scrip.billing.raiseReservation(request)));
    const responses = answers.map((answer) => ({ ...answer, replay: undefined }));
    for (const response of responses) expect(response).toEqual(responses[0]);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ reserved: 35n });
    const other = scrip.billing.raiseReservation({ ...request, credits: 6n });
    expect((await errorOf(other)).reason).toBe('REQUEST_ID_REUSED');
  });

  test('requires a reservation id, and either usages or credits', async () => {
    const { accountId, id } = await activeReservation();
    for (const rest of [{}, { usages: { items: [convert(1n)] }, credits: 1n }])
      expect((await errorOf(raise(accountId, id, rest))).fields).toEqual(['usages']);
    expect((await errorOf(raise(accountId, id, { credits: -1n }))).fields).toEqual(['credits']);
    expect((await errorOf(raise(accountId, 'mine', { credits: 1n }))).fields).toEqual([
      'reservation_id',
    ]);
    const unknown = '01900000-0000-7000-8000-000000000000';
    expect(await errorOf(raise(accountId, unknown, { credits: 1n }))).toMatchObject({
      code: status.NOT_FOUND,
      reason: 'RESERVATION_NOT_FOUND',
    });
    const usages = { items: [{ ...convert(1n), operation: 'doc.print' }] };
    expect((await errorOf(raise(accountId, id, { usages }))).reason).toBe('UNKNOWN_OPERATION');
  });

  test('of a reservation that has ended fails with its state', async () => {
    const { accountId, id: committed } = await activeReservation();
    await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId: committed,
      all: true,
    });
    const released = await reserveCredits(scrip, accountId, 10n);
    await scrip.billing.release({ ...withRequestId(accountId), reservationId: released });
    const expired = await reserveCredits(scrip, accountId, 10n);
    scrip.advance(15 * MINUTE);
    for (const [id, state] of [
      [committed, 'COMMITTED'],
      [released, 'RELEASED'],
      [expired, 'EXPIRED'],
    ] as const)
      expect(await errorOf(raise(accountId, id, { credits: 1n }))).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: `RESERVATION_${state}`,
        metadata: { reservation_id: id, state },
      });
  });

  test('fails on a closed account, whose reservation can still be committed', async () => {
    const { accountId, id } = await activeReservation();
    await raise(accountId, id, { credits: 5n });
    await scrip.accounts.closeAccount(withRequestId(accountId));
    expect((await errorOf(raise(accountId, id, { credits: 1n }))).reason).toBe('ACCOUNT_CLOSED');
    const commit = await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId: id,
      all: true,
    });
    expect(commit.committed).toBe(35n);
  });

  test('is priced on the rate card version of the reservation', async () => {
    const { accountId, id } = await activeReservation();
    const { rateCard } = prepaid;
    const dearer = [...rateCard.operations].map(([name, operation]) => {
      const flat = { kind: 'flat' as const, label: 'Base', credits: 7n };
      return [name, { ...operation, components: [...operation.components, flat] }] as const;
    });
    const later = await startTestService({
      databaseUrl: scrip.databaseUrl,
      plans: [{ ...prepaid, rateCard: { ...rateCard, operations: new Map(dearer) } }],
    });
    try {
      const raised = await later.billing.raiseReservation({
        ...withRequestId(accountId),
        reservationId: id,
        usages: { items: [convert(3n)] },
      });
      expect(raised).toMatchObject({ raised: 3n, reservation: { rateCardVersion: 1n } });
      const charged = await later.billing.charge({
        ...withRequestId(accountId),
        usages: { items: [convert(3n)] },
      });
      expect(charged.credits).toBe(10n);
    } finally {
      await later.stop();
    }
  });
});

describe('a long job', () => {
  test('extends and raises its reservation and commits in parts', async () => {
    const { accountId, id } = await activeReservation(10n);
    for (let beat = 1; beat <= 4; beat++) {
      scrip.advance(10 * MINUTE);
      const ttl = { seconds: 900n, nanos: 0 };
      const { reservation } = await scrip.billing.extendReservation({
        ...withRequestId(accountId),
        reservationId: id,
        ttl,
      });
      expect(defined(reservation?.expiresAt).getTime()).toBeGreaterThan(scrip.now() + 14 * MINUTE);
      await raise(accountId, id, { credits: 10n });
      await scrip.billing.commit({
        ...withRequestId(accountId),
        reservationId: id,
        credits: 10n,
        final: false,
      });
    }
    await scrip.service.sweep();
    const { reservation } = await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId: id,
      credits: 3n,
    });
    expect(reservation).toMatchObject({
      state: Reservation_State.COMMITTED,
      credits: 50n,
      committed: 43n,
      returned: 7n,
    });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 57n, reserved: 0n });
  });

  test.each([
    [OverCommitPolicy.REJECT, 'EXCEEDS_RESERVATION'],
    [OverCommitPolicy.CAP, 35n],
    [OverCommitPolicy.DRAW, 40n],
  ])(
    'that was raised by 5 and commits 40 of 35 under policy %s ends with %s',
    async (policy, comesTo) => {
      const { accountId, id } = await activeReservation(30n, policy);
      await raise(accountId, id, { credits: 5n });
      const commit = () =>
        scrip.billing.commit({ ...withRequestId(accountId), reservationId: id, credits: 40n });
      if (typeof comesTo === 'bigint') expect((await commit()).committed).toBe(comesTo);
      else
        expect(await errorOf(commit())).toMatchObject({
          reason: comesTo,
          metadata: { asked: '40', allowed: '35' },
        });
    },
  );

  test('that was raised can commit late everything it held, within the grace period', async () => {
    const { accountId, id } = await activeReservation();
    await raise(accountId, id, { credits: 20n });
    scrip.advance(17 * MINUTE);
    await scrip.service.sweep();
    const commit = await scrip.billing.commit({
      ...withRequestId(accountId),
      reservationId: id,
      all: true,
    });
    expect(commit).toMatchObject({ committed: 50n, reservation: { late: true, credits: 50n } });
  });
});

test('one job reserves and commits no more than an int64, however often it is paid', async () => {
  const most = 9_000_000_000_000_000_000n;
  const room = 9_223_372_036_854_775_807n - most;
  const accountId = await openWithCredits(scrip, most, 'prepaid');
  const { reservation } = await scrip.billing.reserve({
    ...withRequestId(accountId),
    ...{ credits: most, overCommitPolicy: OverCommitPolicy.DRAW },
  });
  const { reservationId } = defined(reservation);
  const commit = (credits: bigint, final = false) =>
    scrip.billing.commit({ ...withRequestId(accountId), reservationId, credits, final });
  await commit(most);
  await grant(scrip, accountId, most);
  expect(await errorOf(raise(accountId, reservationId, { credits: room + 1n }))).toMatchObject({
    code: status.INVALID_ARGUMENT,
    reason: 'INVALID_FIELD',
    metadata: { field: 'credits', allowed: `${room}` },
  });
  expect(await errorOf(commit(room + 1n))).toMatchObject({
    reason: 'EXCEEDS_RESERVATION',
    metadata: { asked: `${room + 1n}`, allowed: `${room}` },
  });
  await raise(accountId, reservationId, { credits: room });
  expect((await commit(room, true)).reservation).toMatchObject({
    ...{ credits: most + room, committed: most + room },
  });
});
