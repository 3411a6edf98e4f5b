/** A caller that gives up before the work begins has changed nothing, and may come back. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BillingServiceService, ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { balanceOf, entriesOf, openWithCredits, storedRows } from '../accounts.ts';
import {
  captureLog,
  lockAccount,
  waitForBlockedSessions,
  waitForCancellations,
} from '../disruptions.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const { log, lines } = captureLog('debug');

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ log });
});
afterAll(() => scrip.stop());

const givenUp = () => lines.filter(({ reason }) => reason === 'CANCELLED').length;

describe('A deadline that passes', () => {
  test('while the call waits in the queue: nothing is written, the same id works later', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const rows = await storedRows(scrip, accountId);
    const letGo = await lockAccount(scrip.databaseUrl, accountId);
    const waiting = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    await waitForBlockedSessions(scrip.databaseUrl);
    const before = givenUp();
    const request = { accountId, requestId: requestId(), credits: 50n };
    await expect(
      scrip.billing.charge(request, { deadline: Date.now() + 50 }),
    ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(await storedRows(scrip, accountId)).toBe(rows);
    await waitForCancellations(scrip);
    await letGo();
    await waiting;
    await vi.waitFor(() => expect(givenUp()).toBe(before + 1));
    expect((await entriesOf(scrip, accountId)).length).toBe(2);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(99n);
    expect((await scrip.billing.charge(request)).balance?.remaining).toBe(49n);
  });

  test('while its own unit of work waits for the account: nothing is written either', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const letGo = await lockAccount(scrip.databaseUrl, accountId);
    const before = givenUp();
    const request = { accountId, requestId: requestId(), credits: 50n };
    await expect(
      scrip.billing.charge(request, { deadline: Date.now() + 100 }),
    ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await waitForCancellations(scrip);
    await letGo();
    await vi.waitFor(() => expect(givenUp()).toBe(before + 1));
    expect((await entriesOf(scrip, accountId)).length).toBe(1);
    let trailer: unknown;
    await scrip.billing.charge(request, {
      onTrailers: (trailers) => {
        trailer = trailers.get('idempotent-replayed');
      },
    });
    expect(trailer).toEqual([]);
  });

  test('for a whole batch that waits: none of it is written', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const letGo = await lockAccount(scrip.databaseUrl, accountId);
    const mutations = Array.from({ length: 10 }, () => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: 1n },
      },
    }));
    await expect(
      scrip.billing.batch({ mutations }, { deadline: Date.now() + 100 }),
    ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await waitForCancellations(scrip);
    await letGo();
    const { results } = await scrip.billing.batch({ mutations });
    expect(results.every(({ replayed }) => !replayed)).toBe(true);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(90n);
  });

  test('before the call was made: it never begins', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 1n };
    await expect(scrip.billing.charge(request, { deadline: Date.now() - 1 })).rejects.toMatchObject(
      { code: status.DEADLINE_EXCEEDED },
    );
    expect((await entriesOf(scrip, accountId)).length).toBe(1);
  });

  test('after its effect was written: the same id tells what happened', async () => {
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
  test('while it waits writes nothing, and does not hold up those behind it', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const letGo = await lockAccount(scrip.databaseUrl, accountId);
    const first = scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    await waitForBlockedSessions(scrip.databaseUrl);
    const { path, requestSerialize, responseDeserialize } = BillingServiceService.charge;
    const cancelled = new Promise<number | undefined>((resolve) => {
      const call = scrip.channel.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 50n }),
        (error) => resolve(error?.code),
      );
      setTimeout(() => call.cancel(), 50);
    });
    expect(await cancelled).toBe(status.CANCELLED);
    const last = scrip.billing.charge({ accountId, requestId: requestId(), credits: 2n });
    // The service learns of a cancellation by a frame of its own, after which `last` was sent.
    await waitForCancellations(scrip);
    await letGo();
    await Promise.all([first, last]);
    expect((await balanceOf(scrip, accountId)).remaining).toBe(97n);
    expect((await entriesOf(scrip, accountId)).length).toBe(3);
  });
});
