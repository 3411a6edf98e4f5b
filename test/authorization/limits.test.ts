/** Limits of credits: of a call, and of a day, exact where they say so, on one replica or on two. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import { Grant_Category, OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { MINUTE, openWithCredits, storedRows } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { errorOf, type RpcError } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const ROLES = 'roles: [product-service, support, billing-admin]';
const RULES = `
  - { id: header:call, ${ROLES}, credits: { per_call: 10 } }
  - { id: header:account, ${ROLES}, credits: { per_account_and_day: 100 } }
  - { id: header:day, ${ROLES}, credits: { per_day: 100 } }
  - { id: header:most, ${ROLES}, credits: { per_day: 9200000000000000000 } }
  - { id: header:other, ${ROLES}, credits: { per_account_and_day: 100, per_day: 100 } }
  - { id: header:narrow, ${ROLES}, credits: { per_day: 100 }, operations: [image.*] }`;

/** Noon of a day. */
const NOON = Date.UTC(2031, 4, 10, 12);
const MIDNIGHT = new Date(Date.UTC(2031, 4, 11)).toISOString();

type Named = { readonly accountId: string; readonly requestId: string };
const named = (accountId: string): Named => ({ accountId, requestId: requestId() });

const grantRequest = (accountId: string, credits: bigint) => ({
  ...named(accountId),
  credits,
  category: Grant_Category.PROMOTIONAL,
  reason: 'a test',
});

/** Ends as "OK", or with a reason. */
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'OK',
    (error: { readonly reason: string }) => error.reason,
  );

describe('credits per call', () => {
  let scrip: PolicedService;
  let accountId: string;
  beforeAll(async () => {
    scrip = await startPoliced(RULES);
  });
  afterAll(() => scrip.stop());
  beforeEach(async () => {
    accountId = await openWithCredits(scrip, 1_000n);
  });

  const reserve = async (client: Scrip, credits: bigint, more = {}) =>
    (await client.billing.reserve({ ...named(accountId), credits, ...more })).reservation
      ?.reservationId ?? '';
  const charge = async (client: Scrip, credits: bigint) =>
    (await client.billing.charge({ ...named(accountId), credits })).entrySeq;

  /** Each moves \`credits\` as the caller \`call\`. */
  const MOVING: Readonly<Record<string, (credits: bigint) => Promise<unknown>>> = {
    Reserve: (credits) => reserve(scrip.as('call'), credits),
    Charge: (credits) => charge(scrip.as('call'), credits),
    RaiseReservation: async (credits) =>
      scrip.as('call').billing.raiseReservation({
        ...named(accountId),
        reservationId: await reserve(scrip.as('call'), 10n),
        credits,
      }),
    'Commit, beyond the reservation': async (credits) =>
      scrip.as('call').billing.commit({
        ...named(accountId),
        reservationId: await reserve(scrip, 100n, { overCommitPolicy: OverCommitPolicy.DRAW }),
        credits: 100n + credits,
      }),
    GrantCredits: (credits) =>
      scrip.as('call').accounts.grantCredits(grantRequest(accountId, credits)),
    Refund: async (credits) =>
      scrip.as('call').billing.refund({
        ...named(accountId),
        seq: await charge(scrip, 50n),
        credits,
        reason: 'a test',
      }),
  };

  test.each(Object.entries(MOVING))('%s', async (_, move) => {
    await move(10n);
    const error = await errorOf(move(11n));
    expect(error).toMatchObject({
      code: 7,
      reason: 'CALLER_NOT_ALLOWED',
      retryMs: null,
      metadata: {
        caller: 'call',
        method: expect.any(String),
        account_id: accountId,
        limit: 'credits_per_call',
        allowed: '10',
        asked: '11',
      },
    });
  });

  test('of a refund of all that is left', async () => {
    const [small, large] = [await charge(scrip, 10n), await charge(scrip, 11n)];
    const refund = (seq: bigint) =>
      scrip.as('call').billing.refund({ ...named(accountId), seq, all: true, reason: 'a test' });
    await refund(small);
    expect(await errorOf(refund(large))).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
  });

  test('nothing is written of what is refused, on a cached account too', async () => {
    await charge(scrip.as('call'), 10n);
    const before = await storedRows(scrip, accountId);
    expect(await reasonOf(charge(scrip.as('call'), 11n))).toBe('CALLER_NOT_ALLOWED');
    expect(await storedRows(scrip, accountId)).toBe(before);
  });

  test('a commit of what is reserved is never too much', async () => {
    const reservationId = await reserve(scrip, 500n);
    await scrip.as('call').billing.commit({ ...named(accountId), reservationId, all: true });
  });

  test('each mutation of a Batch counts by itself', async () => {
    const { results } = await scrip.as('call').billing.batch({
      mutations: [10n, 11n, 10n].map((credits) => ({
        mutation: { $case: 'charge', value: { ...named(accountId), credits } },
      })),
    });
    expect(results.map(({ result }) => result?.$case)).toEqual(['charge', 'error', 'charge']);
  });
});

describe('credits of a day', () => {
  let first: PolicedService;
  let second: PolicedService;
  beforeEach(async () => {
    first = await startPoliced(RULES, { frozenAt: NOON });
    second = await startPoliced(RULES, { frozenAt: NOON, databaseUrl: first.databaseUrl });
  });
  afterEach(async () => {
    await first.stop();
    await second.stop();
  });

  /** Clients of both replicas, in turn. */
  const replica = (index: number, caller: string): Scrip =>
    (index % 2 === 0 ? first : second).as(caller);

  async function sumOf(caller: string, kind: string): Promise<number> {
    const [row] = await execute(
      first.databaseUrl,
      'select coalesce(sum(credits), 0)::int as credits from history where caller = $1 and kind = $2',
      [caller, kind],
    );
    return Number(row?.['credits']);
  }

  const expectLimit = (error: RpcError, limit: string, used: string, asked: string) =>
    expect(error).toMatchObject({
      code: 8,
      reason: 'CALLER_LIMIT_REACHED',
      retryMs: null,
      metadata: { limit, allowed: '100', used, asked, resets_at: MIDNIGHT },
    });

  describe('on each account', () => {
    const charge = (index: number, accountId: string, credits: bigint, id = requestId()) =>
      replica(index, 'account').billing.charge({ accountId, requestId: id, credits });

    test('are never exceeded by 50 calls at once on two replicas', async () => {
      const accounts = [await openWithCredits(first, 900n), await openWithCredits(first, 900n)];
      for (const accountId of accounts) {
        const calls = Array.from({ length: 50 }, (_, index) =>
          reasonOf(charge(index, accountId, 7n)),
        );
        const reasons = await Promise.all(calls);
        // 14 times 7 is 98.
        expect(reasons.filter((reason) => reason === 'OK')).toHaveLength(14);
        expect(new Set(reasons)).toEqual(new Set(['OK', 'CALLER_LIMIT_REACHED']));
        const error = await errorOf(charge(0, accountId, 3n));
        expectLimit(error, 'credits_per_account_and_day', '98', '3');
        await charge(1, accountId, 2n);
      }
      expect(await sumOf('account', 'CHARGE')).toBe(200);
    });

    test('count everything that the caller moves there, and no replays', async () => {
      const accountId = await openWithCredits(first, 900n);
      const client = first.as('account');
      const request = { ...named(accountId), credits: 40n };
      const { reservation } = await client.billing.reserve(request);
      for (let time = 0; time < 3; time++) await replica(time, 'account').billing.reserve(request);
      const { reservationId = '' } = reservation ?? {};
      await client.billing.raiseReservation({ ...named(accountId), reservationId, credits: 20n });
      await client.accounts.grantCredits(grantRequest(accountId, 30n));
      expectLimit(
        await errorOf(charge(1, accountId, 11n)),
        'credits_per_account_and_day',
        '90',
        '11',
      );
      // What is committed was counted when it was reserved; what is released does not count back.
      await client.billing.commit({ ...named(accountId), reservationId, credits: 10n });
      await charge(1, accountId, 10n);
      await expect(charge(0, accountId, 1n)).rejects.toMatchObject({
        reason: 'CALLER_LIMIT_REACHED',
      });
      // Replays are answered all the same.
      expect(await client.billing.reserve(request)).toMatchObject({ replay: expect.anything() });
      // Another caller has a limit of its own.
      await first.as('other').billing.charge({ ...named(accountId), credits: 100n });
    });

    test('begin anew with the UTC day', async () => {
      const accountId = await openWithCredits(first, 900n);
      await charge(0, accountId, 100n);
      for (const service of [first, second]) service.setNow(Date.parse(MIDNIGHT) - 1);
      expect(await reasonOf(charge(0, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
      for (const service of [first, second]) service.setNow(Date.parse(MIDNIGHT));
      await charge(1, accountId, 60n);
      await charge(0, accountId, 40n);
      expect(await reasonOf(charge(1, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
    });

    test('count on cached accounts and on those that are read', async () => {
      const accountId = await openWithCredits(first, 900n);
      for (let time = 0; time < 10; time++) await charge(time < 5 ? 0 : time, accountId, 10n);
      for (const index of [0, 1])
        expect(await reasonOf(charge(index, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
    });
  });

  describe('of operators, on all accounts', () => {
    const grant = (index: number, accountId: string, credits: bigint, caller = 'day') =>
      replica(index, caller).accounts.grantCredits(grantRequest(accountId, credits));

    test('are never exceeded by 50 grants at once on two replicas and several accounts', async () => {
      const accounts = await Promise.all(Array.from({ length: 5 }, () => first.open('verts')));
      const calls = Array.from({ length: 50 }, (_, index) =>
        reasonOf(grant(index, accounts[index % 5] ?? '', 7n)),
      );
      const reasons = await Promise.all(calls);
      expect(reasons.filter((reason) => reason === 'OK')).toHaveLength(14);
      expect(new Set(reasons)).toEqual(new Set(['OK', 'CALLER_LIMIT_REACHED']));
      expect(await sumOf('day', 'GRANT')).toBe(98);
      const error = await errorOf(grant(0, accounts[0] ?? '', 3n));
      expectLimit(error, 'credits_per_day', '98', '3');
      await grant(1, accounts[1] ?? '', 2n);
      const rows = await execute(
        first.databaseUrl,
        'select caller, credits::int as credits from caller_quotas',
      );
      expect(rows).toEqual([{ caller: 'day', credits: 100 }]);
    });

    test('are as exact where the sum would be more than an int64', async () => {
      const half = 5_000_000_000_000_000_000n;
      const accounts = await Promise.all([0, 1].map(() => first.open('verts')));
      await grant(0, accounts[0] ?? '', half, 'most');
      const error = await errorOf(grant(1, accounts[1] ?? '', half, 'most'));
      expect(error).toMatchObject({
        reason: 'CALLER_LIMIT_REACHED',
        metadata: { limit: 'credits_per_day', used: `${half}`, asked: `${half}` },
      });
    });

    test('count grants and refunds together, and neither failures nor replays', async () => {
      const accountId = await openWithCredits(first, 900n);
      const { entrySeq } = await first.billing.charge({ ...named(accountId), credits: 90n });
      const refund = { ...named(accountId), seq: entrySeq, credits: 60n, reason: 'a test' };
      const { billing, accounts } = first.as('day');
      await billing.refund(refund);
      for (let time = 0; time < 3; time++) {
        expect(await billing.refund(refund)).toMatchObject({ replay: expect.anything() });
        // More than was charged.
        expect(
          await reasonOf(billing.refund({ ...refund, ...named(accountId), credits: 40n })),
        ).toBe('EXCEEDS_COMMIT');
        expect(await reasonOf(grant(time, 'no-such-account', 40n))).toBe('ACCOUNT_NOT_FOUND');
      }
      expect(await reasonOf(accounts.grantCredits(grantRequest(accountId, 41n)))).toBe(
        'CALLER_LIMIT_REACHED',
      );
      await grant(1, accountId, 40n);
      // At the limit a replay is answered, and what is new refused.
      expect(await billing.refund(refund)).toMatchObject({ replay: expect.anything() });
      expect(await reasonOf(grant(0, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
    });

    test('need a refund to say how much', async () => {
      const accountId = await openWithCredits(first, 900n);
      const { entrySeq: seq } = await first.billing.charge({ ...named(accountId), credits: 9n });
      const refund = { ...named(accountId), seq, all: true, reason: 'a test' };
      expect(await errorOf(first.as('day').billing.refund(refund))).toMatchObject({
        reason: 'CALLER_NOT_ALLOWED',
        metadata: { limit: 'credits_per_day', account_id: accountId, method: 'Refund' },
      });
      await first.as('account').billing.refund(refund);
    });

    test('begin anew with the UTC day', async () => {
      const accountId = await openWithCredits(first, 900n);
      await grant(0, accountId, 100n);
      expect(await reasonOf(grant(1, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
      // The clock of one replica is a little ahead: the other one still has the day before.
      first.setNow(Date.parse(MIDNIGHT));
      await grant(0, accountId, 60n);
      expect(await reasonOf(grant(1, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
      second.setNow(Date.parse(MIDNIGHT) + MINUTE);
      await grant(1, accountId, 40n);
      expect(await reasonOf(grant(1, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
    });

    test('count in a Batch', async () => {
      const accountId = await openWithCredits(first, 900n);
      const { results } = await first.as('day').billing.batch({
        mutations: Array.from({ length: 30 }, () => ({
          mutation: { $case: 'grantCredits', value: grantRequest(accountId, 7n) },
        })),
      });
      expect(results.filter(({ result }) => result?.$case === 'grantCredits')).toHaveLength(14);
      expect(await sumOf('day', 'GRANT')).toBe(98);
    });
  });

  describe('of product services, on all accounts', () => {
    const charge = (index: number, accountId: string, credits: bigint, id = requestId()) =>
      replica(index, 'day').billing.charge({ accountId, requestId: id, credits });

    test('are exact on each replica', async () => {
      const accounts = await Promise.all(
        Array.from({ length: 5 }, () => openWithCredits(first, 900n)),
      );
      const calls = Array.from({ length: 100 }, (_, index) =>
        reasonOf(charge(index, accounts[index % 5] ?? '', 7n)),
      );
      const reasons = await Promise.all(calls);
      expect(reasons.filter((reason) => reason === 'OK')).toHaveLength(28);
      expect(await sumOf('day', 'CHARGE')).toBe(196);
      const error = await errorOf(charge(0, accounts[0] ?? '', 3n));
      expectLimit(error, 'credits_per_day', '98', '3');
      // Not one large call, either.
      await charge(1, accounts[0] ?? '', 2n);
      expect(await reasonOf(charge(1, accounts[0] ?? '', 1n))).toBe('CALLER_LIMIT_REACHED');
    });

    test('count neither failures nor replays, and begin anew with the UTC day', async () => {
      const accountId = await openWithCredits(first, 300n);
      const id = requestId();
      await charge(0, accountId, 60n, id);
      for (let time = 0; time < 3; time++) {
        await charge(0, accountId, 60n, id);
        expect(await reasonOf(charge(0, 'no-such-account', 40n))).toBe('ACCOUNT_NOT_FOUND');
      }
      await charge(0, accountId, 40n);
      expect(await reasonOf(charge(0, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
      // A replay at the limit is answered.
      expect(await charge(0, accountId, 60n, id)).toMatchObject({ replay: expect.anything() });
      first.setNow(Date.parse(MIDNIGHT));
      await charge(0, accountId, 100n);
      expect(await reasonOf(charge(0, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
    });

    test('are not reached by what fails for want of credits', async () => {
      const [poor, rich] = [await openWithCredits(first, 5n), await openWithCredits(first, 500n)];
      for (let time = 0; time < 5; time++)
        expect(await reasonOf(charge(0, poor, 90n))).toBe('INSUFFICIENT_CREDITS');
      await charge(0, rich, 100n);
    });

    test('let work that runs be settled', async () => {
      const accountId = await openWithCredits(first, 900n);
      const { billing } = first.as('day');
      const reserve = { ...named(accountId), credits: 100n };
      const { reservationId = '' } = (await billing.reserve(reserve)).reservation ?? {};
      expect(await reasonOf(charge(0, accountId, 1n))).toBe('CALLER_LIMIT_REACHED');
      await billing.commit({ ...named(accountId), reservationId, credits: 50n, final: false });
      await billing.extendReservation({
        ...named(accountId),
        reservationId,
        ttl: { seconds: 60n },
      });
      await billing.release({ ...named(accountId), reservationId });
    });
  });
});
