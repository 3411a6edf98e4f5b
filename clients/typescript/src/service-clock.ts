/** The clock of the service, as its answers show it. */
import type { Metadata } from '@grpc/grpc-js';

/** Metadata with the service's time: milliseconds since 1970. */
const TIME_KEY = 'scrip-time';

/** How long a sample counts, though a later one took longer to come. */
const SAMPLE_LASTS_MS = 60_000;

/** How old the time in an answer may be, and more. */
const INEXACT_MS = 1_000;

export class ServiceClock {
  /** Between the service's clock and `performance.now()`, which nobody sets. */
  #offset: number | undefined;
  #roundTrip = Number.POSITIVE_INFINITY;
  #sampledAt = 0;

  /** Milliseconds since 1970. Until the first answer: the time of this machine. */
  now(): number {
    return this.#offset === undefined ? Date.now() : performance.now() + this.#offset;
  }

  /** Learns from what the service said its time is, in answer to a call that was sent at `sentAt`, by `performance.now()`. */
  learn(time: number, sentAt: number) {
    if (!Number.isFinite(time) || time <= 0) return;
    const now = performance.now();
    const roundTrip = now - sentAt;
    const offset = time - (sentAt + now) / 2;
    // The shorter the round trip, the closer is its middle to the time that the service read. A clock that was
    // set, or a machine that slept, shows in the difference.
    const isCloser = roundTrip <= this.#roundTrip || now - this.#sampledAt >= SAMPLE_LASTS_MS;
    const isMoved = Math.abs(offset - (this.#offset ?? offset)) > roundTrip + INEXACT_MS;
    if (!isCloser && !isMoved) return;
    this.#roundTrip = roundTrip;
    this.#sampledAt = now;
    this.#offset = offset;
  }

  learnFrom(answer: Metadata, sentAt: number) {
    const [time] = answer.get(TIME_KEY);
    if (typeof time === 'string') this.learn(Number(time), sentAt);
  }
}
