import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import { Entry_Kind, Grant_Category, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  INSPECT,
  newestEntry,
  openWithCredits,
  reserveCredits,
} from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

type BatchMutation = NonNullable<
  Parameters<TestService['billing']['batch']>[0]['mutations']
>[number];

const batch = async (mutations: readonly BatchMutation[]) =>
  (await scrip.billing.batch({ mutations: [...mutations] })).results;
const cases = (results: readonly MutationResult[]) => results.map(({ result }) => result?.$case);
const isReplayed = ({ result }: MutationResult): boolean =>
  result !== undefined && 'replay' in result.value && result.value.replay !== undefined;
const withoutReplay = ({ result }: MutationResult) => ({
  result: result && { ...result, value: { ...result.value, replay: undefined } },
});
const errorIn = ({ result }: MutationResult) =>
  result?.$case === 'error'
    ? { ...result.value, metadata: Object.fromEntries(result.value.metadata) }
    : expect.fail('the mutation succeeded');

const charge = (accountId: string, credits: bigint, id = requestId()): BatchMutation => ({
  mutation: { $case: 'charge', value: { accountId, requestId: id, credits } },
});

describe('Batch', () => {
  test('applies every kind of mutation, with the same responses as single calls', async () => {
    const accountId = await openWithCredits(scrip, 1_000n);
    const [toCommit, toRelease, toExtend] = [
      await reserveCredits(scrip, accountId, 10n),
      await reserveCredits(scrip, accountId, 20n),
      await reserveCredits(scrip, accountId, 30n),
    ];
    const { entrySeq: seq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      credits: 40n,
    });
    const opened = requestId();
    const account = { accountId, requestId: requestId() };
    const reason = 'a test';
    const results = await batch([
      { mutation: { $case: 'reserve', value: { ...account, usages: { items: [INSPECT] } } } },
      { mutation: { $case: 'commit', value: { ...account, reservationId: toCommit, all: true } } },
      { mutation: { $case: 'release', value: { ...account, reservationId: toRelease } } },
      charge(accountId, 5n),
      {
        mutation: {
          $case: 'extendReservation',
          value: { ...account, reservationId: toExtend, ttl: { seconds: 3_600n, nanos: 0 } },
        },
      },
      {
        mutation: {
          $case: 'raiseReservation',
          value: { ...account, reservationId: toExtend, credits: 2n },
        },
      },
      { mutation: { $case: 'refund', value: { ...account, seq, all: true, reason } } },
      {
        mutation: {
          $case: 'purchase',
          value: {
            ...account,
            packId: 'starter',
            payment: { $case: 'paymentReference', value: 'order' },
          },
        },
      },
      {
        mutation: {
          $case: 'grantCredits',
          value: { ...account, credits: 7n, category: Grant_Category.ADJUSTMENT, reason },
        },
      },
      {
        mutation: {
          $case: 'openAccount',
          value: { accountId: opened, requestId: opened, planId: 'perfectparser' },
        },
      },
      { mutation: { $case: 'updateAccount', value: { ...account, displayName: 'Images' } } },
      {
        mutation: { $case: 'moveAccount', value: { ...account, planId: 'perfectparser', reason } },
      },
      { mutation: { $case: 'closeAccount', value: account } },
    ]);
    expect(results.some(isReplayed)).toBe(false);
    expect(results.map(({ result }) => result)).toMatchObject([
      { $case: 'reserve', value: { reservation: { held: 1n }, lines: [{ usage: INSPECT }] } },
      { $case: 'commit', value: { committed: 10n } },
      { $case: 'release', value: { released: 20n } },
      { $case: 'charge', value: { credits: 5n } },
      { $case: 'extendReservation', value: { reservation: { reservationId: toExtend } } },
      { $case: 'raiseReservation', value: { raised: 2n, reservation: { held: 32n } } },
      { $case: 'refund', value: { refunded: 40n } },
      { $case: 'purchase', value: { purchase: { packId: 'starter' } } },
      { $case: 'grantCredits', value: { grant: { amount: 7n } } },
      { $case: 'openAccount', value: { balance: { remaining: 20n } } },
      { $case: 'updateAccount', value: { account: { displayName: 'Images' } } },
      { $case: 'moveAccount', value: { account: { planId: 'perfectparser' } } },
      { $case: 'closeAccount', value: { account: { state: 2 } } },
    ]);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 1_992n, reserved: 33n });
  });

  test('accepts 1,000 mutations of many accounts and returns their results in the order sent', async () => {
    const accounts = await Promise.all(
      Array.from({ length: 10 }, () => openWithCredits(scrip, 60n)),
    );
    const mutations = Array.from({ length: 1_000 }, (_, index) =>
      // Each account has credits for 60 of its 100 charges.
      charge(defined(accounts[index % 10]), 1n),
    );
    const results = await batch(mutations);
    expect(cases(results)).toEqual(mutations.map((_, index) => (index < 600 ? 'charge' : 'error')));
    expect(errorIn(defined(results[999]))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'INSUFFICIENT_CREDITS',
    });
    for (const accountId of accounts) {
      expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
      const charges = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.CHARGE] });
      expect(charges.map(({ requestId: id }) => id)).toEqual(
        mutations
          .slice(0, 600)
          .map(({ mutation }) => mutation?.value)
          .filter((value) => value?.accountId === accountId)
          .map((value) => value?.requestId),
      );
    }
  });

  test('refuses 0 and 1,001 mutations', async () => {
    const accountId = await openWithCredits(scrip, 2_000n);
    for (const count of [0, 1_001])
      expect(
        await errorOf(batch(Array.from({ length: count }, () => charge(accountId, 1n)))),
      ).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: 'INVALID_FIELD',
        fields: ['mutations'],
      });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(2_000n);
  });

  test('returns for each failed mutation what the status and ErrorInfo of a single call say', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const unknown = '01900000-0000-7000-8000-000000000000';
    const account = { accountId, requestId: requestId() };
    const results = await batch([
      charge(accountId, 4n),
      charge(accountId, 50n),
      charge('nobody', 1n),
      { mutation: { $case: 'commit', value: { ...account, reservationId: unknown, all: true } } },
      { mutation: { $case: 'reserve', value: { ...account, accountId: '', credits: -1n } } },
      {},
      charge(accountId, 6n),
    ]);
    expect(cases(results)).toEqual([
      'charge',
      'error',
      'error',
      'error',
      'error',
      'error',
      'charge',
    ]);
    const errors = results.slice(1, 6).map(errorIn);
    expect(errors).toMatchObject([
      {
        code: status.FAILED_PRECONDITION,
        reason: 'INSUFFICIENT_CREDITS',
        metadata: { required: '50', available: '6', shortfall: '44' },
      },
      { code: status.NOT_FOUND, reason: 'ACCOUNT_NOT_FOUND', metadata: { account_id: 'nobody' } },
      {
        code: status.NOT_FOUND,
        reason: 'RESERVATION_NOT_FOUND',
        metadata: { reservation_id: unknown },
      },
      {
        code: status.INVALID_ARGUMENT,
        reason: 'INVALID_FIELD',
        metadata: { field: 'account_id, credits' },
      },
      { code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD', metadata: { field: 'mutation' } },
    ]);
    const alone = await errorOf(
      scrip.billing.charge({ accountId: 'nobody', requestId: requestId(), credits: 1n }),
    );
    expect(errors[1]?.message).toBe(alone.message);
  });

  test('marks replayed mutations, whether the first was in this batch or in another call', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const [before, within] = [requestId(), requestId()];
    const first = await scrip.billing.charge({ accountId, requestId: before, credits: 1n });
    const results = await batch([
      charge(accountId, 1n, before),
      charge(accountId, 2n, within),
      charge(accountId, 2n, within),
      charge(accountId, 3n, within),
    ]);
    expect(results.map(isReplayed)).toEqual([true, false, true, false]);
    expect(results[0]?.result).toMatchObject({ $case: 'charge', value: { ...first, replay: {} } });
    expect(withoutReplay(defined(results[2]))).toEqual(withoutReplay(defined(results[1])));
    expect(errorIn(defined(results[3])).reason).toBe('REQUEST_ID_REUSED');
    expect((await balanceOf(scrip, accountId)).remaining).toBe(97n);

    const alone = await scrip.billing.charge({ accountId, requestId: within, credits: 2n });
    expect(results[1]?.result).toEqual({
      $case: 'charge',
      value: { ...alone, replay: undefined },
    });
  });

  test('has no second effect when it is sent again', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const mutations = Array.from(
      { length: 20 },
      (): BatchMutation => ({
        mutation: {
          $case: 'reserve',
          value: { accountId, requestId: requestId(), usages: { items: [INSPECT] } },
        },
      }),
    );
    const first = await batch(mutations);
    const again = await batch(mutations);
    expect(again.every(isReplayed)).toBe(true);
    expect(again.map(withoutReplay)).toEqual(first);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ reserved: 20n, seq: 22n });
  });
});

describe('Mutations of one account in a batch are applied in the order sent', () => {
  test('an account can be used after it was opened in the same batch', async () => {
    const accountId = requestId();
    const account = { accountId, requestId: requestId() };
    const paid = { $case: 'paymentReference' as const, value: 'order' };
    const results = await batch([
      charge(accountId, 1n),
      { mutation: { $case: 'openAccount', value: { ...account, planId: 'verts' } } },
      charge(accountId, 900n),
      { mutation: { $case: 'purchase', value: { ...account, packId: 'starter', payment: paid } } },
      charge(accountId, 900n),
      { mutation: { $case: 'reserve', value: { ...account, credits: 100n } } },
      { mutation: { $case: 'closeAccount', value: account } },
      charge(accountId, 0n),
    ]);
    expect(cases(results)).toEqual([
      'error',
      'openAccount',
      'error',
      'purchase',
      'charge',
      'reserve',
      'closeAccount',
      'error',
    ]);
    expect(errorIn(defined(results[7])).reason).toBe('ACCOUNT_CLOSED');
    const { kind, reservedAfter } = await newestEntry(scrip, accountId);
    expect([kind, reservedAfter]).toEqual([Entry_Kind.CLOSE_ACCOUNT, 100n]);
  });

  test('a charge can name the rate card version of an account opened in the same batch', async () => {
    const accountId = requestId();
    const account = { accountId, requestId: requestId() };
    const results = await batch([
      { mutation: { $case: 'openAccount', value: { ...account, planId: 'aspose-cloud' } } },
      {
        mutation: {
          $case: 'charge',
          value: {
            ...account,
            usages: { items: [{ operation: 'ocr.recognize' }] },
            rateCardVersion: 1n,
          },
        },
      },
    ]);
    expect(cases(results)).toEqual(['openAccount', 'charge']);
  });

  test('a charge can be refunded in the same batch', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const results = await batch([
      charge(accountId, 30n), // The account's entry 2.
      {
        mutation: {
          $case: 'refund',
          value: { accountId, requestId: requestId(), seq: 3n, all: true, reason: 'a test' },
        },
      },
    ]);
    expect(cases(results)).toEqual(['charge', 'refund']);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(100n);
  });

  test('a commit can be refunded in the same batch', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 30n);
    const account = { accountId, requestId: requestId() };
    const results = await batch([
      { mutation: { $case: 'commit', value: { ...account, reservationId, all: true } } }, // Entry 3.
      {
        mutation: {
          $case: 'refund',
          value: { ...account, seq: 4n, credits: 10n, reason: 'a test' },
        },
      },
    ]);
    expect(cases(results)).toEqual(['commit', 'refund']);
  });

  test('a reservation ends once', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 30n);
    const withRequestId = () => ({ accountId, requestId: requestId(), reservationId });
    const results = await batch([
      { mutation: { $case: 'commit', value: { ...withRequestId(), credits: 10n, final: false } } },
      { mutation: { $case: 'commit', value: { ...withRequestId(), credits: 5n } } },
      { mutation: { $case: 'commit', value: { ...withRequestId(), credits: 15n } } },
      { mutation: { $case: 'release', value: withRequestId() } },
    ]);
    expect(cases(results)).toEqual(['commit', 'commit', 'commit', 'error']);
    expect(errorIn(defined(results[3])).reason).toBe('RESERVATION_COMMITTED');
    const { reservation } = await scrip.billing.getReservation({ accountId, reservationId });
    expect(reservation).toMatchObject({
      state: Reservation_State.COMMITTED,
      committed: 15n,
      returned: 15n,
    });
  });

  test('a payment reference buys one pack', async () => {
    const accountId = await scrip.open('verts');
    const payment = { $case: 'paymentReference' as const, value: 'order' };
    const buy = (): BatchMutation => ({
      mutation: {
        $case: 'purchase',
        value: { accountId, requestId: requestId(), packId: 'starter', payment },
      },
    });
    const results = await batch([buy(), buy()]);
    expect(cases(results)).toEqual(['purchase', 'error']);
    expect(errorIn(defined(results[1])).reason).toBe('PAYMENT_REFERENCE_USED');
  });
});
