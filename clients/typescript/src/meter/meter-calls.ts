/** The calls of a meter. Each is repeated under one request id until it is answered; a refusal rejects. */
import { randomUUID } from 'node:crypto';
import type { CallOptions } from '../call-options.ts';
import type { ReserveResponse } from '../gen/billing/v1/billing_service.ts';
import { InsufficientCredits, OverageLimitReached } from '../gen/reasons.ts';
import { durationOf } from '../reservation/heartbeat.ts';
import { isRefusal, untilAnswered } from '../reservation/until-answered.ts';
import type { MeteringCalls, MeterOptions } from './meter.ts';
import type { MeterClock } from './meter-clock.ts';
import type { MeteredReservation, ReservedTerms } from './metered-reservation.ts';
import { asReserved, type MeteredUsage } from './metered-usage.ts';

type CallsOptions = Omit<MeterOptions, 'credits' | 'ttlMs'> & {
  readonly credits: bigint;
  readonly ttlMs: number;
};

/** Of one attempt. */
const ATTEMPT_MS = 10_000;

export class MeterCalls {
  /** Why the last attempt to reserve failed; null if it did not. */
  problem: Error | null = null;
  readonly #calls: MeteringCalls;
  readonly #accountId: string;
  readonly #options: CallsOptions;
  #usage: MeteredUsage;
  readonly #clock: MeterClock;
  readonly #givenUp = new AbortController();

  constructor(
    calls: MeteringCalls,
    accountId: string,
    options: CallsOptions,
    usage: MeteredUsage,
    clock: MeterClock,
  ) {
    this.#calls = calls;
    this.#accountId = accountId;
    this.#options = options;
    this.#usage = usage;
    this.#clock = clock;
  }

  /** Units of a reservation. */
  get units(): number {
    const { unitCredits, unitsMax } = this.#usage;
    // What is free of charge is reserved all the same, so that its use is recorded.
    const units = Number(this.#options.credits / (unitCredits || 1n));
    return Math.min(Math.max(units, 1), unitsMax);
  }

  /** Reserves what the account has if that is less than asked for. */
  async reserveFirst(timeoutMs: number): Promise<ReservedTerms> {
    const reserve = (units: number) => this.#reserver(units)({ timeoutMs });
    const { units } = this;
    const { credits } = this.#options;
    const { unitCredits } = this.#usage;
    if (credits < unitCredits)
      throw new RangeError(
        `a unit costs ${unitCredits} credits, more than the ${credits} to reserve`,
      );
    try {
      return await reserve(units);
    } catch (error) {
      const available = this.availableOf(error);
      if (available < 1 || available >= units) throw error;
      return await reserve(available);
    }
  }

  async reserve(units: number): Promise<ReservedTerms> {
    return await this.#answered(this.#reserver(units));
  }

  /** Units that the account has, as an error says; 0 if it says nothing. */
  availableOf(error: unknown): number {
    if (!(error instanceof InsufficientCredits || error instanceof OverageLimitReached)) return 0;
    return Number(error.available / (this.#usage.unitCredits || 1n));
  }

  async report({ reservationId, usage }: MeteredReservation, units: number, final: boolean) {
    const request = {
      accountId: this.#accountId,
      requestId: randomUUID(),
      reservationId,
      ...usage.amountOf(units),
      final,
    };
    await this.#answered((options) => this.#calls.billing.commit(request, options));
  }

  /** Returns when the reservation ends at the earliest. */
  async extend({ reservationId, ttlMs }: MeteredReservation): Promise<number> {
    return await this.#answered(async (options) => {
      const sentAt = this.#clock.now();
      // The answer to an old request id would show an old expiry.
      const requestId = randomUUID();
      const request = { accountId: this.#accountId, requestId, reservationId };
      await this.#calls.billing.extendReservation({ ...request, ttl: durationOf(ttlMs) }, options);
      return sentAt + ttlMs;
    });
  }

  /** Charges what a reservation can take no more. */
  async charge({ reservationId }: MeteredReservation, units: number) {
    const accountId = this.#accountId;
    const { reference = '', labels = {} } = this.#options;
    // A report that was delayed on its way has no effect any more.
    await this.#release(reservationId);
    const amount = this.#usage.amountOf(units);
    const request = { accountId, requestId: randomUUID(), ...amount, reference, labels };
    await this.#answered((options) => this.#calls.billing.charge(request, options));
  }

  /** An attempt that fails from now on is the last one. */
  giveUp(reason: Error) {
    this.#givenUp.abort(reason);
  }

  /** A function for the attempts of one reserve, all under the same request id. */
  #reserver(units: number): (options: CallOptions) => Promise<ReservedTerms> {
    const { ttlMs, reference = '', labels = {}, criticality } = this.#options;
    const requestId = randomUUID();
    const firstSentAt = this.#clock.now();
    return async (options) => {
      const sentAt = this.#clock.now();
      try {
        const response = await this.#calls.billing.reserve(
          {
            accountId: this.#accountId,
            requestId,
            ...this.#usage.amountOf(units),
            ttl: durationOf(ttlMs),
            reference,
            labels,
            ...(criticality && { criticality }),
          },
          { ...this.#common, ...options },
        );
        // An earlier attempt may have made it.
        const since = response.replay ? firstSentAt : sentAt;
        const { reservationId = '' } = response.reservation ?? {};
        const usage = await this.#followPrices(response, reservationId);
        this.problem = null;
        return { reservationId, units, expiresAt: since + ttlMs, ttlMs, usage };
      } catch (error) {
        this.problem = error as Error;
        throw error;
      }
    };
  }

  /** Prices may have changed since the last reservation. If they are such that cannot be metered, it is released. */
  async #followPrices(response: ReserveResponse, reservationId: string): Promise<MeteredUsage> {
    try {
      this.#usage = await asReserved(this.#calls, this.#options, this.#usage, response);
      return this.#usage;
    } catch (error) {
      if (error instanceof RangeError) await this.#release(reservationId);
      throw error;
    }
  }

  async #release(reservationId: string) {
    const request = { accountId: this.#accountId, requestId: randomUUID(), reservationId };
    try {
      await this.#answered((options) => this.#calls.billing.release(request, options));
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  /** What all calls have in common. */
  get #common(): CallOptions {
    const { metadata } = this.#options;
    return metadata ? { metadata } : {};
  }

  async #answered<Response>(send: (options: CallOptions) => Promise<Response>): Promise<Response> {
    return await untilAnswered(send, {
      attemptMs: ATTEMPT_MS,
      closing: this.#givenUp.signal,
      keepsAlive: true,
      call: this.#common,
    });
  }
}
