/** Which calls share a Batch, and how each of them ends: with a made-up service that answers when it is told to. */
import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Attempt, AttemptOptions } from '../../../clients/typescript/src/attempt.ts';
import { batched } from '../../../clients/typescript/src/batching/batched.ts';
import { toScripError } from '../../../clients/typescript/src/errors.ts';
import {
  BatchRequest,
  BillingServiceDefinition,
  ChargeRequest,
  type ChargeResponse,
  type MutationResult,
  PurchaseRequest,
} from '../../../clients/typescript/src/index.ts';
import type { Method } from '../../../clients/typescript/src/method.ts';

type Sent = {
  /** Such as "Charge", or "Batch 3". */
  readonly what: string;
  /** The request ids in it. */
  readonly ids: readonly string[];
  readonly options: AttemptOptions;
  /** Answers all that is in it. */
  readonly answer: () => void;
  readonly fail: (code: status, reason?: string) => void;
};

let sent: Sent[] = [];
/** The answer to a mutation of a Batch. */
let resultOf: (id: string) => MutationResult['result'];

const attemptInto =
  (sent: Sent[]): Attempt =>
  (route, request, options) =>
    new Promise((resolve, reject) => {
      const fail = (code: status, reason = '') => reject(errorOf(code, reason));
      const bytes = route.requestType.encode(request).finish();
      if (route.name !== 'Batch') {
        const { requestId } = request as { requestId: string };
        const answer = () => resolve(responseOf(requestId) as never);
        sent.push({ what: route.name, ids: [requestId], options, answer, fail });
        return;
      }
      const { mutations } = BatchRequest.decode(bytes);
      const ids = mutations.map(({ mutation }) => mutation?.value.requestId ?? '');
      const answer = () =>
        resolve({ results: ids.map((id) => ({ result: resultOf(id) })) } as never);
      const traces = mutations.map(({ traceparent }) => traceparent).join();
      const what = `Batch ${ids.length}${traces.replaceAll(',', '') && ` ${traces}`}`;
      sent.push({ what, ids, options, answer, fail });
    });

const responseOf = (id: string) => ({ credits: BigInt(id.replaceAll(/\D/g, '') || 0) });
const errorOf = (code: status, reason: string) =>
  toScripError({
    code,
    message: `${status[code]} ${reason}`,
    details: reason ? [infoOf(reason)] : [],
  });
const infoOf = (reason: string) => ({
  typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
  // Fields 1 and 2: reason and domain.
  value: Buffer.concat([
    Buffer.from([0x0a, reason.length]),
    Buffer.from(reason),
    Buffer.from([0x12, 13]),
    Buffer.from('billing.scrip'),
  ]),
});

let send: Attempt;

beforeEach(() => {
  sent = [];
  resultOf = (id) => ({ $case: 'charge', value: responseOf(id) as ChargeResponse });
  send = batched(attemptInto(sent));
});
afterEach(() => void vi.useRealTimers());

const routeOf = <Request, Response>(method: Method<Request, Response>) => ({
  ...method,
  path: `/${BillingServiceDefinition.fullName}/${method.name}`,
});
const { charge: chargeMethod, purchase, getBalance } = BillingServiceDefinition.methods;

type Options = { timeoutMs?: number } & Partial<AttemptOptions>;
const optionsOf = ({ timeoutMs = 60_000, ...options }: Options = {}): AttemptOptions => ({
  deadline: performance.now() + timeoutMs,
  signal: undefined,
  metadata: undefined,
  traceparent: undefined,
  ...options,
});

const charge = (requestId: string, options?: Options): Promise<ChargeResponse> => {
  const request = ChargeRequest.fromPartial({ accountId: 'acme', requestId });
  const response = send(routeOf(chargeMethod), request, optionsOf(options));
  // Not every test looks at every end.
  response.catch(() => {});
  return response;
};
/** The index-th call that was sent. */
const call = (index: number): Sent => {
  const one = sent[index];
  if (!one) throw new Error(`only ${sent.length} calls were sent`);
  return one;
};
/** Those who are answered together are waited for until the next turn of the event loop. */
const next = async () => {
  for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
};
const what = () => sent.map((one) => one.what);
const creditsOf = (all: readonly { credits: bigint }[]) => all.map(({ credits }) => credits);

test('the first goes at once and alone, those made meanwhile together when it returns', async () => {
  const first = charge('id-1');
  const others = ['id-2', 'id-3', 'id-4'].map((id) => charge(id));
  await next();
  expect(what()).toEqual(['Charge']);
  call(0).answer();
  expect((await first).credits).toBe(1n);
  await next();
  expect(what()).toEqual(['Charge', 'Batch 3']);
  expect(call(1).ids).toEqual(['id-2', 'id-3', 'id-4']);
  call(1).answer();
  expect(creditsOf(await Promise.all(others))).toEqual([2n, 3n, 4n]);
});

test('one after the other, each goes alone and at once', async () => {
  for (const id of ['id-1', 'id-2', 'id-3']) {
    const response = charge(id);
    expect(sent.length).toBe(Number(id.at(-1)));
    sent.at(-1)?.answer();
    await response;
  }
  expect(what()).toEqual(['Charge', 'Charge', 'Charge']);
});

test('one that waited by itself goes as a call of its own', async () => {
  const both = [charge('id-1'), charge('id-2')];
  call(0).answer();
  await next();
  expect(what()).toEqual(['Charge', 'Charge']);
  call(1).answer();
  expect(creditsOf(await Promise.all(both))).toEqual([1n, 2n]);
});

test('callers that are answered together, and call again, go together again', async () => {
  const again = async (id: number): Promise<void> => {
    await charge(`id-${id}`);
    // A caller may be in the midst of functions that await each other.
    for (let depth = 0; depth < 20; depth++) await undefined;
    await charge(`id-${id + 100}`);
  };
  const all = [1, 2, 3, 4, 5].map(again);
  for (let index = 0; index < 3; index++) {
    await next();
    call(index).answer();
    await next();
  }
  expect(what().slice(0, 3)).toEqual(['Charge', 'Batch 5', 'Batch 4']);
  await Promise.all(all);
});

test('more than one Batch can carry go in several, at the same time', async () => {
  const all = Array.from({ length: 2_501 }, (_, index) => charge(`id-${index}`));
  call(0).answer();
  await next();
  expect(what()).toEqual(['Charge', 'Batch 1000', 'Batch 1000', 'Batch 500']);
  void charge('id-3000');
  call(1).answer();
  await next();
  expect(sent).toHaveLength(4);
  for (const { answer } of sent) answer();
  await Promise.all(all);
  await next();
  expect(call(4).ids).toEqual(['id-3000']);
});

test('a large request does not wait for others, nor they for it', async () => {
  void charge('id-1');
  void charge('id-2');
  const request = ChargeRequest.fromPartial({
    accountId: 'acme',
    requestId: 'id-3',
    usages: { items: Array.from({ length: 1_001 }, () => ({ operation: 'job' })) },
  });
  void send(routeOf(chargeMethod), request, optionsOf());
  expect(sent.map(({ ids }) => ids)).toEqual([['id-1'], ['id-3']]);
});

test('no timer is left when all have ended', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const all = ['id-1', 'id-2', 'id-3'].map((id) => charge(id));
  call(0).answer();
  await next();
  call(1).answer();
  await Promise.all(all);
  await next();
  expect(vi.getTimerCount()).toBe(0);
});

test('reads, and a purchase by checkout, go as they are', async () => {
  void charge('id-1');
  void charge('id-2');
  const read = { ...routeOf(getBalance) };
  void send(read, { accountId: 'acme', includeGrants: false }, optionsOf());
  const payment = { $case: 'checkout', value: {} } as const;
  const checkout = PurchaseRequest.fromPartial({ accountId: 'acme', requestId: 'id-3', payment });
  void send(routeOf(purchase), checkout, optionsOf());
  expect(what()).toEqual(['Charge', 'GetBalance', 'Purchase']);
});

test('only calls with the same request metadata share a Batch', async () => {
  const onBehalfOf = (name: string) => {
    const metadata = new Metadata();
    metadata.set('x-on-behalf-of', name);
    return { metadata };
  };
  void charge('id-1');
  void charge('id-2', onBehalfOf('ann'));
  void charge('id-3', onBehalfOf('bob'));
  for (const id of ['id-4', 'id-5']) void charge(id);
  for (const id of ['id-6', 'id-7']) void charge(id, onBehalfOf('ann'));
  for (const { answer } of [...sent]) answer();
  await next();
  const shared = sent
    .slice(3)
    .map(({ ids, options }) => ({ ids, by: options.metadata?.get('x-on-behalf-of') }));
  expect(shared).toEqual([
    { ids: ['id-4', 'id-5'], by: undefined },
    { ids: ['id-6', 'id-7'], by: ['ann'] },
  ]);
});

test('each has its own trace', async () => {
  void charge('id-1', { traceparent: 'trace-1' });
  void charge('id-2', { traceparent: 'trace-2' });
  void charge('id-3');
  call(0).answer();
  await next();
  expect(call(0).options.traceparent).toBe('trace-1');
  expect(call(1).what).toBe('Batch 2 trace-2,');
  expect(call(1).options.traceparent).toBeUndefined();
});

describe('an error', () => {
  test('of one mutation is the error of its call, and nobody else sees it', async () => {
    const all = ['id-1', 'id-2', 'id-3'].map((id) => charge(id));
    resultOf = (id) =>
      id === 'id-2'
        ? {
            $case: 'error',
            value: {
              code: status.NOT_FOUND,
              message: 'there is no account acme',
              reason: 'ACCOUNT_NOT_FOUND',
              metadata: {},
              details: [infoOf('ACCOUNT_NOT_FOUND')],
            },
          }
        : { $case: 'charge', value: responseOf(id) as ChargeResponse };
    call(0).answer();
    await next();
    call(1).answer();
    const ends = await Promise.allSettled(all);
    expect(ends.map(({ status: end }) => end)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(all[1]).rejects.toMatchObject({ name: 'AccountNotFound', outcome: 'none' });
  });

  test.each([
    [status.UNAVAILABLE, ''],
    [status.RESOURCE_EXHAUSTED, 'OVERLOADED'],
    [status.DEADLINE_EXCEEDED, ''],
  ])('of a Batch that would have met each, %s %s, is the error of each', async (code, reason) => {
    const all = ['id-1', 'id-2', 'id-3'].map((id) => charge(id));
    call(0).answer();
    await next();
    call(1).fail(code, reason);
    await expect(all[1]).rejects.toMatchObject({ code, reason });
    await expect(all[2]).rejects.toMatchObject({ code, reason });
    expect(what()).toEqual(['Charge', 'Batch 2']);
  });

  test.each([
    [status.INTERNAL, 'INTERNAL'],
    [status.INVALID_ARGUMENT, 'MESSAGE_TOO_LARGE'],
    [status.RESOURCE_EXHAUSTED, ''],
  ])(
    'of a Batch that may be about one of them, %s %s: each is sent alone',
    async (code, reason) => {
      const all = ['id-1', 'id-2', 'id-3'].map((id) => charge(id));
      call(0).answer();
      await next();
      call(1).fail(code, reason);
      await next();
      expect(what()).toEqual(['Charge', 'Batch 2', 'Charge', 'Charge']);
      call(2).fail(status.INTERNAL, 'INTERNAL');
      call(3).answer();
      await expect(all[1]).rejects.toMatchObject({ reason: 'INTERNAL' });
      expect((await all[2])?.credits).toBe(3n);
      // The next ones share a Batch again.
      await next();
      for (const id of ['id-4', 'id-5', 'id-6']) void charge(id);
      call(4).answer();
      await next();
      expect(what().slice(4)).toEqual(['Charge', 'Batch 2']);
    },
  );

  test('that refuses Batch to the caller: from then on each is sent alone', async () => {
    const all = ['id-1', 'id-2', 'id-3'].map((id) => charge(id));
    call(0).answer();
    await next();
    call(1).fail(status.PERMISSION_DENIED, 'CALLER_NOT_ALLOWED');
    await next();
    for (const { answer } of sent.slice(2)) answer();
    expect(creditsOf(await Promise.all(all))).toEqual([1n, 2n, 3n]);
    void charge('id-4');
    void charge('id-5');
    expect(what()).toEqual(['Charge', 'Batch 2', 'Charge', 'Charge', 'Charge', 'Charge']);
  });
});

describe('a caller that gives up', () => {
  test('before its mutation was sent: it is not sent', async () => {
    vi.useFakeTimers();
    void charge('id-1');
    const controller = new AbortController();
    const late = charge('id-2', { timeoutMs: 500 });
    const aborted = charge('id-3', { signal: controller.signal });
    void charge('id-4');
    void charge('id-5');
    const ends = Promise.allSettled([late, aborted]);
    controller.abort(new Error('enough'));
    vi.advanceTimersByTime(500);
    vi.useRealTimers();
    await ends;
    await expect(late).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED', outcome: 'none' });
    await expect(aborted).rejects.toMatchObject({ reason: 'CANCELLED', outcome: 'none' });
    call(0).answer();
    await next();
    expect(call(1).ids).toEqual(['id-4', 'id-5']);
  });

  test('before its attempt began: it is not sent', async () => {
    void charge('id-1');
    const aborted = charge('id-2', { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ reason: 'CANCELLED', outcome: 'none' });
  });

  test('while its Batch is in flight, which fails: it is not sent again', async () => {
    const controller = new AbortController();
    void charge('id-1');
    void charge('id-2', { signal: controller.signal });
    void charge('id-3');
    call(0).answer();
    await next();
    controller.abort();
    call(1).fail(status.INTERNAL, 'INTERNAL');
    await next();
    expect(sent.slice(2).map(({ ids }) => ids)).toEqual([['id-3']]);
  });

  test('while its Batch is in flight: on time, and the others get their answers', async () => {
    void charge('id-1');
    const controller = new AbortController();
    const aborted = charge('id-2', { signal: controller.signal });
    const late = charge('id-3', { timeoutMs: 30 });
    const patient = charge('id-4', { timeoutMs: 60_000 });
    call(0).answer();
    await next();
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ reason: 'CANCELLED', outcome: 'unknown' });
    await expect(late).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED', outcome: 'unknown' });
    expect(call(1).options.signal?.aborted).toBe(false);
    call(1).answer();
    expect((await patient).credits).toBe(4n);
  });

  test('the last of its Batch: the Batch is cancelled', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    void charge('id-1');
    const both = [charge('id-2', { signal }), charge('id-3', { signal })];
    call(0).answer();
    await next();
    controller.abort();
    await Promise.allSettled(both);
    expect(call(1).options.signal?.aborted).toBe(true);
  });

  test('a Batch has as long as the most patient of its callers', async () => {
    void charge('id-1');
    void charge('id-2', { timeoutMs: 1_000 });
    void charge('id-3', { timeoutMs: 9_000 });
    call(0).answer();
    await next();
    expect(call(1).options.deadline - performance.now()).toBeGreaterThan(8_000);
  });
});

test('a call that was lost on its way does not keep the others waiting for ever', async () => {
  vi.useFakeTimers();
  void charge('id-1');
  void charge('id-2');
  void charge('id-3');
  vi.advanceTimersByTime(999);
  expect(what()).toEqual(['Charge']);
  vi.advanceTimersByTime(1);
  expect(what()).toEqual(['Charge', 'Batch 2']);
});
