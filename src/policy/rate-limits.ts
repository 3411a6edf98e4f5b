/**
 * The rates of callers, of one replica: requests, and credits. What a call costs in credits is known only after
 * it, so the bucket of credits may go into debt, and admits no call until it has come out of it.
 */
import type { Failure } from '../failure.ts';
import { rateLimited } from './denials.ts';
import type { Rate } from './permissions.ts';
import { TokenBucket } from './token-bucket.ts';

type Limited = { readonly bucket: TokenBucket; rate: Rate };

/** Buckets that are kept in any case. With more, the full ones are looked for and dropped. */
const KEPT_MIN = 1_000;

export class RateLimits {
  readonly #requests = new Buckets();
  readonly #credits = new Buckets();

  /** Buckets in memory. */
  get size(): number {
    return this.#requests.size + this.#credits.size;
  }

  /**
   * Counts a call, or one with the `requests` of a Batch; refuses it at the cost of nothing. A Batch of more
   * than the burst is admitted when the bucket is full, and puts it into debt. `counted` of the requests were
   * admitted before.
   */
  admitRequest(
    caller: string,
    rate: Rate | null,
    nowMs: number,
    requests = 1,
    counted = 0,
  ): Failure | null {
    if (rate === null) return null;
    const bucket = this.#requests.of(caller, rate, nowMs);
    if (counted > 0) bucket.putBack(BigInt(counted), nowMs);
    const waitMs = bucket.waitMs(BigInt(requests), nowMs);
    if (waitMs > 0) return rateLimited(caller, 'requests_per_second', rate, waitMs);
    bucket.take(BigInt(requests), nowMs);
    return null;
  }

  /** Whether the caller may move credits now. */
  admitCredits(caller: string, rate: Rate | null, nowMs: number): Failure | null {
    if (rate === null) return null;
    const waitMs = this.#credits.of(caller, rate, nowMs).waitMs(0n, nowMs);
    return waitMs > 0 ? rateLimited(caller, 'credits_per_second', rate, waitMs) : null;
  }

  /** Counts the credits that a call has moved. */
  takeCredits(caller: string, rate: Rate | null, nowMs: number, credits: bigint) {
    if (rate !== null && credits > 0n) this.#credits.of(caller, rate, nowMs).take(credits, nowMs);
  }
}

/** By callers. A full bucket is as good as a new one, so only the others have to be kept. */
class Buckets {
  readonly #limited = new Map<string, Limited>();
  #sweepAt = KEPT_MIN;

  get size(): number {
    return this.#limited.size;
  }

  of(caller: string, rate: Rate, nowMs: number): TokenBucket {
    const limited = this.#limited.get(caller);
    if (!limited) return this.#add(caller, rate, nowMs);
    const { bucket } = limited;
    if (limited.rate !== rate) {
      bucket.changeRate(rate, nowMs);
      limited.rate = rate;
    }
    return bucket;
  }

  #add(caller: string, rate: Rate, nowMs: number): TokenBucket {
    if (this.size >= this.#sweepAt) this.#sweep(nowMs);
    const bucket = new TokenBucket(rate, nowMs);
    this.#limited.set(caller, { bucket, rate });
    return bucket;
  }

  #sweep(nowMs: number) {
    for (const [caller, { bucket }] of this.#limited)
      if (bucket.isFull(nowMs)) this.#limited.delete(caller);
    // Twice what is in use: a sweep costs each caller that it is added once about one look.
    this.#sweepAt = Math.max(KEPT_MIN, 2 * this.size);
  }
}
