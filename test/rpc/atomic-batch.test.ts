/** An atomic Batch: all of its mutations take effect, or none. */
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Mutation, MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import { Entry_Kind, Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  HOUR,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { exceedDeadline, lockAccount } from '../disruptions.ts';
import { CHECKOUT } from '../payments/given.ts';
import { errorIn, errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterEach(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});
afterAll(() => scrip.stop());

type BatchMutation = NonNullable<
  Parameters<TestService['billing']['batch']>[0]['mutations']
>[number];
type Case = NonNullable<Mutation['mutation']>['$case'];

const atomic = async (mutations: readonly BatchMutation[]) =>
  (await scrip.billing.batch({ mutations: [...mutations], atomic: true })).results;
const cases = (results: readonly MutationResult[]) => results.map(({ result }) => result?.$case);
const withoutReplay = ({ result }: MutationResult) => ({
  result: result && { ...result, value: { ...result.value, replay: undefined } },
});
const atAnyTime = ({ result }: MutationResult) =>
  result?.$case === 'charge'
    ? { ...result.value, balance: { ...result.value.balance, asOf: null } }
    : expect.fail('it is no charge');
const isReplayed = ({ result }: MutationResult): boolean =>
  result !== undefined && 'replay' in result.value && result.value.replay !== undefined;

const charge = (accountId: string, credits: bigint, id = requestId()): BatchMutation => ({
  mutation: { $case: 'charge', value: { accountId, requestId: id, credits } },
});
const give = (accountId: string, credits: bigint, id = requestId()): BatchMutation => {
  const value = { accountId, requestId: id, credits, reason: 'a test' };
  return {
    mutation: { $case: 'grantCredits', value: { ...value, category: Grant_Category.ADJUSTMENT } },
  };
};

/** Asserts that the mutation at `index` was refused with the reason, and the others because of it. */
function expectRefused(results: readonly MutationResult[], index: number, refusal: string) {
  for (const [place, error] of results.map(errorIn).entries())
    if (place === index) expect(error.reason).toBe(refusal);
    else
      expect(error).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: 'BATCH_REFUSED',
        metadata: { index: `${index}`, refusal },
      });
}

describe('an atomic Batch', () => {
  test('takes effect in the order sent, in one unit of work', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 50n);
    const account = { accountId, requestId: requestId() };
    const results = await atomic([
      charge(accountId, 50n),
      { mutation: { $case: 'release', value: { ...account, reservationId } } },
      charge(accountId, 50n),
      give(accountId, 7n),
      { mutation: { $case: 'reserve', value: { ...account, credits: 7n } } },
    ]);
    expect(cases(results)).toEqual(['charge', 'release', 'charge', 'grantCredits', 'reserve']);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 7n, reserved: 7n });
    const written = (await entriesOf(scrip, accountId)).slice(3);
    expect(new Set(written.map(({ at }) => at?.getTime())).size).toBe(1);
    expect(written.map(({ kind }) => kind)).toEqual([
      Entry_Kind.CHARGE,
      Entry_Kind.RELEASE,
      Entry_Kind.CHARGE,
      Entry_Kind.GRANT,
      Entry_Kind.RESERVE,
    ]);
    const seqs = results.map(
      ({ result }) => result && 'entrySeq' in result.value && result.value.entrySeq,
    );
    expect(written.map(({ seq }) => seq)).toEqual(seqs);
  });

  test('answers each mutation as a single call would', async () => {
    const [one, other] = [await openWithCredits(scrip, 9n), await openWithCredits(scrip, 9n)];
    const results = await atomic([charge(one, 2n), charge(one, 3n)]);
    const alone = await scrip.billing.batch({ mutations: [charge(other, 2n), charge(other, 3n)] });
    expect(results.map(atAnyTime)).toEqual(alone.results.map(atAnyTime));
  });

  test('opens an account and gives it credits, or leaves no account', async () => {
    const accountId = requestId();
    const open: BatchMutation = {
      mutation: {
        $case: 'openAccount',
        value: { accountId, requestId: requestId(), planId: 'verts' },
      },
    };
    const refused = await atomic([open, give(accountId, 5n), charge(accountId, 6n)]);
    expectRefused(refused, 2, 'INSUFFICIENT_CREDITS');
    expect(await errorOf(scrip.billing.getBalance({ accountId }))).toMatchObject({
      reason: 'ACCOUNT_NOT_FOUND',
    });
    const done = await atomic([open, give(accountId, 6n), charge(accountId, 6n)]);
    expect(cases(done)).toEqual(['openAccount', 'grantCredits', 'charge']);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 0n, seq: 3n });
  });

  test('needs more grants than are read at first', async () => {
    const accountId = await scrip.open('verts');
    for (let grants = 0; grants < 40; grants++) await grant(scrip, accountId, 1n);
    const results = await atomic(Array.from({ length: 4 }, () => charge(accountId, 10n)));
    expect(cases(results)).toEqual(['charge', 'charge', 'charge', 'charge']);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
  });

  test('has up to 100 mutations', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const results = await atomic(Array.from({ length: 100 }, () => charge(accountId, 1n)));
    expect(new Set(cases(results))).toEqual(new Set(['charge']));
    expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
    const tooMany = atomic(Array.from({ length: 101 }, () => charge(accountId, 0n)));
    expect(await errorOf(tooMany)).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['mutations'],
    });
    expect(await errorOf(atomic([]))).toMatchObject({ fields: ['mutations'] });
  });

  test('names one account', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const other = await openWithCredits(scrip, 100n);
    const mixed = atomic([charge(accountId, 1n), charge(accountId, 1n), charge(other, 1n)]);
    expect(await errorOf(mixed)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: ['mutations[2]'],
    });
    for (const id of [accountId, other]) expect((await balanceOf(scrip, id)).remaining).toBe(100n);
  });
});

const unknown = '01900000-0000-7000-8000-000000000000';
const reason = 'a test';
type Failing = readonly [refusal: string, fields: Readonly<Record<string, unknown>>];
/** For each kind of mutation one that is refused on an open account with 100 credits, and why. */
const failing: Readonly<Record<Case, Failing>> = {
  reserve: ['INSUFFICIENT_CREDITS', { credits: 1_000n }],
  commit: ['RESERVATION_NOT_FOUND', { reservationId: unknown, all: true }],
  release: ['RESERVATION_NOT_FOUND', { reservationId: unknown }],
  charge: ['INSUFFICIENT_CREDITS', { credits: 1_000n }],
  extendReservation: [
    'RESERVATION_NOT_FOUND',
    { reservationId: unknown, ttl: { seconds: 60n, nanos: 0 } },
  ],
  raiseReservation: ['RESERVATION_NOT_FOUND', { reservationId: unknown, credits: 1n }],
  refund: ['ENTRY_NOT_FOUND', { seq: 1n, all: true, reason }],
  purchase: [
    'PACK_NOT_FOUND',
    { packId: 'none', payment: { $case: 'paymentReference', value: 'order' } },
  ],
  grantCredits: ['INVALID_FIELD', { credits: -1n, category: Grant_Category.PAID, reason }],
  openAccount: ['ACCOUNT_EXISTS', { planId: 'verts' }],
  updateAccount: ['INVALID_FIELD', { displayName: 'x'.repeat(10_000) }],
  closeAccount: ['REQUEST_EXPIRED', { notAfter: new Date(0) }],
  moveAccount: ['PLAN_NOT_FOUND', { planId: 'none', reason }],
  voidGrant: ['GRANT_NOT_FOUND', { grantId: 99n, all: true, reason }],
  updateGrant: ['GRANT_NOT_FOUND', { grantId: 99n, priority: 3, reason }],
  suspendAccount: ['INVALID_FIELD', { reason: '' }],
  resumeAccount: ['REQUEST_EXPIRED', { reason, notAfter: new Date(0) }],
};

describe.each(Object.entries(failing))('a refused %s', ($case, [refusal, fields]) => {
  const refused = (accountId: string) =>
    ({
      mutation: { $case, value: { accountId, requestId: requestId(), ...fields } },
    }) as BatchMutation;

  test.each([0, 1, 2])('at place %i leaves everything as it was', async (place) => {
    const accountId = await openWithCredits(scrip, 100n);
    const before = await storedRows(scrip, accountId);
    const mutations = [charge(accountId, 5n), give(accountId, 3n)];
    mutations.splice(place, 0, refused(accountId));
    expectRefused(await atomic(mutations), place, refusal);
    expect(await storedRows(scrip, accountId)).toBe(before);
    // What was not done is not remembered: the others succeed under the same request ids.
    mutations.splice(place, 1);
    expect((await atomic(mutations)).some(isReplayed)).toBe(false);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(98n);
  });
});

describe('a refused atomic Batch', () => {
  test('names every mutation that is refused before the account is looked at, and one of the others', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const bad = await atomic([
      charge(accountId, 1n),
      charge(accountId, -1n),
      {},
      give(accountId, 0n),
    ]);
    expect(bad.map(errorIn).map((error) => error.reason)).toEqual([
      'BATCH_REFUSED',
      'INVALID_FIELD',
      'INVALID_FIELD',
      'INVALID_FIELD',
    ]);
    expect(errorIn(defined(bad[0])).metadata).toEqual({ index: '1', refusal: 'INVALID_FIELD' });
    const tooMuch = await atomic([
      charge(accountId, 4n),
      charge(accountId, 7n),
      charge(accountId, 9n),
    ]);
    expectRefused(tooMuch, 1, 'INSUFFICIENT_CREDITS');
    expect(errorIn(defined(tooMuch[1])).metadata).toMatchObject({ required: '7', available: '6' });
  });

  test('takes no Purchase that calls the payment provider', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const value = { accountId, requestId: requestId(), packId: 'starter', payment: CHECKOUT };
    const results = await atomic([
      charge(accountId, 1n),
      { mutation: { $case: 'purchase', value } },
    ]);
    expectRefused(results, 1, 'INVALID_FIELD');
    expect(errorIn(defined(results[1])).fields).toEqual(['checkout']);
  });

  test('leaves a cached account as it is', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    for (let round = 0; round < 3; round++) {
      await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
      expectRefused(
        await atomic([charge(accountId, 1n), charge(accountId, 10n)]),
        1,
        'INSUFFICIENT_CREDITS',
      );
    }
    expect((await balanceOf(scrip, accountId)).remaining).toBe(7n);
  });

  test('does not affect the calls that share its unit of work', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    // The first holds the lane until the lock is free; the others wait for it together.
    const first = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    const others = Promise.all([
      scrip.billing.charge({ accountId, requestId: requestId(), credits: 10n }),
      atomic([charge(accountId, 20n), charge(accountId, 200n)]),
      scrip.billing.charge({ accountId, requestId: requestId(), credits: 30n }),
      atomic([charge(accountId, 3n), charge(accountId, 4n)]),
    ]);
    await unlock();
    await first;
    const [, refused, , done] = await others;
    expectRefused(refused, 1, 'INSUFFICIENT_CREDITS');
    expect(cases(done)).toEqual(['charge', 'charge']);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(52n);
  });

  test('is not begun once its caller has given up', async () => {
    const own = await startTestService({ env: { ACCOUNT_CACHE_MAX: '0' } });
    const accountId = await openWithCredits(own, 10n);
    const before = await storedRows(own, accountId);
    const unlock = await lockAccount(own.databaseUrl, accountId);
    const mutations = [charge(accountId, 1n), charge(accountId, 2n)];
    await exceedDeadline(own, (options) => own.billing.batch({ mutations, atomic: true }, options));
    await unlock();
    // It is decided after what is queued before it.
    await errorOf(own.billing.charge({ accountId, requestId: requestId(), credits: 99n }));
    expect(await storedRows(own, accountId)).toBe(before);
    await own.stop();
  });

  test('expires as soon as one of its mutations has', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const value = { accountId, requestId: requestId(), credits: 1n };
    const late = { ...value, notAfter: new Date(scrip.now() - HOUR) };
    const results = await atomic([
      charge(accountId, 1n),
      { mutation: { $case: 'charge', value: late } },
    ]);
    expectRefused(results, 1, 'REQUEST_EXPIRED');
  });
});

describe('an atomic Batch that is sent again', () => {
  test('has no second effect, and the same responses', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const mutations = [charge(accountId, 60n), give(accountId, 5n), charge(accountId, 40n)];
    const first = await atomic(mutations);
    const again = await atomic(mutations);
    expect(again.every(isReplayed)).toBe(true);
    expect(again.map(withoutReplay)).toEqual(first);
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 5n, seq: 5n });
  });

  test('is answered mutation by mutation as well', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const mutations = [charge(accountId, 60n, 'one'), charge(accountId, 40n, 'two')];
    const first = await atomic(mutations);
    const alone = await scrip.billing.charge({ accountId, requestId: 'two', credits: 40n });
    expect(alone.replay).toBeDefined();
    const { results } = await scrip.billing.batch({ mutations });
    expect(results.map(withoutReplay)).toEqual(first);
  });

  test('repeats a mutation that had nothing to do', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    await scrip.billing.release({ accountId, requestId: requestId(), reservationId });
    const release = { accountId, requestId: requestId(), reservationId };
    const mutations: BatchMutation[] = [
      { mutation: { $case: 'release', value: release } },
      charge(accountId, 1n),
    ];
    const first = await atomic(mutations);
    expect(cases(first)).toEqual(['release', 'charge']);
    const again = await atomic(mutations);
    expect(cases(again)).toEqual(['release', 'charge']);
    expect(again.map(isReplayed)).toEqual([false, true]);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(99n);
  });

  test('does nothing if what had nothing to do then would change something now', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const named = () => ({ accountId, requestId: requestId() });
    await scrip.accounts.suspendAccount({ ...named(), reason });
    const suspend = { ...named(), reason };
    const mutations: BatchMutation[] = [
      { mutation: { $case: 'suspendAccount', value: suspend } },
      give(accountId, 1n),
    ];
    expect(cases(await atomic(mutations))).toEqual(['suspendAccount', 'grantCredits']);
    await scrip.accounts.resumeAccount({ ...named(), reason });
    const before = await storedRows(scrip, accountId);
    // The second took effect, and says so.
    expectRefused(await atomic(mutations), 1, 'REQUEST_ID_REUSED');
    expect(await storedRows(scrip, accountId)).toBe(before);
  });

  test('does nothing if one of its request ids was used by a call without the others', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.billing.charge({ accountId, requestId: 'known', credits: 1n });
    const before = await storedRows(scrip, accountId);
    const mutations = [
      charge(accountId, 2n),
      charge(accountId, 1n, 'known'),
      charge(accountId, 3n),
    ];
    const results = await atomic(mutations);
    expectRefused(results, 1, 'REQUEST_ID_REUSED');
    expect(errorIn(defined(results[1])).metadata).toMatchObject({ request_id: 'known' });
    expect(await storedRows(scrip, accountId)).toBe(before);
    // Also where another one would be refused anyway.
    const refused = await atomic([charge(accountId, 200n), charge(accountId, 1n, 'known')]);
    expectRefused(refused, 1, 'REQUEST_ID_REUSED');
  });

  test('does nothing if one has other content', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await atomic([charge(accountId, 1n, 'one'), charge(accountId, 2n, 'two')]);
    const results = await atomic([charge(accountId, 1n, 'one'), charge(accountId, 3n, 'two')]);
    expectRefused(results, 1, 'REQUEST_ID_REUSED');
    expect((await balanceOf(scrip, accountId)).remaining).toBe(97n);
  });

  test('has one effect of two mutations with one request id', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const twice = [charge(accountId, 1n, 'twice'), charge(accountId, 1n, 'twice')];
    const results = await atomic(twice);
    expect(results.map(isReplayed)).toEqual([false, true]);
    expect((await atomic(twice)).every(isReplayed)).toBe(true);
    const reused = [charge(accountId, 1n, 'same'), charge(accountId, 2n, 'same')];
    expectRefused(await atomic(reused), 1, 'REQUEST_ID_REUSED');
    expect((await balanceOf(scrip, accountId)).remaining).toBe(99n);
  });

  test('succeeds after it was refused and what was missing is there', async () => {
    const accountId = await openWithCredits(scrip, 5n);
    const mutations = [charge(accountId, 4n), charge(accountId, 2n)];
    expectRefused(await atomic(mutations), 1, 'INSUFFICIENT_CREDITS');
    await grant(scrip, accountId, 1n);
    expect((await atomic(mutations)).map(isReplayed)).toEqual([false, false]);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
  });
});
