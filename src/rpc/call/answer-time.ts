/**
 * The service's time in the trailers of its answers. A caller sets `not_after` by it, and so needs no clock that
 * agrees with the service's.
 */
import { Metadata } from '@grpc/grpc-js';
import type { Clock } from '../../clock/clock.ts';

/** Epoch milliseconds, as decimal digits. */
export const TIME_KEY = 'scrip-time';
/** Set by a sandbox only: what it says is not true. */
export const SANDBOX_KEY = 'scrip-sandbox';
export const REPLAYED_KEY = 'idempotent-replayed';

/** How old the time of an answer may be. Trailers that are made for each answer would cost every call. */
const AGE_MAX_MS = 100;

export class AnswerTime {
  readonly #clock: Clock;
  readonly #isSandbox: boolean;
  #madeAt = Number.NEGATIVE_INFINITY;
  #trailers = new Metadata();
  #replayed = new Metadata();

  constructor(clock: Clock, isSandbox: boolean) {
    this.#clock = clock;
    this.#isSandbox = isSandbox;
  }

  /** The trailers of a response. Without a time while the clocks disagree. */
  trailers(isReplayed: boolean): Metadata {
    this.#renew();
    return isReplayed ? this.#replayed : this.#trailers;
  }

  /** Adds it to the trailers of an error. */
  addTo(trailers: Metadata) {
    this.#renew();
    trailers.merge(this.#trailers);
  }

  #renew() {
    const now = this.#clock.isReliable ? this.#clock.now() : Number.NaN;
    if (now - this.#madeAt < AGE_MAX_MS) return;
    this.#madeAt = now;
    this.#trailers = new Metadata();
    if (!Number.isNaN(now)) this.#trailers.set(TIME_KEY, String(Math.trunc(now)));
    if (this.#isSandbox) this.#trailers.set(SANDBOX_KEY, 'true');
    this.#replayed = this.#trailers.clone();
    this.#replayed.set(REPLAYED_KEY, 'true');
  }
}
