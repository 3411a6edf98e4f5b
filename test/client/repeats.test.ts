/** Which answers a call is repeated after, and what its caller learns. */
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  Cancelled,
  connect,
  DeadlineExceeded,
  InsufficientCredits,
  type Scrip,
} from '../../clients/typescript/src/index.ts';
import { Throttle, waitMs } from '../../clients/typescript/src/repeats.ts';
import { type Answer, bare, refusal, retryLater, ScriptedService } from './scripted-service.ts';

let service: ScriptedService;
let address: string;
let scrip: Scrip;

beforeEach(async () => {
  service = new ScriptedService();
  address = await service.start();
  scrip = connect({ address, caller: 'test', timeoutMs: 60_000 });
});
afterEach(() => {
  scrip.close();
  service.stop();
});

const INSUFFICIENT = { required: '10', available: '4', shortfall: '6' };

describe('a call is repeated, with the same request, after', () => {
  test.each<[string, Answer]>([
    ['UNAVAILABLE', refusal('DATABASE_UNAVAILABLE')],
    ['a replica that stops', refusal('SHUTTING_DOWN')],
    ['OVERLOADED', retryLater('OVERLOADED', 20)],
    ['RATE_LIMITED', retryLater('RATE_LIMITED', 20)],
    ['UNAVAILABLE of a proxy', bare(status.UNAVAILABLE)],
    ['a stream that was reset', bare(status.INTERNAL)],
    ['a stream that was cancelled elsewhere', bare(status.CANCELLED)],
    ['an HTTP status of a proxy', bare(status.UNKNOWN)],
    ['a deadline that passed in the service', refusal('DEADLINE_EXCEEDED')],
  ])('%s', async (_, answer) => {
    service.script = [answer, answer, 7n];
    const { credits } = await scrip.billing.charge({ accountId: 'a', credits: 7n });
    expect(credits).toBe(7n);
    const [first, ...others] = service.received.map(({ request }) => request);
    expect(others).toEqual([first, first]);
    expect(first?.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('a call ends at once with', () => {
  test.each<[string, Answer]>([
    ['a refusal by a rule', refusal('INSUFFICIENT_CREDITS', INSUFFICIENT)],
    ['a bad field', refusal('INVALID_FIELD', { field: 'credits' })],
    ['a limit of the caller', refusal('CALLER_LIMIT_REACHED')],
    ['RESOURCE_EXHAUSTED without RetryInfo', bare(status.RESOURCE_EXHAUSTED)],
    ['a bug of the service', refusal('INTERNAL', { trace_id: 'a' })],
    ['UNIMPLEMENTED', bare(status.UNIMPLEMENTED)],
  ])('%s', async (_, answer) => {
    service.script = [answer];
    await expect(scrip.billing.charge({ accountId: 'a' })).rejects.toMatchObject({
      code: (answer as { code: number }).code,
    });
    expect(service.received).toHaveLength(1);
  });
});

test('without retries a call is one attempt', async () => {
  const once = connect({ address, retries: false, timeoutMs: 60_000 });
  service.script = [bare(status.UNAVAILABLE)];
  await expect(once.billing.charge({ accountId: 'a' })).rejects.toMatchObject({ code: 14 });
  expect(service.received).toHaveLength(1);
  once.close();
});

test('RetryInfo is waited for', async () => {
  service.script = [retryLater('OVERLOADED', 300), 1n];
  const began = performance.now();
  await scrip.billing.charge({ accountId: 'a' });
  expect(performance.now() - began).toBeGreaterThanOrEqual(300);
});

test('a wait that the deadline does not allow ends the call with the refusal', async () => {
  service.script = [retryLater('OVERLOADED', 60_000)];
  await expect(scrip.billing.charge({ accountId: 'a' })).rejects.toMatchObject({
    reason: 'OVERLOADED',
    retryAfterMs: 60_000,
    outcome: 'none',
  });
});

test('an answer that does not come is asked for again within the deadline', async () => {
  service.script = ['silence', 3n];
  const call = scrip.billing.charge({ accountId: 'a' }, { timeoutMs: 10_000 });
  expect((await call).credits).toBe(3n);
  expect(service.received).toHaveLength(2);
});

describe('the outcome is', () => {
  const errorOf = async (script: Answer[], options = {}) => {
    service.script = script;
    return await scrip.billing.charge({ accountId: 'a' }, options).then(
      () => expect.fail('the call succeeded'),
      (error: unknown) => error,
    );
  };

  test('none, where the service refused', async () => {
    const error = await errorOf([refusal('INSUFFICIENT_CREDITS', INSUFFICIENT)]);
    expect(error).toBeInstanceOf(InsufficientCredits);
    expect(error).toMatchObject({ outcome: 'none', required: 10n, available: 4n, shortfall: 6n });
  });

  test('unknown, where an attempt before the refusal was lost', async () => {
    const script = [bare(status.UNAVAILABLE), refusal('INSUFFICIENT_CREDITS', INSUFFICIENT)];
    expect(await errorOf(script)).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      outcome: 'unknown',
    });
  });

  test('none, where only OVERLOADED came before the refusal', async () => {
    const script = [retryLater('OVERLOADED', 1), refusal('INSUFFICIENT_CREDITS', INSUFFICIENT)];
    expect(await errorOf(script)).toMatchObject({ outcome: 'none' });
  });

  test('unknown, where the deadline passed', async () => {
    const error = await errorOf(['silence'], { timeoutMs: 500 });
    expect(error).toBeInstanceOf(DeadlineExceeded);
    expect(error).toMatchObject({ outcome: 'unknown' });
  });

  test('unknown, where the caller aborted what was sent', async () => {
    const stop = new AbortController();
    const call = errorOf(['silence'], { signal: stop.signal });
    while (service.received.length === 0) await new Promise(setImmediate);
    stop.abort('enough');
    const error = await call;
    expect(error).toBeInstanceOf(Cancelled);
    expect(error).toMatchObject({ outcome: 'unknown', cause: 'enough' });
  });

  test('none, where the caller aborted before', async () => {
    const error = await errorOf(['silence'], { signal: AbortSignal.abort() });
    expect(error).toMatchObject({ reason: 'CANCELLED', outcome: 'none' });
    expect(service.received).toEqual([]);
  });

  test('none, where no connection was opened', async () => {
    const nowhere = connect({ address: '127.0.0.1:1', timeoutMs: 2_000 });
    await expect(nowhere.billing.charge({ accountId: 'a' })).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      outcome: 'none',
    });
    nowhere.close();
  });
});

test('an abort ends a wait', async () => {
  service.script = [retryLater('OVERLOADED', 50_000)];
  const stop = new AbortController();
  const options = { signal: stop.signal, timeoutMs: 600_000 };
  const call = scrip.billing.charge({ accountId: 'a' }, options);
  while (service.received.length === 0) await new Promise(setImmediate);
  setTimeout(() => stop.abort(), 50);
  await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
});

test('an error has the request id of its call, also where the client made it', async () => {
  const once = connect({ address, retries: false, timeoutMs: 60_000 });
  service.script = [bare(status.UNAVAILABLE)];
  const lost = await once.billing.charge({ accountId: 'a' }).catch((error) => error);
  once.close();
  expect(lost).toMatchObject({ outcome: 'unknown' });
  const ids = service.received.map(({ request }) => request.requestId);
  expect(new Set(ids)).toEqual(new Set([lost.requestId]));
  service.script = [refusal('INSUFFICIENT_CREDITS', INSUFFICIENT)];
  const call = scrip.billing.charge({ accountId: 'a', requestId: 'mine' });
  await expect(call).rejects.toMatchObject({ requestId: 'mine', shortfall: 6n });
});

describe('a request is refused here', () => {
  test.each<[string, object, string]>([
    ['with a field that is misspelled', { requestid: '1' }, 'requestid: the message has no'],
    [
      'with one in a list',
      { usages: { items: [{}, { operaton: 'x' }] } },
      'usages.items.1.operaton',
    ],
    ['with a fraction', { credits: 1.5 }, '1.5'],
    ['with more than 64 bits', { credits: 2n ** 70n }, 'too large'],
  ])('%s', async (_, request, message) => {
    await expect(scrip.billing.charge({ accountId: 'a', ...request })).rejects.toThrow(message);
    expect(service.received).toEqual([]);
  });

  test('with a case that a oneof does not have', async () => {
    const mutation = { $case: 'chrage', value: {} } as never;
    await expect(scrip.billing.batch({ mutations: [{ mutation }] })).rejects.toThrow(
      'mutations.0.mutation',
    );
  });
});

test('labels, instants and bytes are no unknown fields', async () => {
  service.script = [1n];
  await scrip.billing.charge({
    accountId: 'a',
    labels: { any: 'name', constructor: 'x' },
    notAfter: new Date(),
    usages: { items: [{ quantities: { pages: 2 } }] },
    credits: undefined,
  });
  expect(service.received).toHaveLength(1);
});

test('close() ends a call that would be repeated', async () => {
  service.script = [bare(status.UNAVAILABLE)];
  const call = scrip.billing.charge({ accountId: 'a' }, { timeoutMs: 600_000 });
  while (service.received.length < 2) await new Promise(setImmediate);
  scrip.close();
  await expect(call).rejects.toMatchObject({ reason: 'CANCELLED', outcome: 'unknown' });
  await expect(scrip.billing.charge({ accountId: 'a' })).rejects.toMatchObject({
    reason: 'CANCELLED',
    outcome: 'none',
  });
});

test('a call in flight that is refused after close() has its refusal', async () => {
  const call = scrip.billing.charge({ accountId: 'a' });
  service.script = ['silence'];
  while (service.received.length === 0) await new Promise(setImmediate);
  scrip.close();
  service.received[0]?.answer(refusal('INSUFFICIENT_CREDITS', INSUFFICIENT));
  await expect(call).rejects.toThrow(InsufficientCredits);
});

test('a call may have no deadline, and then has no notAfter', async () => {
  service.script = [bare(status.UNAVAILABLE), 1n];
  await scrip.billing.charge({ accountId: 'a' }, { timeoutMs: Number.POSITIVE_INFINITY });
  expect(service.received[0]?.request.notAfter).toBeUndefined();
});

test.each([0, -1, Number.NaN])('timeoutMs %s is refused', async (timeoutMs) => {
  const call = scrip.billing.charge({ accountId: 'a' }, { timeoutMs });
  await expect(call).rejects.toThrow('timeoutMs must be a number above 0');
});

describe('the time to wait', () => {
  const failures = fc.integer({ min: 1, max: 100 });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const retryAfterMs = fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined });

  test('is never shorter than the service asked for', () => {
    const isLongEnough = (after: number | undefined, count: number, isSlow: boolean, by: number) =>
      waitMs({ retryAfterMs: after }, count, isSlow, by) >= (after ?? 0);
    fc.assert(fc.property(retryAfterMs, failures, fc.boolean(), random, isLongEnough));
  });

  test('is at most 2 s, or half more than the service asked for', () => {
    const isShortEnough = (after: number | undefined, count: number, isSlow: boolean, by: number) =>
      waitMs({ retryAfterMs: after }, count, isSlow, by) <= Math.max(2_000, (after ?? 0) * 1.5);
    fc.assert(fc.property(retryAfterMs, failures, fc.boolean(), random, isShortEnough));
  });

  test.each([
    [1, 25, 50],
    [2, 50, 100],
    [3, 100, 200],
    [7, 1_000, 2_000],
    [50, 1_000, 2_000],
  ])('after %i failures is %i to %i ms', (count, least, most) => {
    expect(waitMs({ retryAfterMs: undefined }, count, false, 0)).toBe(least);
    expect(waitMs({ retryAfterMs: undefined }, count, false, 1)).toBe(most);
  });

  test('is the longest while most attempts fail', () => {
    const throttle = new Throttle();
    for (let failed = 0; failed < 50; failed++) throttle.failed();
    expect(throttle.isThrottled).toBe(false);
    throttle.failed();
    expect(throttle.isThrottled).toBe(true);
    for (let answered = 0; answered < 10; answered++) throttle.succeeded();
    expect(throttle.isThrottled).toBe(false);
    expect(waitMs({ retryAfterMs: undefined }, 1, true, 0)).toBe(1_000);
  });
});
