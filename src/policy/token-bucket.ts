/**
 * A token bucket. It is exact: it counts in millionths of tokens and in whole microseconds, so that a rate per
 * second is a whole number of millionths per microsecond, and no rounding adds up.
 */
import { min } from '../min.ts';
import type { Rate } from './permissions.ts';

const MILLION = 1_000_000n;

export class TokenBucket {
  #rate: bigint;
  /** What it holds at most, and holds, in millionths. Below zero it is in debt. */
  #capacity: bigint;
  #level: bigint;
  /** When the level was computed, in microseconds. */
  #at: bigint;

  /** It is full. `nowMs` is always a monotonic time. */
  constructor({ rate, burst }: Rate, nowMs: number) {
    this.#rate = BigInt(rate);
    this.#capacity = BigInt(burst) * MILLION;
    this.#level = this.#capacity;
    this.#at = microseconds(nowMs);
  }

  /** Goes on at another rate with what it holds. */
  changeRate({ rate, burst }: Rate, nowMs: number) {
    this.#refill(nowMs);
    this.#rate = BigInt(rate);
    this.#capacity = BigInt(burst) * MILLION;
    this.#level = min(this.#level, this.#capacity);
  }

  /**
   * How long until it holds `tokens`, in whole milliseconds; 0 if it does. More than it can ever hold are
   * there when it is full.
   */
  waitMs(tokens: bigint, nowMs: number): number {
    this.#refill(nowMs);
    const missing = min(tokens * MILLION, this.#capacity) - this.#level;
    if (missing <= 0n) return 0;
    const perMs = this.#rate * 1_000n;
    return Number((missing + perMs - 1n) / perMs);
  }

  /** Takes tokens, whether it holds them or not. */
  take(tokens: bigint, nowMs: number) {
    this.#refill(nowMs);
    this.#level -= tokens * MILLION;
  }

  /** Puts back what was taken and not used. */
  putBack(tokens: bigint, nowMs: number) {
    this.#refill(nowMs);
    this.#level = min(this.#capacity, this.#level + tokens * MILLION);
  }

  /** Whether it holds all that it can: it is as good as a new one. */
  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#level === this.#capacity;
  }

  #refill(nowMs: number) {
    const now = microseconds(nowMs);
    if (now <= this.#at) return;
    this.#level = min(this.#capacity, this.#level + (now - this.#at) * this.#rate);
    this.#at = now;
  }
}

const microseconds = (ms: number): bigint => BigInt(Math.floor(ms * 1_000));
