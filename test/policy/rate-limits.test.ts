/** Rates: never more than the burst and what the rate has added since, and nothing less. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Failure, RetryLater } from '../../src/failure.ts';
import { RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import type { Rate } from '../../src/policy/permissions.ts';
import { RateLimits } from '../../src/policy/rate-limits.ts';
import { TokenBucket } from '../../src/policy/token-bucket.ts';
import { detailsOf } from '../../src/rpc/call/status.ts';

const CALLER = 'cn:renderer';

const rates = fc.record({
  rate: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000_000 })),
  burst: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000_000 })),
});

/** Times in microseconds, each later than or equal to the one before. */
const times = fc
  .array(fc.oneof(fc.constant(0), fc.nat(1_000), fc.nat(3_000_000)), {
    minLength: 1,
    maxLength: 60,
  })
  .map((steps) => {
    let at = 0;
    return steps.map((step) => (at += step));
  });

const ms = (us: number) => us / 1_000;

describe('requests', () => {
  test('in any span of time are at most the burst and what the rate adds in it', () => {
    fc.assert(
      fc.property(rates, times, ({ rate, burst }, at) => {
        const limits = new RateLimits();
        const admitted = at.filter(
          (us) => limits.admitRequest(CALLER, { rate, burst }, ms(us)) === null,
        );
        for (const [first, from] of admitted.entries())
          for (const [last, to] of admitted.entries()) {
            if (last < first) continue;
            const inMillionths = BigInt(last - first + 1) * 1_000_000n;
            const added = BigInt(to - from) * BigInt(rate);
            expect(inMillionths <= BigInt(burst) * 1_000_000n + added).toBe(true);
          }
      }),
    );
  });

  test('are refused only if there is none in the bucket, and then admitted after the time it says', () => {
    fc.assert(
      fc.property(rates, times, ({ rate, burst }, at) => {
        const limits = new RateLimits();
        // The definition, in exact numbers: the bucket in millionths of a request.
        let [level, since] = [BigInt(burst) * 1_000_000n, 0];
        for (const us of at) {
          level += BigInt(us - since) * BigInt(rate);
          if (level > BigInt(burst) * 1_000_000n) level = BigInt(burst) * 1_000_000n;
          since = us;
          const refused = limits.admitRequest(CALLER, { rate, burst }, ms(us));
          expect(refused === null).toBe(level >= 1_000_000n);
          if (refused === null) level -= 1_000_000n;
          else expect(refused).toBeInstanceOf(RetryLater);
        }
      }),
    );
  });

  test('wait no longer than they must', () => {
    fc.assert(
      fc.property(rates, fc.nat(5), (rate, taken) => {
        const bucket = new TokenBucket(rate, 0);
        bucket.take(BigInt(rate.burst + taken), 0);
        const waitMs = bucket.waitMs(1n, 0);
        expect(waitMs).toBe(Math.ceil(((taken + 1) * 1_000) / rate.rate));
        expect(bucket.waitMs(1n, waitMs)).toBe(0);
      }),
    );
  });

  test('refill exactly, in however many steps', () => {
    const rate = { rate: 3, burst: 3 };
    const steps = fc.array(fc.integer({ min: 1, max: 9_999 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(steps, (lengths) => {
        const bucket = new TokenBucket(rate, 0);
        bucket.take(1_000n, 0);
        let us = 0;
        for (const length of lengths) {
          us += length;
          bucket.waitMs(1n, ms(us));
        }
        // It is full after (1,000 / 3) s, in which no step may have lost anything.
        const fullAt = 333_333_334;
        expect(bucket.isFull(ms(fullAt - 1))).toBe(false);
        expect(bucket.isFull(ms(fullAt))).toBe(true);
      }),
    );
  });

  test('of a Batch count each; more than the burst wait for a full bucket', () => {
    const limits = new RateLimits();
    const rate = { rate: 10, burst: 20 };
    const admit = (at: number, requests: number) =>
      limits.admitRequest(CALLER, rate, at, requests)?.metadata['retry_after_ms'] ?? null;
    expect(admit(0, 15)).toBe(null);
    expect(admit(0, 6)).toBe('100');
    expect(admit(100, 6)).toBe(null);
    expect(admit(100, 50)).toBe('2000');
    expect(admit(2_100, 50)).toBe(null);
    expect(admit(2_100, 1)).toBe('3100');
  });

  test('that are refused count for nothing', () => {
    const limits = new RateLimits();
    const rate = { rate: 1, burst: 1 };
    expect(limits.admitRequest(CALLER, rate, 0)).toBe(null);
    for (let at = 1; at < 1_000; at += 1)
      expect(limits.admitRequest(CALLER, rate, at)?.metadata['retry_after_ms']).toBe(
        `${1_000 - at}`,
      );
    expect(limits.admitRequest(CALLER, rate, 1_000)).toBe(null);
  });
});

describe('credits', () => {
  const rate = { rate: 100, burst: 500 };
  const waitOf = (failure: Failure | null) => failure?.metadata['retry_after_ms'] ?? null;

  test('are refused while earlier calls have taken more than there was', () => {
    const limits = new RateLimits();
    const admit = (at: number) => waitOf(limits.admitCredits(CALLER, rate, at));
    expect(admit(0)).toBe(null);
    limits.takeCredits(CALLER, rate, 0, 500n);
    expect(admit(0)).toBe(null);
    limits.takeCredits(CALLER, rate, 0, 250n);
    expect(admit(0)).toBe('2500');
    expect(admit(2_499)).toBe('1');
    expect(admit(2_500)).toBe(null);
  });

  test('in any span of time are at most the burst, what the rate adds, and those of the last call', () => {
    const amounts = fc.array(fc.tuple(fc.nat(3_000_000), fc.bigInt(0n, 2_000n)), { maxLength: 40 });
    fc.assert(
      fc.property(rates, amounts, (rate, calls) => {
        const limits = new RateLimits();
        let us = 0;
        const taken: { readonly us: number; readonly credits: bigint }[] = [];
        for (const [step, credits] of calls) {
          us += step;
          if (limits.admitCredits(CALLER, rate, ms(us))) continue;
          limits.takeCredits(CALLER, rate, ms(us), credits);
          taken.push({ us, credits });
        }
        for (const [first, { us: from }] of taken.entries()) {
          let before = 0n;
          for (const { us: to, credits } of taken.slice(first)) {
            const added = BigInt(to - from) * BigInt(rate.rate);
            expect(before * 1_000_000n <= BigInt(rate.burst) * 1_000_000n + added).toBe(true);
            before += credits;
          }
        }
      }),
    );
  });

  test('may be as many as there are', () => {
    const limits = new RateLimits();
    limits.takeCredits(CALLER, rate, 0, 9_223_372_036_854_775_807n);
    const failure = limits.admitCredits(CALLER, rate, 0);
    expect(failure?.reason).toBe('RATE_LIMITED');
    expect(limits.admitCredits('cn:other', rate, 0)).toBe(null);
  });
});

test('without a rate there is no limit, and no bucket', () => {
  const limits = new RateLimits();
  limits.takeCredits(CALLER, null, 0, 1_000n);
  expect(limits.admitRequest(CALLER, null, 0)).toBe(null);
  expect(limits.admitCredits(CALLER, null, 0)).toBe(null);
  expect(limits.size).toBe(0);
});

test('a new rate keeps what was used, and never gives more than it holds', () => {
  const limits = new RateLimits();
  const admitted = (rate: Rate, at: number) => {
    let count = 0;
    while (limits.admitRequest(CALLER, rate, at) === null) count += 1;
    return count;
  };
  expect(admitted({ rate: 10, burst: 5 }, 0)).toBe(5);
  expect(admitted({ rate: 10, burst: 50 }, 0)).toBe(0);
  expect(admitted({ rate: 20, burst: 50 }, 1_000)).toBe(10);
  expect(admitted({ rate: 20, burst: 50 }, 10_000)).toBe(50);
  expect(admitted({ rate: 20, burst: 3 }, 20_000)).toBe(3);
});

test('time that goes back adds nothing and takes nothing', () => {
  const bucket = new TokenBucket({ rate: 1, burst: 1 }, 1_000);
  bucket.take(1n, 1_000);
  expect(bucket.waitMs(1n, 0)).toBe(1_000);
  expect(bucket.waitMs(1n, 2_000)).toBe(0);
});

test('buckets of callers that are idle are dropped, and no others', () => {
  const limits = new RateLimits();
  const rate = { rate: 1, burst: 2 };
  const busy = Array.from({ length: 10 }, (_, index) => `cn:busy-${index}`);
  for (const caller of busy) limits.admitRequest(caller, rate, 0, 500);
  let largest = 0;
  for (let number = 0; number < 20_000; number += 1) {
    limits.admitRequest(`cn:${number}`, rate, number);
    largest = Math.max(largest, limits.size);
  }
  // 1,000 callers use their bucket within the second that it needs to fill.
  expect(largest).toBeLessThan(5_000);
  for (const caller of busy) expect(limits.admitRequest(caller, rate, 20_000)).not.toBe(null);
});

test('a refusal says how long to wait, to people and to clients', () => {
  const limits = new RateLimits();
  const rate = { rate: 2, burst: 3 };
  limits.admitRequest(CALLER, rate, 0, 3);
  const failure = limits.admitRequest(CALLER, rate, 0, 3);
  if (!failure) return expect.fail('it was admitted');
  expect(failure.message).toBe(
    `${CALLER} may use 2 requests per second, and 3 at once; try again in 1500 ms`,
  );
  expect(failure.metadata).toEqual({
    caller: CALLER,
    limit: 'requests_per_second',
    rate: '2',
    burst: '3',
    retry_after_ms: '1500',
  });
  const retry = detailsOf(failure).find(({ typeUrl }) => typeUrl.endsWith('google.rpc.RetryInfo'));
  expect(RetryInfo.decode(retry?.value ?? new Uint8Array()).retryDelay).toEqual({
    seconds: 1n,
    nanos: 500_000_000,
  });
});
