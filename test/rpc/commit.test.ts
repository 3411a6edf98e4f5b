import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bucket_Kind, Entry_Kind, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  INSPECT,
  newestEntry,
  openWithCredits,
  reserveCredits,
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
const release = (accountId: string, reservationId: string) =>
  scrip.billing.release({ accountId, requestId: requestId(), reservationId });
const fromGrant = (grantId: bigint, credits: bigint) => ({
  source: { $case: 'grantId', value: grantId },
  credits,
});

describe('Commit', () => {
  test('of usages charges their price and returns the rest in one entry', async () => {
    const accountId = await openWithCredits(scrip, 600n);
    const { reservation: made } = await scrip.billing.reserve({
      accountId,
      requestId: requestId(),
      credits: 50n,
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
    const response = await commit(accountId, defined(made).reservationId, {
      usages: { items: [UPSCALE, INSPECT] },
    });
    expect(response).toEqual({
      reservation: {
        ...made,
        state: Reservation_State.COMMITTED,
        held: 0n,
        committed: 11n,
        returned: 39n,
        allocations: [],
        endedAt: response.balance?.asOf,
      },
      balance: {
        remaining: 589n,
        reserved: 0n,
        available: 589n,
        overage: 0n,
        overageLimit: 0n,
        owed: 0n,
        lowBalance: false,
        levels: [{ threshold: 500n, low: false }],
        usable: 589n,
        limited: [],
        pauseFloor: 0n,
        nextExpiry: undefined,
        seq: 4n,
        asOf: response.balance?.asOf,
      },
      entrySeq: 4n,
      committed: 11n,
      split: [fromGrant(1n, 11n)],
      lines: [
        { usage: UPSCALE, unitCredits: 10n, credits: 10n, billable: true, components: [] },
        { usage: INSPECT, unitCredits: 1n, credits: 1n, billable: true, components: [] },
      ],
    });
    const reservedCredits = { kind: Bucket_Kind.GRANT_RESERVED, grantId: 1n };
    expect(await newestEntry(scrip, accountId)).toMatchObject({
      seq: 4n,
      kind: Entry_Kind.COMMIT,
      moves: [
        { from: reservedCredits, to: { kind: Bucket_Kind.CONSUMED, grantId: 0n }, credits: 11n },
        {
          from: reservedCredits,
          to: { kind: Bucket_Kind.GRANT_AVAILABLE, grantId: 1n },
          credits: 39n,
        },
      ],
      credits: 11n,
      remainingAfter: 589n,
      reservedAfter: 0n,
      reservationId: made?.reservationId,
      usages: response.lines,
      rateCardVersion: 1n,
      reference: 'job-1',
      labels: mapOf({ team: 'images' }),
    });
  });

  test.each([
    ['everything that is held', { all: true }, 50n],
    ['a number of credits', { credits: 30n }, 30n],
    ['0 credits', { credits: 0n }, 0n],
  ])('commits %s', async (_, request, committed) => {
    const accountId = await openWithCredits(scrip, 100n);
    const response = await commit(accountId, await reserveCredits(scrip, accountId, 50n), request);
    expect(response).toMatchObject({ committed, lines: [], entrySeq: 4n });
    expect(response.reservation).toMatchObject({ committed, returned: 50n - committed, held: 0n });
    expect(response.balance).toMatchObject({ available: 100n - committed, reserved: 0n });
  });

  test('returns the rest to the grants it came from, in reverse order', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await grant(scrip, accountId, 100n);
    const id = await reserveCredits(scrip, accountId, 30n);
    const { split } = await commit(accountId, id, { credits: 12n });
    expect(split).toEqual([fromGrant(1n, 10n), fromGrant(2n, 2n)]);
    const { grants } = await scrip.billing.getBalance({ accountId, includeGrants: true });
    expect(grants.map(({ grantId, remaining }) => [grantId, remaining])).toEqual([[2n, 98n]]);
  });

  test('in parts keeps the rest reserved until the final commit', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await grant(scrip, accountId, 10n);
    await grant(scrip, accountId, 10n);
    const id = await reserveCredits(scrip, accountId, 25n);

    const first = await commit(accountId, id, { credits: 4n, final: false });
    expect(first).toMatchObject({ committed: 4n, split: [fromGrant(1n, 4n)] });
    expect(first.reservation).toMatchObject({
      state: Reservation_State.ACTIVE,
      held: 21n,
      committed: 4n,
      returned: 0n,
      allocations: [fromGrant(1n, 6n), fromGrant(2n, 10n), fromGrant(3n, 5n)],
      endedAt: undefined,
    });
    const second = await commit(accountId, id, { credits: 14n, final: false });
    expect(second.split).toEqual([fromGrant(1n, 6n), fromGrant(2n, 8n)]);
    expect(second.balance).toMatchObject({ remaining: 12n, reserved: 7n, available: 5n });
    const last = await commit(accountId, id, { credits: 3n, final: true });
    expect(last.split).toEqual([fromGrant(2n, 2n), fromGrant(3n, 1n)]);
    expect(last.reservation).toMatchObject({ committed: 21n, returned: 4n, held: 0n });
    expect(last.balance).toMatchObject({ remaining: 9n, reserved: 0n, available: 9n });
  });

  test('in parts may use everything that is held before the final commit', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const id = await reserveCredits(scrip, accountId, 10n);
    const part = await commit(accountId, id, { all: true, final: false });
    expect(part.reservation).toMatchObject({ state: Reservation_State.ACTIVE, held: 0n });
    const last = await commit(accountId, id);
    expect(last).toMatchObject({ committed: 0n });
    expect(last.reservation).toMatchObject({ state: Reservation_State.COMMITTED, committed: 10n });
  });

  test('of a committed reservation returns its state if it asks for the same, and has no second effect', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 50n);
    const { reservation } = await commit(accountId, id, { credits: 20n });
    for (const request of [{ credits: 20n }, { credits: 20n, final: true }]) {
      const again = await commit(accountId, id, request);
      expect(again).toMatchObject({
        reservation,
        entrySeq: 0n,
        committed: 0n,
        split: [],
        lines: [],
      });
    }
    for (const request of [{ credits: 99n }, { credits: 20n, final: false }, { all: true }])
      expect(await errorOf(commit(accountId, id, request))).toMatchObject({
        reason: 'RESERVATION_COMMITTED',
        metadata: { committed: '20', at: reservation?.endedAt?.toISOString() },
      });
    expect((await entriesOf(scrip, accountId)).length).toBe(4);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(80n);
  });

  test('of a released reservation fails and tells when it was released', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 50n);
    const { reservation } = await release(accountId, id);
    expect(await errorOf(commit(accountId, id))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'RESERVATION_RELEASED',
      metadata: {
        reservation_id: id,
        state: 'RELEASED',
        at: reservation?.endedAt?.toISOString(),
      },
    });
  });

  test('fails for unknown reservations and for those of other accounts', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const other = await openWithCredits(scrip, 100n);
    const unknown = '01900000-0000-7000-8000-000000000000';
    for (const id of [unknown, await reserveCredits(scrip, other, 1n)])
      expect(await errorOf(commit(accountId, id))).toMatchObject({
        code: status.NOT_FOUND,
        reason: 'RESERVATION_NOT_FOUND',
        metadata: { reservation_id: id },
      });
  });

  test('accepts a reservation id in upper case', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 5n);
    const { reservation } = await commit(accountId, id.toUpperCase());
    expect(reservation?.reservationId).toBe(id);
  });

  test('succeeds on a closed account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = await reserveCredits(scrip, accountId, 50n);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect((await commit(accountId, id)).committed).toBe(50n);
  });
});
