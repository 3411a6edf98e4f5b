/** Requests and credits per second, and open streams: time stands still until a test moves it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openWithCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const RULES = `
  - { id: header:slow, roles: [product-service], requests_per_second: { rate: 2, burst: 5 } }
  - prefix: header:team-
    roles: [product-service]
    requests_per_second: { rate: 1 }
  - { id: header:thrifty, roles: [product-service, support], credits_per_second: { rate: 10, burst: 50 } }
  - { id: header:reader, roles: [observer], streams: 2 }`;

let scrip: PolicedService;
let accountId: string;
beforeEach(async () => {
  scrip = await startPoliced(RULES, { frozenAt: Date.UTC(2031, 4, 10, 12) });
  accountId = await openWithCredits(scrip, 10_000n);
});
afterEach(() => scrip.stop());

const named = () => ({ accountId, requestId: requestId() });
const chargeOf = (credits: bigint) => ({
  mutation: { $case: 'charge' as const, value: { ...named(), credits } },
});

describe('requests per second', () => {
  const read = (caller = 'slow') => scrip.as(caller).billing.getBalance({ accountId });

  test('beyond the burst are refused, with the time to wait', async () => {
    for (let time = 0; time < 5; time++) await read();
    expect(await errorOf(read())).toMatchObject({
      code: 8,
      reason: 'RATE_LIMITED',
      retryMs: 500,
      metadata: {
        caller: 'slow',
        limit: 'requests_per_second',
        rate: '2',
        burst: '5',
        retry_after_ms: '500',
      },
    });
    scrip.advance(499);
    expect(await errorOf(read())).toMatchObject({ retryMs: 1 });
    scrip.advance(1);
    await read();
    expect(await errorOf(read())).toMatchObject({ retryMs: 500 });
    // The bucket holds no more than the burst.
    scrip.advance(3_600_000);
    for (let time = 0; time < 5; time++) await read();
    expect(await errorOf(read())).toMatchObject({ reason: 'RATE_LIMITED' });
  });

  test('are counted for each caller of a rule', async () => {
    await read('team-a');
    expect(await errorOf(read('team-a'))).toMatchObject({ reason: 'RATE_LIMITED' });
    await read('team-b');
    for (let time = 0; time < 20; time++) await read('test');
  });

  test('do not count calls that are denied', async () => {
    for (let time = 0; time < 10; time++)
      expect(await errorOf(scrip.as('slow').accounts.listAccounts({}))).toMatchObject({
        reason: 'CALLER_NOT_ALLOWED',
      });
    for (let time = 0; time < 5; time++) await read();
  });

  test('count each mutation of a Batch', async () => {
    const batch = (count: number) =>
      scrip
        .as('slow')
        .billing.batch({ mutations: Array.from({ length: count }, () => chargeOf(1n)) });
    await batch(3);
    // Two are left, and a Batch that is refused takes none of them.
    expect(await errorOf(batch(3))).toMatchObject({ reason: 'RATE_LIMITED', retryMs: 500 });
    await batch(2);
    expect(await errorOf(read())).toMatchObject({ reason: 'RATE_LIMITED' });
    // One of more than the burst is admitted when the bucket is full, and is paid for afterwards.
    scrip.advance(2_500);
    const { results } = await batch(9);
    expect(results.map(({ result }) => result?.$case)).toEqual(Array(9).fill('charge'));
    expect(await errorOf(read())).toMatchObject({ retryMs: 2_500 });
  });
});

describe('credits per second', () => {
  const charge = (credits: bigint) => scrip.as('thrifty').billing.charge({ ...named(), credits });

  test('hold up what moves credits, until the debt is paid', async () => {
    await charge(50n);
    // The bucket is empty, and may go into debt.
    await charge(30n);
    expect(await errorOf(charge(1n))).toMatchObject({
      code: 8,
      reason: 'RATE_LIMITED',
      retryMs: 3_000,
      metadata: { limit: 'credits_per_second', rate: '10', burst: '50' },
    });
    scrip.advance(2_999);
    expect(await errorOf(charge(1n))).toMatchObject({ retryMs: 1 });
    scrip.advance(1);
    await charge(1n);
  });

  test('never hold up commits and releases, reads, or what another caller does', async () => {
    const { billing } = scrip.as('thrifty');
    const reserve = async () =>
      (await billing.reserve({ ...named(), credits: 30n })).reservation?.reservationId ?? '';
    const [one, two, three] = [
      await reserve(),
      await reserve(),
      await (async () => {
        scrip.advance(1_000);
        return reserve();
      })(),
    ];
    expect(await errorOf(charge(1n))).toMatchObject({ reason: 'RATE_LIMITED' });
    const seq = await scrip.billing.charge({ ...named(), credits: 1n });
    for (const moving of [
      billing.reserve({ ...named(), credits: 1n }),
      billing.raiseReservation({ ...named(), reservationId: three, credits: 1n }),
      billing.refund({ ...named(), seq: seq.entrySeq, credits: 1n, reason: 'a test' }),
    ])
      expect(await errorOf(moving)).toMatchObject({ reason: 'RATE_LIMITED' });
    await billing.commit({ ...named(), reservationId: one, all: true });
    await billing.release({ ...named(), reservationId: two });
    await billing.extendReservation({ ...named(), reservationId: three, ttl: { seconds: 60n } });
    await billing.getBalance({ accountId });
    // In a Batch, too: each mutation by itself.
    const { results } = await billing.batch({
      mutations: [
        { mutation: { $case: 'commit', value: { ...named(), reservationId: three, all: true } } },
        chargeOf(1n),
      ],
    });
    expect(results.map(({ result }) => result?.$case)).toEqual(['commit', 'error']);
    expect(results[1]?.result?.value).toMatchObject({ code: 8, reason: 'RATE_LIMITED' });
  });

  test('do not count replays, and nothing of what failed', async () => {
    const request = { ...named(), credits: 40n };
    for (let time = 0; time < 5; time++) await scrip.as('thrifty').billing.charge(request);
    expect(await errorOf(charge(20_000n))).toMatchObject({ reason: 'INSUFFICIENT_CREDITS' });
    await charge(10n);
    await charge(1n);
    expect(await errorOf(charge(1n))).toMatchObject({ reason: 'RATE_LIMITED', retryMs: 100 });
  });
});

describe('open streams', () => {
  test('are limited for each caller, and free again when they end', async () => {
    const follow = async (caller: string) => {
      const stream = scrip.as(caller).billing.streamHistory({ accountId, follow: true });
      await stream.next();
      return stream;
    };
    const open = [await follow('reader'), await follow('reader')];
    expect(await errorOf(follow('reader'))).toMatchObject({
      code: 8,
      reason: 'CALLER_LIMIT_REACHED',
      retryMs: null,
      metadata: { caller: 'reader', limit: 'streams', allowed: '2' },
    });
    // Others have limits of their own, and calls without streams are not counted.
    open.push(await follow('test'));
    await scrip.as('reader').billing.getBalance({ accountId });
    await open[0]?.return();
    await expect
      .poll(() =>
        follow('reader').then(
          (stream) => open.push(stream) > 0,
          () => false,
        ),
      )
      .toBe(true);
    for (const stream of open) await stream.return();
  });
});
