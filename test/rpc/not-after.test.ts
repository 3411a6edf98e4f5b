/** not_after: a delayed duplicate of a request that its caller gave up has no effect. */
import type { DescMessage } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BillingServiceService } from '../../src/gen/billing/v1/billing_service.ts';
import { REPLAY_FIELD } from '../../src/rpc/call/replay.ts';
import { balanceOf, MINUTE, openWithCredits, storedRows } from '../accounts.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { methods } from './message-arbitrary.ts';
import { mutatingRpcs } from './mutations.ts';
import { callRaw } from './raw-call.ts';

const NOW = Date.UTC(2026, 10, 9, 10, 30);

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: NOW });
});
afterAll(() => scrip.stop());

/** Field 100 of a request: an instant. Appending a field to an encoded message sets it. */
const withNotAfter = (request: Uint8Array, at: number): Uint8Array => {
  const { requestSerialize } = BillingServiceService.charge;
  const empty = requestSerialize({
    accountId: '',
    requestId: '',
    usages: undefined,
    reference: '',
    labels: new Map(),
    criticality: 0,
    usedAt: undefined,
    notAfter: new Date(at),
  });
  return Buffer.concat([request, empty]);
};

test('every request with a request id has not_after, and its response has replay', () => {
  const numbers = (message: DescMessage) =>
    Object.fromEntries(message.fields.map(({ name, number }) => [name, number]));
  const mutations = methods.filter(
    ({ input, idempotency }) =>
      'request_id' in numbers(input) &&
      idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
  );
  expect(mutations.length).toBe(mutatingRpcs.length + 1); // CloseAccount has a test of its own.
  for (const { input, output } of mutations) {
    expect(numbers(input), input.name).toMatchObject({ not_after: 100 });
    expect(numbers(output), output.name).toMatchObject({ replay: REPLAY_FIELD });
  }
});

describe.each(mutatingRpcs)('$path', ({ path, pair }) => {
  test('fails after its not_after and writes nothing', async () => {
    const { accountId, request } = await pair(scrip);
    const rows = await storedRows(scrip, accountId);
    const late = callRaw(scrip, path, withNotAfter(request, NOW - 1));
    expect(await errorOf(late)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'REQUEST_EXPIRED',
      metadata: { not_after: '2026-11-09T10:29:59.999Z', now: '2026-11-09T10:30:00.000Z' },
    });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('succeeds up to its not_after, and is answered again later', async () => {
    const { request } = await pair(scrip);
    const first = await callRaw(scrip, path, withNotAfter(request, NOW));
    expect(first.trailers.get('idempotent-replayed')).toEqual([]);
    for (const again of [request, withNotAfter(request, NOW - MINUTE)]) {
      const { trailers } = await callRaw(scrip, path, again);
      expect(trailers.get('idempotent-replayed')).toEqual(['true']);
    }
  });
});

test('of two requests for one job, the one that was given up takes no effect', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const charge = { accountId, credits: 10n };
  await scrip.billing.charge({ ...charge, requestId: requestId() });
  const delayed = { ...charge, requestId: requestId(), notAfter: new Date(NOW - 1) };
  expect((await errorOf(scrip.billing.charge(delayed))).reason).toBe('REQUEST_EXPIRED');
  expect((await balanceOf(scrip, accountId)).remaining).toBe(90n);
});

test('a mutation of a batch may expire by itself', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const charge = (notAfter: Date) => ({
    mutation: {
      $case: 'charge' as const,
      value: { accountId, requestId: requestId(), credits: 10n, notAfter },
    },
  });
  const { results } = await scrip.billing.batch({
    mutations: [charge(new Date(NOW - 1)), charge(new Date(NOW))],
  });
  expect(results).toMatchObject([
    { result: { $case: 'error', value: { reason: 'REQUEST_EXPIRED' } } },
    { result: { $case: 'charge', value: { credits: 10n } } },
  ]);
});

test('a request that waited for the lock of its account beyond its not_after has no effect', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const rows = await storedRows(scrip, accountId);
  // Another writer: the next unit of work reads the account, and waits for its lock.
  const unlock = await lockAccount(scrip.databaseUrl, accountId);
  const notAfter = new Date(scrip.now() + MINUTE);
  const request = { accountId, requestId: requestId(), credits: 10n, notAfter };
  const delayed = errorOf(scrip.billing.refund({ reason: 'a test', ...request, seq: 2n }));
  const charged = errorOf(scrip.billing.charge(request));
  await waitForBlockedSessions(scrip.databaseUrl);
  scrip.advance(MINUTE + 1);
  await unlock();
  expect((await delayed).reason).toBe('REQUEST_EXPIRED');
  expect((await charged).reason).toBe('REQUEST_EXPIRED');
  expect(await storedRows(scrip, accountId)).toBe(rows);
});
