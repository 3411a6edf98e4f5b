/** No field that is left out, 0 or empty stands for an amount of credits. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import {
  balanceOf,
  defined,
  grant,
  INSPECT,
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

const none = { items: [] };
const some = { items: [INSPECT] };

type Commit = Parameters<TestService['billing']['commit']>[0];
type Charge = Parameters<TestService['billing']['charge']>[0];

describe.each(['reserve', 'charge', 'raiseReservation'] as const)('%s', (method) => {
  test.each<[string, Charge]>([
    ['without usages and credits', {}],
    ['with usages and credits', { usages: some, credits: 1n }],
    ['with no usages and credits', { usages: none, credits: 1n }],
  ])('is refused %s, and changes nothing', async (_, amount) => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    const rows = await storedRows(scrip, accountId);
    const request = { accountId, requestId: requestId(), reservationId, ...amount };
    expect(await errorOf(scrip.billing[method](request))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['usages'],
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('of an empty list of usages costs 0, and writes an entry', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    const request = { accountId, requestId: requestId(), reservationId, usages: none };
    expect(await scrip.billing[method](request)).toMatchObject({ entrySeq: 4n, lines: [] });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ seq: 4n, credits: 0n, moves: [] });
  });
});

describe('commit', () => {
  test.each<[string, Commit, string[]]>([
    ['without usages, credits and all', {}, ['usages']],
    ['with usages and all', { usages: some, all: true }, ['usages']],
    ['with credits and all', { credits: 1n, all: true }, ['usages']],
    ['with usages and credits', { usages: none, credits: 0n }, ['usages']],
    ['with all = false', { all: false }, ['all']],
  ])('is refused %s, and changes nothing', async (_, amount, fields) => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    const rows = await storedRows(scrip, accountId);
    const request = { accountId, requestId: requestId(), reservationId, ...amount };
    expect(await errorOf(scrip.billing.commit(request))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields,
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('of the empty list that is left when every item of a batch failed charges nothing', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const reservationId = await reserveCredits(scrip, accountId, 1_000n);
    const done = [UPSCALE, UPSCALE].filter(() => false);
    const request = { accountId, requestId: requestId(), reservationId, usages: { items: done } };
    const { committed, reservation } = await scrip.billing.commit(request);
    expect(committed).toBe(0n);
    expect(reservation).toMatchObject({ state: Reservation_State.COMMITTED, returned: 1_000n });
    expect((await balanceOf(scrip, accountId)).available).toBe(1_000n);
  });

  test('without an amount after a partial one does not charge the rest', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 100n);
    const commit = (amount: Commit) =>
      scrip.billing.commit({ accountId, requestId: requestId(), reservationId, ...amount });
    await commit({ credits: 30n, final: false });
    expect((await errorOf(commit({}))).reason).toBe('INVALID_FIELD');
    expect(await commit({ all: true })).toMatchObject({ committed: 70n });
  });
});

describe('a usage', () => {
  test.each<[string, bigint | undefined, bigint]>([
    ['without a count is one', undefined, 10n],
    ['with count 0 costs nothing', 0n, 0n],
    ['with count 3 costs three times as much', 3n, 30n],
  ])('%s, and is recorded', async (_, count, credits) => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const usages = { items: [{ ...UPSCALE, count }] };
    const estimated = await scrip.billing.estimate({ accountId, usages });
    expect(estimated).toMatchObject({ credits });
    const charged = await scrip.billing.charge({ accountId, requestId: requestId(), usages });
    expect(charged.credits).toBe(credits);
    expect((await newestEntry(scrip, accountId)).usages).toMatchObject([
      { usage: { operation: UPSCALE.operation, count: count ?? 1n }, credits },
    ]);
  });

  test('with a count below 0 is refused', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const usages = { items: [INSPECT, { ...INSPECT, count: -1n }] };
    const charge = scrip.billing.charge({ accountId, requestId: requestId(), usages });
    expect(await errorOf(charge)).toMatchObject({ fields: ['usages.items[1].count'] });
  });
});

describe('refund', () => {
  test.each<[string, { credits?: bigint; all?: boolean }, string[]]>([
    ['without credits and all', {}, ['credits']],
    ['with credits and all', { credits: 1n, all: true }, ['credits']],
    ['with all = false', { all: false }, ['all']],
    ['of 0 credits', { credits: 0n }, ['credits']],
  ])('is refused %s', async (_, amount, fields) => {
    const accountId = await openWithCredits(scrip, 100n);
    const { entrySeq: seq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      credits: 10n,
    });
    const refund = scrip.billing.refund({
      reason: 'a test',
      accountId,
      requestId: requestId(),
      seq,
      ...amount,
    });
    expect(await errorOf(refund)).toMatchObject({ reason: 'INVALID_FIELD', fields });
  });

  test('of all gives back what is not refunded yet', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const { entrySeq: seq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      credits: 10n,
    });
    const refund = (amount: { credits?: bigint; all?: boolean }) =>
      scrip.billing.refund({ reason: 'a test', accountId, requestId: requestId(), seq, ...amount });
    await refund({ credits: 4n });
    expect((await refund({ all: true })).refunded).toBe(6n);
    expect((await errorOf(refund({ all: true }))).reason).toBe('EXCEEDS_COMMIT');
  });
});

test('a grant for an empty set of operations is refused: it would pay for all', async () => {
  const accountId = await scrip.open('verts');
  const onlyFor = { operations: ['image.upscale'].filter(() => false) };
  const granting = grant(scrip, accountId, 100n, { onlyFor });
  expect(await errorOf(granting)).toMatchObject({ fields: ['only_for.operations'] });
  expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
});

test.each(['estimate', 'reserve', 'charge'] as const)(
  '%s refuses rate card version 0: it would be the one in force',
  async (method) => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), usages: some, rateCardVersion: 0n };
    expect(await errorOf(scrip.billing[method](request))).toMatchObject({
      fields: ['rate_card_version'],
    });
  },
);

test('five late partial commits of an expired reservation charge five times', async () => {
  const accountId = await openWithCredits(scrip, 600n);
  const reservationId = await reserveCredits(scrip, accountId, 600n);
  scrip.advance(16 * MINUTE);
  const commit = (amount: Commit) =>
    scrip.billing.commit({ accountId, requestId: requestId(), reservationId, ...amount });
  for (let part = 1n; part <= 5n; part++) {
    const { committed, reservation } = await commit({ credits: 100n, final: false });
    expect(committed).toBe(100n);
    expect(reservation).toMatchObject({
      state: Reservation_State.EXPIRED,
      committed: part * 100n,
      late: true,
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ late: true, final: false });
  }
  expect((await balanceOf(scrip, accountId)).available).toBe(100n);
  expect(defined((await commit({ all: true })).reservation)).toMatchObject({
    state: Reservation_State.COMMITTED,
    committed: 600n,
  });
  expect(await newestEntry(scrip, accountId)).toMatchObject({ late: true, final: true });
  expect(await errorOf(commit({ credits: 100n, final: false }))).toMatchObject({
    reason: 'RESERVATION_COMMITTED',
    metadata: { committed: '600', state: 'COMMITTED' },
  });
});
