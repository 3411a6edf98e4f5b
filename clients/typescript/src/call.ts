/**
 * A call: one request id and one deadline, in as many attempts as it takes. It is the only thing that repeats:
 * the retries of grpc-js are off, because they know neither RetryInfo nor that a request id makes a repeat safe.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Attempt, AttemptOptions } from './attempt.ts';
import type { CallOptions } from './call-options.ts';
import { cancelled } from './errors.ts';
import { RequestExpired } from './gen/reasons.ts';
import type { Route } from './method.ts';
import { isPassing, Throttle, waitMs } from './repeats.ts';
import { ScripError } from './scrip-error.ts';
import type { ServiceClock } from './service-clock.ts';
import { type Stamped, stamp } from './stamp.ts';
import { activeTraceparent } from './trace-context.ts';

/** Rejects with a ScripError. */
export type Call = <Request, Response>(
  route: Route<Request, Response>,
  request: Request,
  options: CallOptions,
) => Promise<Response>;

export type CallSettings = {
  /** Of calls that do not say. */
  readonly timeoutMs: number | undefined;
  /** False: every call is one attempt. */
  readonly retries: boolean;
  readonly clock: ServiceClock;
  /** Aborted once the client is closed: calls that are to be repeated then end. */
  readonly closing: AbortSignal;
};

const TIMEOUT_MS = 10_000;
/** A checkout waits for the payment provider. */
const TIMEOUTS_MS: Readonly<Record<string, number>> = { Purchase: 30_000 };

/** The shortest time that an attempt gets, if the call has it. */
const ATTEMPT_MS = 2_000;
/** An attempt that has less time is not worth making. */
const LEAST_MS = 10;

export function callBy(attempt: Attempt, settings: CallSettings): Call {
  const throttle = new Throttle();
  return async (route, request, options) => {
    const call = new RunningCall(route, request, options, settings, throttle);
    for (;;) {
      const sentAt = performance.now();
      try {
        const answer = await attempt(route, request, call.attemptOptions(sentAt));
        throttle.succeeded();
        return answer;
      } catch (error) {
        await call.failed(error, sentAt);
      }
    }
  };
}

class RunningCall {
  readonly #settings: CallSettings;
  readonly #throttle: Throttle;
  readonly #options: CallOptions;
  readonly #traceparent: string | undefined;
  readonly #deadline: number;
  readonly #stamped: Stamped;
  readonly #isRead: boolean;
  #failures = 0;
  #isRenewed = false;
  /** An attempt was lost, and may have had an effect. */
  #isOpen = false;

  constructor(
    route: Route<unknown, unknown>,
    request: unknown,
    options: CallOptions,
    settings: CallSettings,
    throttle: Throttle,
  ) {
    const { name, options: method } = route;
    const limit = options.timeoutMs ?? settings.timeoutMs ?? TIMEOUTS_MS[name] ?? TIMEOUT_MS;
    if (!(typeof limit === 'number' && limit > 0))
      throw new RangeError('timeoutMs must be a number above 0');
    if (options.signal && typeof options.signal.addEventListener !== 'function')
      throw new TypeError('signal must be an AbortSignal');
    this.#settings = settings;
    this.#throttle = throttle;
    this.#options = options;
    this.#traceparent = options.traceparent ?? activeTraceparent();
    this.#deadline = performance.now() + limit;
    this.#stamped = stamp(route, request, settings.clock.now() + limit);
    this.#isRead = method.idempotencyLevel === 'NO_SIDE_EFFECTS';
    if (options.signal?.aborted) throw this.#ended(cancelled(options.signal.reason));
  }

  get #timeLeft(): number {
    return this.#deadline - performance.now();
  }

  attemptOptions(now: number): AttemptOptions {
    const { signal, metadata } = this.#options;
    // Half of the time that is left: an answer that was lost without a trace must leave time to ask again.
    const half = now + Math.max((this.#deadline - now) / 2, ATTEMPT_MS);
    const deadline = this.#settings.retries ? Math.min(this.#deadline, half) : this.#deadline;
    return { deadline, signal, metadata, traceparent: this.#traceparent };
  }

  /** Resolves when the next attempt is due. Rejects with what the call failed with. */
  async failed(error: unknown, sentAt: number): Promise<void> {
    const { closing } = this.#settings;
    const { signal } = this.#options;
    if (!(error instanceof ScripError))
      throw closing.aborted ? this.#ended(cancelled(closing.reason)) : error;
    this.#isOpen ||= error.outcome === 'unknown' && !this.#isRead;
    if (error instanceof RequestExpired && this.#isRenewedAfter(error, sentAt)) return;
    if (!isPassing(error)) throw this.#ended(error);
    for (const { aborted, reason } of [closing, ...(signal ? [signal] : [])])
      if (aborted) throw this.#ended(cancelled(reason));
    await this.#wait(error);
  }

  /** The clock of this machine may be wrong: the refusal says what time it is. */
  #isRenewedAfter({ now }: RequestExpired, sentAt: number): boolean {
    const { clock, retries } = this.#settings;
    clock.learn(now.getTime(), sentAt);
    if (this.#isRenewed || !retries) return false;
    this.#isRenewed = true;
    return this.#stamped.renew(clock.now() + this.#timeLeft);
  }

  async #wait(error: ScripError): Promise<void> {
    const { signal } = this.#options;
    this.#failures += 1;
    this.#throttle.failed();
    const wait = waitMs(error, this.#failures, this.#throttle.isThrottled, Math.random());
    // The last attempt is made shortly before the deadline, unless the service asks for a longer wait.
    const shortened = Math.max(Math.min(wait, this.#timeLeft / 2), error.retryAfterMs ?? 0);
    if (!this.#settings.retries || this.#timeLeft - shortened < LEAST_MS) throw this.#ended(error);
    await delay(shortened, undefined, { signal }).catch(() => {
      throw this.#ended(cancelled(signal?.reason));
    });
  }

  /** The error of an attempt as that of the call. */
  readonly #ended = (error: ScripError): ScripError =>
    error.withOutcome(this.#isOpen ? 'unknown' : 'none', this.#stamped.requestId);
}
