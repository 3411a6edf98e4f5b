/** A call that is cancelled before it is decided changes nothing and can be repeated. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BillingServiceService, ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { balanceOf, entriesOf, openWithCredits, storedRows } from '../accounts.ts';
import {
  captureLog,
  exceedDeadline,
  lockAccount,
  waitForBlockedSessions,
  waitUntilReceived,
} from '../disruptions.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const { log, lines } = captureLog('debug');

let scrip: TestService;
beforeAll(async () => {
  // A cached account is decided before its row is locked, so the lock would not hold the decision up.
  scrip = await startTestService({ log, env: { ACCOUNT_CACHE_MAX: '0' } });
});
afterAll(() => scrip.stop());

/** How long the log may lag behind. */
const WAIT = { timeout: 60_000 };

const cancelledCalls = () => lines.filter((line) => line['scrip.reason'] === 'CANCELLED').length;

describe('A deadline that passes', () => {
  test('while the call is queued: nothing is written, and the request id can be used again', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const rows = await storedRows(scrip, accountId);
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    const locked = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    await waitForBlockedSessions(scrip.databaseUrl);
    const before = cancelledCalls();
    const request = { accountId, requestId: requestId(), credits: 50n };
    await exceedDeadline(scrip, (options) => scrip.billing.charge(request, options));
    expect(await storedRows(scrip, accountId)).toBe(rows);
    await unlock();
    await locked;
    await vi.waitFor(() => expect(cancelledCalls()).toBeGreaterThan(before), WAIT);
    expect((await entriesOf(scrip, accountId)).length).toBe(3);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(99n);
    expect((await scrip.billing.charge(request)).balance?.remaining).toBe(49n);
  });

  test('while its unit of work waits for the account lock: nothing is written', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    const before = cancelledCalls();
    const request = { accountId, requestId: requestId(), credits: 50n };
    await exceedDeadline(scrip, (options) => scrip.billing.charge(request, options));
    await unlock();
    await vi.waitFor(() => expect(cancelledCalls()).toBeGreaterThan(before), WAIT);
    expect((await entriesOf(scrip, accountId)).length).toBe(2);
    let trailer: unknown;
    await scrip.billing.charge(request, {
      onTrailers: (trailers) => {
        trailer = trailers.get('idempotent-replayed');
      },
    });
    expect(trailer).toEqual([]);
  });

  test('while a batch is queued: nothing of it is written', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    const mutations = Array.from({ length: 10 }, () => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: 1n },
      },
    }));
    await exceedDeadline(scrip, (options) => scrip.billing.batch({ mutations }, options));
    await unlock();
    const { results } = await scrip.billing.batch({ mutations });
    expect(results).toMatchObject(
      mutations.map(() => ({ result: { $case: 'charge', value: { replay: undefined } } })),
    );
    expect((await balanceOf(scrip, accountId)).remaining).toBe(90n);
  });

  test('before the call is made: the call does not start', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 1n };
    await expect(scrip.billing.charge(request, { deadline: Date.now() - 1 })).rejects.toMatchObject(
      { code: status.DEADLINE_EXCEEDED },
    );
    expect((await entriesOf(scrip, accountId)).length).toBe(2);
  });

  test('at any time: a repeated call has one effect', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 10n };
    const deadline = () => ({ deadline: Date.now() + Math.random() * 8 });
    for (let tries = 0; tries < 20; tries++)
      await scrip.billing.charge(request, deadline()).catch((error) => {
        expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
      });
    expect((await scrip.billing.charge(request)).credits).toBe(10n);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(90n);
  });
});

describe('A call that its caller cancels', () => {
  test('while it is queued writes nothing, and does not delay later calls', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    const first = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    await waitForBlockedSessions(scrip.databaseUrl);
    const { path, requestSerialize, responseDeserialize } = BillingServiceService.charge;
    const { promise: code, resolve } = Promise.withResolvers<number | undefined>();
    const call = scrip.channel.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 50n }),
      (error) => resolve(error?.code),
    );
    await waitUntilReceived(scrip);
    call.cancel();
    expect(await code).toBe(status.CANCELLED);
    const last = scrip.billing.charge({ accountId, requestId: requestId(), credits: 2n });
    await waitUntilReceived(scrip);
    await unlock();
    await Promise.all([first, last]);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(97n);
    expect((await entriesOf(scrip, accountId)).length).toBe(4);
  });
});
