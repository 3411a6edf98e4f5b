/** Every mutation is safe to repeat. */

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ScripError } from '../../src/client.ts';
import { AccountServiceService } from '../../src/gen/billing/v1/account_service.ts';
import {
  BillingServiceService,
  ChargeRequest,
  ReserveRequest,
} from '../../src/gen/billing/v1/billing_service.ts';
import { BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import {
  Grant_Category,
  Purchase_Resolution_Decision,
  Replay,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  balanceOf,
  DAY,
  defined,
  entriesOf,
  grant,
  INSPECT,
  MINUTE,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
  UPSCALE,
} from '../accounts.ts';
import { insertMismatched } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import {
  plansOfDeploy,
  requestId,
  startTestService,
  type TestOptions,
  type TestService,
} from '../service.ts';
import { checkout, closeAccount, mutatingRpcs, rejectPurchase } from './mutations.ts';
import { callRaw } from './raw-call.ts';
import { waterfallPlan } from './waterfall.ts';

let stripe: StripeFake;
let options: TestOptions;
let scrip: TestService;
/** Another replica on the same database. */
let twin: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  options = {
    plans: [
      ...(await plansOfDeploy()),
      planIn(EVERYTHING),
      waterfallPlan('anew', '  refund_expired: new_grant'),
    ],
    env: stripe.env,
  };
  scrip = await startTestService(options);
  options = { ...options, databaseUrl: scrip.databaseUrl };
  twin = await startTestService(options);
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await twin.stop();
  await scrip.stop();
  await stripe.stop();
});

const replayed = 'idempotent-replayed';
/** The field `replay` is the last of a response: its tag and length, then an instant. */
function splitReplay(bytes: Buffer): [response: Buffer, replay: Replay | null] {
  const tag = Buffer.from([0xa2, 0x06]);
  const start = bytes.lastIndexOf(tag);
  if (start < 0 || start + 3 + (bytes[start + 2] ?? 0) !== bytes.length) return [bytes, null];
  return [bytes.subarray(0, start), Replay.decode(bytes.subarray(start + 3))];
}
const withoutReplay = (bytes: Buffer): Buffer => splitReplay(bytes)[0];
const replayOf = (bytes: Buffer): Replay | null => splitReplay(bytes)[1];

const methodOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
const all = [...mutatingRpcs, closeAccount];
/** Pairs that other ones have the method of. */
const variants = [checkout, rejectPurchase];

test('every RPC with a request id is tested here', () => {
  const methods = [
    ...Object.values(BillingServiceService),
    ...Object.values(AccountServiceService),
  ];
  const mutating = methods
    .filter(({ requestDeserialize }) => 'requestId' in requestDeserialize(Buffer.alloc(0)))
    .map(({ path }) => path);
  expect(all.map(({ path }) => path).toSorted()).toEqual(mutating.toSorted());
});

describe.each([...all, ...variants])('$path', ({ path, pair }) => {
  test('returns the same bytes and a replay when it is repeated, and has no second effect', async () => {
    const { accountId, request } = await pair(scrip);
    const before = scrip.now();
    const first = await callRaw(scrip, path, request);
    expect(first.trailers.get(replayed)).toEqual([]);
    expect(replayOf(first.bytes)).toBeNull();
    const rows = await storedRows(scrip, accountId);
    const until = scrip.now();
    scrip.advance(MINUTE);
    for (const replica of [scrip, twin]) {
      const again = await callRaw(replica, path, request);
      expect(again.trailers.get(replayed)).toEqual(['true']);
      expect(withoutReplay(again.bytes).equals(first.bytes)).toBe(true);
      const answeredAt = replayOf(again.bytes)?.firstAnsweredAt?.getTime();
      expect(answeredAt).toBeGreaterThanOrEqual(before);
      expect(answeredAt).toBeLessThanOrEqual(until);
    }
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });
});

describe.each([...mutatingRpcs, ...variants])('$path', ({ path, pair }) => {
  test('fails with other content under the same request id and writes nothing', async () => {
    const id = requestId();
    const { accountId, request, other } = await pair(scrip, id);
    const first = await callRaw(scrip, path, request);
    const rows = await storedRows(scrip, accountId);
    for (const replica of [scrip, twin])
      expect(await errorOf(callRaw(replica, path, other))).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: 'REQUEST_ID_REUSED',
        metadata: { request_id: id, method: methodOf(path) },
      });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    expect(withoutReplay((await callRaw(scrip, path, request)).bytes).equals(first.bytes)).toBe(
      true,
    );
  });

  test('has one effect if two contents race under one request id, on one replica or two', async () => {
    for (const replicas of [
      [scrip, scrip],
      [scrip, twin],
    ] as const) {
      const id = requestId();
      const { accountId, request, other } = await pair(scrip, id);
      const before = await entriesOf(scrip, accountId).catch(() => []);
      const settled = await Promise.all(
        Array.from({ length: 16 }, async (_, index) => {
          const content = index % 2 === 0 ? 'request' : 'other';
          const replica = replicas[index % 3 === 0 ? 1 : 0];
          const bytes = content === 'request' ? request : other;
          const answer = await callRaw(replica, path, bytes).then(
            ({ bytes: answered }) => withoutReplay(answered).toString('base64'),
            (error) => (error instanceof ScripError ? error.reason : expect.fail(String(error))),
          );
          return { content, answer };
        }),
      );
      const won = settled.filter(({ answer }) => answer !== 'REQUEST_ID_REUSED');
      expect(new Set(won.map(({ content }) => content)).size).toBe(1);
      expect(new Set(won.map(({ answer }) => answer)).size).toBe(1);
      expect(won.length).toBe(8);
      const after = await entriesOf(scrip, accountId);
      const own = after.filter((entry) => entry.requestId === id);
      expect(after.length - before.length).toBe(own.length);
      // A new account may also get credits of its plan.
      expect(own.length).toBe(/\/(Open|Import)Account$/.test(path) ? 2 : 1);
    }
  });
});

test('a replica that was started later answers every mutation with the first response', async () => {
  const asked = await Promise.all(
    [...all, ...variants].map(async ({ path, pair }) => {
      const { request } = await pair(scrip);
      return { path, request, first: (await callRaw(scrip, path, request)).bytes };
    }),
  );
  const restarted = await startTestService(options);
  for (const { path, request, first } of asked) {
    const again = await callRaw(restarted, path, request);
    expect(again.trailers.get(replayed)).toEqual(['true']);
    expect(withoutReplay(again.bytes).equals(first), path).toBe(true);
  }
  await restarted.stop();
});

describe('A repeated request', () => {
  test('may have its map entries in another order', async () => {
    const accountId = await scrip.open('everything');
    const id = requestId();
    const request = (labels: Map<string, string>, attributes: Map<string, string>) =>
      ReserveRequest.encode(
        ReserveRequest.fromPartial({
          accountId,
          requestId: id,
          usages: { items: [{ operation: 'job.format', attributes }] },
          labels,
        }),
      ).finish();
    const one = request(
      mapOf({ a: '1', b: '2', c: '3' }),
      mapOf({ format: 'pdf', quality: 'draft' }),
    );
    const other = request(
      mapOf({ c: '3', a: '1', b: '2' }),
      mapOf({ quality: 'draft', format: 'pdf' }),
    );
    expect(Buffer.from(one).equals(Buffer.from(other))).toBe(false);
    const path = '/billing.v1.BillingService/Reserve';
    const first = await callRaw(scrip, path, one);
    const again = await callRaw(scrip, path, other);
    expect(again.trailers.get(replayed)).toEqual(['true']);
    expect(withoutReplay(again.bytes).equals(first.bytes)).toBe(true);
  });

  test('must have its lists in the same order', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = requestId();
    const charge = (items: (typeof INSPECT)[]) =>
      scrip.billing.charge({ accountId, requestId: id, usages: { items } });
    await charge([INSPECT, UPSCALE]);
    expect((await errorOf(charge([UPSCALE, INSPECT]))).reason).toBe('REQUEST_ID_REUSED');
  });

  test('must be equal in every field of a charge', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const id = requestId();
    const base = {
      accountId,
      requestId: id,
      usages: { items: [UPSCALE] },
      reference: 'job',
      labels: mapOf({ a: '1', b: '2' }),
    };
    await scrip.billing.charge(base);
    for (const change of [
      { usages: { items: [] } },
      { usages: { items: [UPSCALE, UPSCALE] } },
      { usages: { items: [{ ...UPSCALE, count: 2n }] } },
      { usages: { items: [{ ...UPSCALE, quantities: mapOf({ scale_factor: 3n }) }] } },
      { usages: { items: [{ ...UPSCALE, operation: 'file.inspect', quantities: new Map() }] } },
      { rateCardVersion: 1n },
      { reference: 'Job' },
      { labels: mapOf({ a: '1' }) },
      { labels: mapOf({ a: '2', b: '1' }) },
      { labels: mapOf({ a: '1', b: '2', c: '' }) },
      { usages: undefined, credits: 10n },
    ]) {
      const request = { ...base, ...change };
      expect((await errorOf(scrip.billing.charge(request))).reason).toBe('REQUEST_ID_REUSED');
    }
    expect((await entriesOf(scrip, accountId)).length).toBe(3);
  });

  test('returns the first response after the reservation has ended', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = ReserveRequest.encode(
      ReserveRequest.fromPartial({ accountId, requestId: requestId(), credits: 10n }),
    ).finish();
    const path = '/billing.v1.BillingService/Reserve';
    const first = await callRaw(scrip, path, request);
    const { reservation } = BillingServiceService.reserve.responseDeserialize(first.bytes);
    const { reservationId } = defined(reservation);
    await scrip.billing.commit({ accountId, requestId: requestId(), reservationId, all: true });
    const again = await callRaw(scrip, path, request);
    expect(withoutReplay(again.bytes).equals(first.bytes)).toBe(true);
    expect(BillingServiceService.reserve.responseDeserialize(again.bytes).reservation?.state).toBe(
      Reservation_State.ACTIVE,
    );
    expect((await balanceOf(scrip, accountId)).remaining).toBe(90n);
  });

  test('does not reserve again after the reservation has expired', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 10n };
    const first = await scrip.billing.reserve(request);
    scrip.advance(15 * MINUTE);
    expect(await scrip.billing.reserve(request)).toMatchObject({ ...first, replay: {} });
    expect((await balanceOf(scrip, accountId)).reserved).toBe(0n);
  });

  test('returns the first response after the account was closed', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 10n };
    const first = await scrip.billing.charge(request);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    expect(await scrip.billing.charge(request)).toMatchObject({ ...first, replay: {} });
  });

  test('has one effect and one response if it is sent many times at once', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = ChargeRequest.encode(
      ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 10n }),
    ).finish();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        callRaw(index % 2 === 0 ? scrip : twin, '/billing.v1.BillingService/Charge', request),
      ),
    );
    expect(new Set(answers.map(({ bytes }) => withoutReplay(bytes).toString('base64'))).size).toBe(
      1,
    );
    const fresh = answers.filter(({ trailers }) => trailers.get(replayed).length === 0);
    expect(fresh.length).toBe(1);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(90n);
  });
});

describe('A failure is not stored', () => {
  test('a Reserve that lacked credits succeeds under the same request id after a purchase', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    const request = { accountId, requestId: requestId(), credits: 100n };
    expect((await errorOf(scrip.billing.reserve(request))).reason).toBe('INSUFFICIENT_CREDITS');
    await scrip.billing.purchase({
      accountId,
      requestId: requestId(),
      packId: 'starter',
      payment: { $case: 'paymentReference', value: 'order' },
    });
    let trailer: unknown;
    const { reservation } = await scrip.billing.reserve(request, {
      onTrailers: (trailers) => {
        trailer = trailers.get(replayed);
      },
    });
    expect(reservation?.credits).toBe(100n);
    expect(trailer).toEqual([]);
  });

  test('its request id can be used with other content', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    const request = { accountId, requestId: requestId() };
    await errorOf(scrip.billing.charge({ ...request, credits: 100n }));
    await errorOf(
      scrip.billing.charge({ ...request, usages: { items: [{ operation: 'no.such' }] } }),
    );
    expect((await scrip.billing.charge({ ...request, credits: 20n })).credits).toBe(20n);
  });

  test('a commit that exceeded its reservation can be repeated with fewer credits', async () => {
    const accountId = await openWithCredits(scrip, 20n);
    const reservationId = await reserveCredits(scrip, accountId, 10n);
    const request = { accountId, requestId: requestId(), reservationId };
    await errorOf(scrip.billing.commit({ ...request, credits: 11n }));
    expect((await scrip.billing.commit({ ...request, credits: 9n })).committed).toBe(9n);
  });

  test('a charge of an unknown account succeeds under the same request id after it was opened', async () => {
    const account = { accountId: requestId(), requestId: requestId() };
    const charge = { ...account, credits: 1n };
    expect((await errorOf(scrip.billing.charge(charge))).reason).toBe('ACCOUNT_NOT_FOUND');
    await scrip.accounts.openAccount({ ...account, planId: 'perfectparser' });
    expect((await scrip.billing.charge(charge)).credits).toBe(1n);
  });
});

describe('A request id is unique per account and method', () => {
  test('another method with the same request id is another request', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 10n };
    await scrip.billing.reserve(request);
    await scrip.billing.charge(request);
    await scrip.accounts.grantCredits({
      reason: 'a test',
      ...request,
      category: Grant_Category.PAID,
    });
    expect(await balanceOf(scrip, accountId)).toMatchObject({ remaining: 100n, reserved: 10n });
  });

  test('every method can have the same request id, and each is answered with its own response', async () => {
    const accountId = requestId();
    const id = { accountId, requestId: 'the-only-one' };
    const { accounts, billing } = scrip;
    const price = { currency: 'USD', amount: '1.00' };
    const pack = { packId: 'own', title: 'Own', credits: 5n, price };
    const payment = { $case: 'paymentReference' as const, value: 'order' };
    await accounts.openAccount({ ...id, planId: 'verts' });
    const purchase = { ...id, packId: 'starter', payment };
    await billing.purchase(purchase);
    const held = { ...id, credits: 10n };
    const { reservation } = await billing.reserve(held);
    const { reservationId } = defined(reservation);
    const charged = await billing.charge(held);
    const released = await reserveCredits(scrip, accountId, 1n);
    const resolved = {
      purchaseId: await insertMismatched(scrip, accountId),
      decision: Purchase_Resolution_Decision.REJECTED,
      reason: 'why',
    };
    const ttl = { seconds: 7_200n, nanos: 0 };
    const dimension = { $case: 'operation', value: true } as const;
    const budget = { budgetId: 'ops', dimension, credits: 9n, period: BudgetPeriod.DAY };
    const calls: (() => Promise<{ entrySeq: bigint; replay?: Replay | undefined }>)[] = [
      () => accounts.openAccount({ ...id, planId: 'verts' }),
      () => accounts.updateAccount({ ...id, displayName: 'Anna' }),
      () => accounts.grantCredits({ reason: 'a test', ...held, category: Grant_Category.PAID }),
      () => accounts.updateGrant({ reason: 'a test', ...id, grantId: 1n, priority: 40 }),
      () => accounts.voidGrant({ reason: 'a test', ...id, grantId: 1n, credits: 1n }),
      () => accounts.offerPack({ ...id, pack }),
      () => accounts.withdrawPack({ ...id, packId: 'own' }),
      () => accounts.resolvePurchase({ ...id, ...resolved }),
      () => billing.purchase(purchase),
      () => billing.reserve(held),
      () => billing.raiseReservation({ ...held, reservationId }),
      () => billing.extendReservation({ ...id, reservationId, ttl }),
      () => billing.commit({ ...held, reservationId }),
      () => billing.release({ ...id, reservationId: released }),
      () => billing.charge(held),
      () => billing.refund({ reason: 'a test', ...id, seq: charged.entrySeq, all: true }),
      () => accounts.moveAccount({ reason: 'a test', ...id, planId: 'perfectparser' }),
      () => accounts.suspendAccount({ ...id, reason: 'a test' }),
      () => accounts.resumeAccount({ ...id, reason: 'a test' }),
      () => accounts.setBudget({ ...id, budget, reason: 'a test' }),
      () => accounts.removeBudget({ ...id, budgetId: 'ops', reason: 'a test' }),
      () => accounts.setShadowMode({ ...id, enabled: true, reason: 'a test' }),
      () => accounts.closeAccount(id),
    ];
    const first: bigint[] = [];
    for (const call of calls) first.push((await call()).entrySeq);
    // ImportAccount opens an account of its own.
    const methods = all.length - 1;
    expect(new Set(first).size).toBe(methods - 1);
    for (const [index, call] of calls.entries())
      expect(await call()).toMatchObject({ entrySeq: first[index], replay: {} });
    // It erases the other responses.
    const erase = () => accounts.eraseAccountData({ ...id, reason: 'a test' });
    const { entrySeq } = await erase();
    expect(first).not.toContain(entrySeq);
    expect(await erase()).toMatchObject({ entrySeq, replay: {} });
    const rows = await execute(
      scrip.databaseUrl,
      `select count(*)::int as requests, count(distinct method)::int as methods from history
       where account_id = $1 and request_id = $2 and method is not null`,
      [accountId, id.requestId],
    );
    expect(rows).toEqual([{ requests: methods, methods }]);
  });

  test('a GrantCredits, and a Refund that grants anew, are two requests with three entries', async () => {
    const accountId = await scrip.open('anew');
    const expiresAt = new Date(scrip.now() + DAY);
    await grant(scrip, accountId, 10n, { expiresAt });
    const { entrySeq: seq } = await scrip.billing.charge({
      accountId,
      requestId: requestId(),
      credits: 10n,
    });
    for (const service of [scrip, twin]) service.advance(2 * DAY);
    const id = { accountId, requestId: requestId(), reason: 'a test' };
    const granting = { ...id, credits: 3n, category: Grant_Category.PAID };
    const refunding = { ...id, seq, credits: 4n };
    const granted = await scrip.accounts.grantCredits(granting);
    const refunded = await scrip.billing.refund(refunding);
    expect(refunded.newGrants).toMatchObject([{ amount: 4n }]);
    for (const { accounts, billing } of [twin, scrip]) {
      expect(await accounts.grantCredits(granting)).toMatchObject({ ...granted, replay: {} });
      expect(await billing.refund(refunding)).toMatchObject({ ...refunded, replay: {} });
    }
    const rows = await execute(
      scrip.databaseUrl,
      'select kind, method from history where account_id = $1 and request_id = $2 order by seq',
      [accountId, id.requestId],
    );
    expect(rows).toEqual([
      { kind: 'GRANT', method: 'GrantCredits' },
      { kind: 'REFUND', method: 'Refund' },
      { kind: 'GRANT', method: null },
    ]);
  });

  test('another account with the same request id is another request', async () => {
    const id = requestId();
    for (const credits of [10n, 20n]) {
      const accountId = await openWithCredits(scrip, 100n);
      await scrip.billing.charge({ accountId, requestId: id, credits });
      expect((await balanceOf(scrip, accountId)).remaining).toBe(100n - credits);
    }
  });

  // The bytes of these UUIDs are the texts beside them.
  const lookalikes = [
    ['41414141-4141-4141-4141-414141414141', 'AAAAAAAAAAAAAAAA'],
    ['6a6f622d-3030-3030-3030-303030303031', 'job-000000000001'],
  ];

  test.each([
    'a',
    ' ',
    '0',
    'job-1',
    'fifteen-letters',
    'sixteen--letters',
    'seventeen-letters',
    '0123456789abcdef',
    '3f2a7c1e-9b4d-4e0a-8c6f-5d1b2a3c4e5f',
    '3F2A7C1E-9B4D-4E0A-8C6F-5D1B2A3C4E5F',
    '3f2a7c1e-9b4d-4e0a-8c6f-5d1b2a3c4e5F',
    '3f2a7c1e9b4d4e0a8c6f5d1b2a3c4e5f',
    '{3f2a7c1e-9b4d-4e0a-8c6f-5d1b2a3c4e5f}',
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    `${String.fromCharCode(0x5c)}x00 '"%_~`,
    '~'.repeat(36),
    'x'.repeat(127),
    'y'.repeat(128),
    ...lookalikes.flat(),
  ])('the request id %j is stored exactly, and replayed', async (id) => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: id, credits: 10n };
    const first = await scrip.billing.charge(request);
    for (const { billing } of [scrip, twin]) {
      expect(await billing.charge(request)).toMatchObject({ ...first, replay: {} });
      expect((await errorOf(billing.charge({ ...request, credits: 9n }))).reason).toBe(
        'REQUEST_ID_REUSED',
      );
    }
    expect((await newestEntry(scrip, accountId)).requestId).toBe(id);
    const rows = await execute(
      scrip.databaseUrl,
      `select h.request_id from history h join entries e using (account_id, seq)
       where e.request_id = request_id_to_bytes($2) and account_id = $1`,
      [accountId, id],
    );
    expect(rows).toEqual([{ request_id: id }]);
  });

  test.each(lookalikes)('%s and %s are two requests', async (uuid, text) => {
    const accountId = await openWithCredits(scrip, 100n);
    for (const id of [uuid, text])
      await scrip.billing.charge({ accountId, requestId: defined(id), credits: 10n });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(80n);
  });

  test('request ids are case-sensitive', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.billing.charge({ accountId, requestId: 'job-a', credits: 10n });
    await scrip.billing.charge({ accountId, requestId: 'job-A', credits: 10n });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(80n);
    const uuid = requestId();
    await scrip.billing.charge({ accountId, requestId: uuid, credits: 10n });
    await scrip.billing.charge({ accountId, requestId: uuid.toUpperCase(), credits: 10n });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(60n);
  });
});
