/** What a policy says holds for each mutation of an atomic Batch: one that is denied keeps all from taking effect. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { balanceOf, INSPECT, openWithCredits, storedRows, UPSCALE } from '../accounts.ts';
import { errorIn } from '../rpc-error.ts';
import { requestId, type TestService } from '../service.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const BOTH = 'roles: [product-service, support]';
const RULES = `
  - { id: header:product, roles: [product-service] }
  - { id: header:images, ${BOTH}, operations: [image.*] }
  - { id: header:elsewhere, ${BOTH}, accounts: { labels: { team: a } } }
  - { id: header:call, ${BOTH}, credits: { per_call: 10 } }
  - { id: header:account, ${BOTH}, credits: { per_account_and_day: 100 } }
  - { id: header:day, ${BOTH}, credits: { per_day: 100 } }
  - { id: header:slow, ${BOTH}, requests_per_second: { rate: 1, burst: 3 } }`;

/** Noon of a day: it does not end while the tests run. */
const NOON = Date.UTC(2031, 4, 10, 12);

let scrip: PolicedService;
let accountId: string;
beforeAll(async () => {
  scrip = await startPoliced(RULES, { frozenAt: NOON });
});
beforeEach(async () => {
  accountId = await openWithCredits(scrip, 1_000n);
});
afterAll(() => scrip.stop());

type BatchMutation = NonNullable<
  Parameters<TestService['billing']['batch']>[0]['mutations']
>[number];

const charge = (credits: bigint, id = requestId()): BatchMutation => ({
  mutation: { $case: 'charge', value: { accountId, requestId: id, credits } },
});
const use = (...items: (typeof INSPECT)[]): BatchMutation => ({
  mutation: { $case: 'charge', value: { accountId, requestId: requestId(), usages: { items } } },
});
const give = (credits: bigint): BatchMutation => {
  const value = { accountId, requestId: requestId(), credits, reason: 'a test' };
  return {
    mutation: { $case: 'grantCredits', value: { ...value, category: Grant_Category.PROMOTIONAL } },
  };
};

const atomic = async (caller: string, ...mutations: readonly BatchMutation[]) =>
  (await scrip.as(caller).billing.batch({ mutations: [...mutations], atomic: true })).results;
const reasonsOf = (results: readonly MutationResult[]) =>
  results.map((result) =>
    result.result?.$case === 'error' ? errorIn(result).reason : result.result?.$case,
  );

/** The reasons of a batch that must have written nothing. */
async function refused(caller: string, ...mutations: readonly BatchMutation[]) {
  const before = await storedRows(scrip, accountId);
  const reasons = reasonsOf(await atomic(caller, ...mutations));
  expect(await storedRows(scrip, accountId)).toBe(before);
  return reasons;
}

describe('of an atomic Batch', () => {
  test('each method must be allowed', async () => {
    expect(await refused('product', charge(1n), give(1n))).toEqual([
      'BATCH_REFUSED',
      'CALLER_NOT_ALLOWED',
    ]);
    expect(scrip.logged('denied').at(-1)).toMatchObject({ caller: 'product' });
  });

  test('each operation must be allowed', async () => {
    expect(await refused('images', use(UPSCALE), use(INSPECT), use(UPSCALE))).toEqual([
      'BATCH_REFUSED',
      'CALLER_NOT_ALLOWED',
      'BATCH_REFUSED',
    ]);
    expect(reasonsOf(await atomic('images', use(UPSCALE), use(UPSCALE)))).toEqual([
      'charge',
      'charge',
    ]);
  });

  test('the account must be in scope, and nothing is told of what was done on it', async () => {
    await scrip.billing.charge({ accountId, requestId: 'known', credits: 1n });
    expect(await refused('elsewhere', charge(2n), charge(1n, 'known'))).toEqual([
      'BATCH_REFUSED',
      'ACCOUNT_NOT_FOUND',
    ]);
    expect(await refused('elsewhere', charge(2n), charge(3n))).toEqual([
      'ACCOUNT_NOT_FOUND',
      'BATCH_REFUSED',
    ]);
  });

  test('each mutation may move what a call may', async () => {
    expect(await refused('call', charge(10n), charge(11n))).toEqual([
      'BATCH_REFUSED',
      'CALLER_NOT_ALLOWED',
    ]);
    expect(reasonsOf(await atomic('call', charge(10n), charge(10n)))).toEqual(['charge', 'charge']);
  });

  test.each(['account', 'day'])(
    'all mutations together may move what one %s may',
    async (caller) => {
      expect(await refused(caller, charge(60n), charge(41n))).toEqual([
        'BATCH_REFUSED',
        'CALLER_LIMIT_REACHED',
      ]);
      // What was refused has not counted.
      const all = [charge(60n), charge(40n)];
      expect(reasonsOf(await atomic(caller, ...all))).toEqual(['charge', 'charge']);
      expect(reasonsOf(await atomic(caller, ...all))).toEqual(['charge', 'charge']);
      expect(await refused(caller, charge(0n), charge(1n))).toEqual([
        'BATCH_REFUSED',
        'CALLER_LIMIT_REACHED',
      ]);
    },
  );

  test('what it would have given does not count against the day if it is refused', async () => {
    await scrip.usePolicy(`${RULES}\n  - { id: header:giver, ${BOTH}, credits: { per_day: 100 } }`);
    expect(await refused('giver', give(60n), give(41n))).toEqual([
      'BATCH_REFUSED',
      'CALLER_LIMIT_REACHED',
    ]);
    const reservationId = '01900000-0000-7000-8000-000000000000';
    const value = { accountId, requestId: requestId(), reservationId };
    const release: BatchMutation = { mutation: { $case: 'release', value } };
    expect(await refused('giver', give(100n), release)).toEqual([
      'BATCH_REFUSED',
      'RESERVATION_NOT_FOUND',
    ]);
    const all = [give(70n), give(30n)];
    expect(reasonsOf(await atomic('giver', ...all))).toEqual(['grantCredits', 'grantCredits']);
    expect(reasonsOf(await atomic('giver', ...all))).toEqual(['grantCredits', 'grantCredits']);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(1_100n);
  });

  test('each mutation counts against the rate of calls', async () => {
    const three = [charge(1n), charge(1n), charge(1n)];
    expect(reasonsOf(await atomic('slow', ...three))).toEqual(['charge', 'charge', 'charge']);
    await expect(atomic('slow', charge(1n), charge(1n))).rejects.toMatchObject({
      reason: 'RATE_LIMITED',
    });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(997n);
  });
});
