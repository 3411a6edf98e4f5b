/**
 * `meter`: for work that is used thousands of times a second. It reserves an amount, spends it without a call, and
 * reports what was used once an interval.
 */
import type { CallOptions } from '../call-options.ts';
import type { Scrip } from '../connect.ts';
import type { ReserveRequest } from '../gen/billing/v1/billing_service.ts';
import type { DeepPartial } from '../method.ts';
import { MeterCalls } from './meter-calls.ts';
import { MeterClock } from './meter-clock.ts';
import { type MeteredInputs, meteredUsage, type PricingCalls } from './metered-usage.ts';
import { OpenMeter } from './open-meter.ts';

export type MeterOptions = MeteredInputs &
  Pick<DeepPartial<ReserveRequest>, 'criticality' | 'reference' | 'labels'> & {
    /**
     * Credits of each reservation. A meter holds up to one and a half times as many. A process that uses them
     * faster than a reservation can be made is refused meanwhile.
     */
    readonly credits: bigint | number;
    /** How long a reservation outlives the process, in milliseconds. Default 60,000. It is extended while the meter is open. */
    readonly ttlMs?: number;
    /** Milliseconds between two reports. Default 1,000; at most a tenth of `ttlMs`. A process that dies loses what was used in one. */
    readonly intervalMs?: number;
    /** Called when the service refuses to reserve more, such as with InsufficientCredits. The meter asks again. */
    readonly onRefused?: (refusal: Error) => void;
    /** Called when the service refuses to charge what was allowed, after all attempts. */
    readonly onLost?: (units: number, refusal: Error) => void;
    /** How long `meter` waits for the first reservation, in milliseconds. Default 10,000. */
    readonly timeoutMs?: number;
    /** Of all calls of the meter. */
    readonly metadata?: CallOptions['metadata'];
  };

/** Units are what `tryUse` counts. */
export type MeterTotals = {
  /** Units that were allowed. */
  readonly allowed: number;
  /** Units of them that the service has charged. */
  readonly charged: number;
  /** Units of them that the service refused to charge. */
  readonly lost: number;
};

export type Meter = MeterTotals & {
  /**
   * Whether so many units may be used: the service will charge them. It makes no call. False: what is reserved is
   * used up or about to expire, and more is on its way, or `problem` says why not. Default 1. Throws a RangeError
   * unless it is an integer of 1 or more.
   */
  readonly tryUse: (units?: number) => boolean;
  /** Units that can be used now. */
  readonly available: number;
  /** Why nothing more is reserved: a refusal, or that the service cannot be reached. Null: nothing is wrong. */
  readonly problem: Error | null;
  /**
   * Allows nothing more, reports what was allowed, and returns the rest of the reservations. Resolves when that is
   * done, or after `timeoutMs` (default 10,000): then what is neither charged nor lost may have been charged or
   * not, and the rest returns when the reservations expire.
   */
  readonly close: (options?: { readonly timeoutMs?: number }) => Promise<MeterTotals>;
};

export type MeteringCalls = PricingCalls & {
  readonly billing: Pick<
    Scrip['billing'],
    'estimate' | 'reserve' | 'commit' | 'release' | 'extendReservation' | 'charge'
  >;
};

const TTL_MS = 60_000;
const INTERVAL_MS = 1_000;
const TIMEOUT_MS = 10_000;
/** Of the TTL. */
const INTERVAL_MAX = 0.1;

/**
 * Resolves when the first reservation is made. Rejects with the error of the service if it is not, and with a
 * RangeError if the options are out of range or the operation cannot be metered. `closing` is aborted once the
 * client is closed.
 */
export async function meter(
  calls: MeteringCalls,
  accountId: string,
  options: MeterOptions,
  closing?: AbortSignal,
): Promise<Meter> {
  const { ttlMs = TTL_MS, intervalMs = INTERVAL_MS, timeoutMs = TIMEOUT_MS } = options;
  const credits = BigInt(options.credits);
  if (credits < 1n) throw new RangeError('credits must be 1 or more');
  if (!(intervalMs >= 1 && intervalMs <= ttlMs * INTERVAL_MAX))
    throw new RangeError('intervalMs must be at least 1, and at most a tenth of ttlMs');
  const usage = await meteredUsage(calls, accountId, options);
  const clock = new MeterClock();
  const meterCalls = new MeterCalls(calls, accountId, { ...options, credits, ttlMs }, usage, clock);
  const first = await meterCalls.reserveFirst(timeoutMs);
  return new OpenMeter(meterCalls, first, { ...options, intervalMs }, clock, closing);
}
