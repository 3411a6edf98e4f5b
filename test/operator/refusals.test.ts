/** ListRefusals: what a replica refused last, by account, caller, reason and method. */
import '../../src/telemetry/sdk.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListRefusalsRequest, Refusal } from '../../src/gen/billing/v1/operator_service.ts';
import { defined, openWithCredits } from '../accounts.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService } from '../service.ts';
import { named, newTrace } from './traced.ts';

const RULES = `
  - { id: header:product, roles: [product-service] }
  - { id: header:own, roles: [product-service, operator], own_reservations_only: true }
  - { id: header:by-prefix, roles: [operator], accounts: { prefixes: [mine-] } }
  - { id: header:by-plan, roles: [operator], accounts: { plans: [perfectparser] } }
  - { id: header:observer, roles: [observer] }`;

let scrip: PolicedService;
beforeAll(async () => {
  scrip = await startPoliced(RULES, {
    env: { TRACE_URL_TEMPLATE: 'https://traces.test/{trace_id}' },
  });
});
afterAll(() => scrip.stop());

const refusals = async (
  filter: Partial<ListRefusalsRequest>,
  caller = 'test',
): Promise<readonly Refusal[]> => (await scrip.as(caller).operator.listRefusals(filter)).refusals;

const chargeTooMuch = (accountId: string, caller: string) =>
  errorOf(scrip.as(caller).billing.charge({ ...named(accountId), credits: 1_000n }));

test('a refusal has who called, on which account, why, and in which trace', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  const call = named(accountId);
  const { traceId, metadata } = newTrace();
  const started = Date.now();
  const { message } = await errorOf(
    scrip.as('product').billing.reserve({ ...call, credits: 11n }, { metadata }),
  );
  const [refusal, ...others] = await refusals({ accountId });
  expect(others).toEqual([]);
  expect(refusal).toMatchObject({
    ...call,
    method: 'billing.v1.BillingService/Reserve',
    caller: 'product',
    reservationId: '',
    reason: 'INSUFFICIENT_CREDITS',
    message,
    traceId,
    traceUrl: `https://traces.test/${traceId}`,
  });
  expect(refusal?.metadata.get('shortfall')).toBe('1');
  expect(refusal?.spanId).toMatch(/^[0-9a-f]{16}$/);
  const at = defined(refusal?.at).getTime();
  expect(at).toBeGreaterThanOrEqual(started);
  expect(at).toBeLessThanOrEqual(Date.now());
});

test('a call that succeeds is none', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  await scrip.billing.charge({ ...named(accountId), credits: 10n });
  expect(await refusals({ accountId })).toEqual([]);
});

test('they are filtered by account, caller, reason and method', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  await chargeTooMuch(accountId, 'product');
  await chargeTooMuch(accountId, 'test');
  const reservationId = '00000000-0000-7000-8000-000000000000';
  await errorOf(scrip.billing.release({ ...named(accountId), reservationId }));
  const reasons = async (filter: Partial<ListRefusalsRequest>) =>
    (await refusals({ accountId, ...filter })).map(({ reason }) => reason);
  // Newest first.
  expect(await reasons({})).toEqual([
    'RESERVATION_NOT_FOUND',
    'INSUFFICIENT_CREDITS',
    'INSUFFICIENT_CREDITS',
  ]);
  expect(await reasons({ caller: 'product' })).toEqual(['INSUFFICIENT_CREDITS']);
  expect(await reasons({ reason: 'RESERVATION_NOT_FOUND' })).toHaveLength(1);
  for (const method of ['Charge', 'billing.v1.BillingService/Charge'])
    expect(await reasons({ method })).toHaveLength(2);
  expect(await reasons({ method: 'Char' })).toEqual([]);
  const [released] = await refusals({ accountId, method: 'Release' });
  expect(released?.reservationId).toBe(reservationId);
});

test('they are paged; what comes meanwhile is on no later page', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  for (let count = 0; count < 5; count += 1) await chargeTooMuch(accountId, 'test');
  const all = await refusals({ accountId });
  const first = await scrip.operator.listRefusals({ accountId, pageSize: 2 });
  await chargeTooMuch(accountId, 'test');
  const second = await scrip.operator.listRefusals({
    accountId,
    pageSize: 3,
    pageToken: first.nextPageToken,
  });
  expect([...first.refusals, ...second.refusals]).toEqual(all);
  expect(second.nextPageToken).toBe('');
  const other = { accountId: 'other', pageToken: first.nextPageToken };
  expect(await errorOf(scrip.operator.listRefusals(other))).toMatchObject({
    fields: ['page_token'],
  });
});

describe('Among them are', () => {
  test('mutations of a Batch, which succeeds as a whole', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const call = named(accountId);
    await scrip.billing.batch({
      mutations: [{ mutation: { $case: 'charge', value: { ...call, credits: 11n } } }],
    });
    expect(await refusals({ accountId, method: 'Charge' })).toMatchObject([
      { ...call, method: 'Batch/Charge', reason: 'INSUFFICIENT_CREDITS' },
    ]);
  });

  test('requests with bad fields, which were decoded', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await errorOf(scrip.billing.charge({ accountId, requestId: '', credits: 1n }));
    expect(await refusals({ accountId })).toMatchObject([{ reason: 'INVALID_FIELD' }]);
  });

  test('calls that the policy denies, before they are decoded', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await errorOf(scrip.as('observer').billing.charge({ ...named(accountId), credits: 1n }));
    expect(await refusals({ caller: 'observer' })).toMatchObject([
      { accountId: '', method: 'billing.v1.BillingService/Charge', reason: 'CALLER_NOT_ALLOWED' },
    ]);
    await errorOf(scrip.as('stranger').plans.listPlans({}));
    expect(await refusals({ caller: 'stranger' })).toMatchObject([
      { reason: 'CALLER_NOT_ALLOWED', traceId: '', traceUrl: '' },
    ]);
  });

  test('what its caller was told does not exist: here it says what was denied', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const caller = scrip.as('by-plan');
    expect(await errorOf(caller.operator.listRefusals({ accountId }))).toMatchObject({
      reason: 'ACCOUNT_NOT_FOUND',
    });
    expect(await refusals({ accountId })).toMatchObject([
      { caller: 'by-plan', reason: 'CALLER_NOT_ALLOWED' },
    ]);
  });
});

test('Among them are calls of an overload, which are refused before they are decoded', async () => {
  const own = await startTestService({ env: { QUEUE_MAX: '1' } });
  try {
    const accountId = await openWithCredits(own, 100n);
    const unlock = await lockAccount(own.databaseUrl, accountId);
    const charging = own.billing.charge({ ...named(accountId), credits: 1n });
    await waitForBlockedSessions(own.databaseUrl);
    await errorOf(own.billing.charge({ ...named(accountId), credits: 1n }));
    await unlock();
    await charging;
    const { refusals } = await own.operator.listRefusals({ reason: 'OVERLOADED' });
    expect(refusals).toMatchObject([
      { caller: 'test', method: 'billing.v1.BillingService/Charge', accountId: '', traceId: '' },
    ]);
  } finally {
    await own.stop();
  }
});

test('the newest 200 of each reason are remembered, and the others counted', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  await chargeTooMuch(accountId, 'test');
  const before = await scrip.operator.listRefusals({ accountId });
  const reservationId = '00000000-0000-7000-8000-000000000000';
  const mutations = Array.from({ length: 500 }, () => ({
    mutation: { $case: 'release' as const, value: { ...named(accountId), reservationId } },
  }));
  await scrip.billing.batch({ mutations });
  const after = await scrip.operator.listRefusals({ accountId, pageSize: 1_000 });
  expect(after.dropped - before.dropped).toBeGreaterThanOrEqual(300n);
  expect(after).toMatchObject({ replicaId: before.replicaId, since: before.since });
  const ids = mutations.map(({ mutation }) => mutation.value.requestId);
  const { refusals } = after;
  expect(refusals.slice(0, 200).map(({ requestId }) => requestId)).toEqual(
    ids.slice(-200).toReversed(),
  );
  // The rare one is still there.
  expect(refusals.slice(200)).toEqual(before.refusals);
});

describe('A caller that the policy limits sees of them', () => {
  let mine: string;
  let parsed: string;
  let other: string;
  beforeAll(async () => {
    mine = `mine-${requestId()}`;
    await scrip.accounts.openAccount({ ...named(mine), planId: 'verts' });
    parsed = await scrip.open('perfectparser');
    other = await scrip.open('verts');
    for (const accountId of [mine, parsed, other]) await chargeTooMuch(accountId, 'product');
    await chargeTooMuch(other, 'own');
    await errorOf(scrip.as('stranger').plans.listPlans({}));
  });

  const accountsSeenBy = async (caller: string) => [
    ...new Set((await refusals({ pageSize: 1_000 }, caller)).map(({ accountId }) => accountId)),
  ];

  test.each([
    ['by-prefix', () => [mine]],
    ['by-plan', () => [parsed]],
  ] as const)('%s: those on its accounts', async (caller, expected) => {
    expect(await accountsSeenBy(caller)).toEqual(expected());
  });

  test('to its own work: its own', async () => {
    const seen = await refusals({ pageSize: 1_000 }, 'own');
    expect(seen).toMatchObject([{ caller: 'own', accountId: other }]);
  });

  test('to no account: all', async () => {
    expect(await accountsSeenBy('test')).toEqual(expect.arrayContaining(['', mine, parsed, other]));
  });

  test('to other methods: nothing', async () => {
    expect(await errorOf(scrip.as('observer').operator.listRefusals({}))).toMatchObject({
      reason: 'CALLER_NOT_ALLOWED',
    });
  });
});
