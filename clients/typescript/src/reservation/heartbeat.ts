/** Extends a reservation for as long as its job runs. */
import { status } from '@grpc/grpc-js';
import type { Scrip } from '../connect.ts';
import type { Reservation } from '../gen/billing/v1/ledger.ts';
import { ScripError } from '../scrip-error.ts';
import { isRefusal, type Persistence, pause } from './until-answered.ts';

/** Why the signal of a job aborts: its reservation has ended, or could not be extended before its end. */
export class ReservationLost extends Error {
  override readonly name = 'ReservationLost';
  readonly reservationId: string;
  /** Of the refusal, such as "RESERVATION_EXPIRED"; empty if the service could not be reached in time. */
  readonly reason: string;

  constructor(reservationId: string, cause: unknown) {
    const reason = isRefusal(cause) ? cause.reason : '';
    super(`reservation ${reservationId} is lost: ${reason || 'it was not extended in time'}`, {
      cause,
    });
    this.reservationId = reservationId;
    this.reason = reason;
  }
}

export type Heartbeat = { readonly stop: () => void };

/** Of the time that is left when an extension begins: a third of the TTL has passed. */
const LEFT_AT_EXTENSION = 2 / 3;
/** What one attempt may take, as a share of the TTL: several fit into what is left. */
const ATTEMPT_SHARE = 1 / 6;

/**
 * All times are those of this machine, counted from when the request was sent: the service counted from a later
 * moment, so the reservation never ends before `end`.
 */
export function startHeartbeat(
  billing: Pick<Scrip['billing'], 'extendReservation'>,
  reservation: Reservation,
  sentAt: number,
  call: Persistence['call'],
  onLost: (lost: ReservationLost) => void,
): Heartbeat {
  const stopped = new AbortController();
  const ttlMs = ttlOf(reservation);
  void beat(billing, reservation, {
    ttlMs,
    end: sentAt + ttlMs,
    signal: stopped.signal,
    call,
  }).then((lost) => {
    if (lost && !stopped.signal.aborted) onLost(lost);
  });
  return { stop: () => stopped.abort() };
}

type Beat = {
  readonly ttlMs: number;
  readonly end: number;
  readonly signal: AbortSignal;
  readonly call: Persistence['call'];
};

/** Resolves when it is stopped, or with why the reservation is lost. */
async function beat(
  billing: Pick<Scrip['billing'], 'extendReservation'>,
  { accountId, reservationId }: Reservation,
  { ttlMs, end: firstEnd, signal, call }: Beat,
): Promise<ReservationLost | null> {
  const wait = { signal, keepsAlive: false };
  let end = firstEnd;
  let failure: unknown;
  for (;;) {
    const left = end - performance.now();
    await pause(failure ? retryPause(failure, ttlMs) : left - ttlMs * LEFT_AT_EXTENSION, wait);
    if (signal.aborted) return null;
    const sentAt = performance.now();
    if (sentAt >= end) return new ReservationLost(reservationId, failure);
    try {
      // Of each attempt its own request id: the answer to an old one would show an old expiry.
      await billing.extendReservation(
        { accountId, reservationId, ttl: durationOf(ttlMs) },
        {
          ...call,
          timeoutMs: Math.max(Math.min(end - sentAt, ttlMs * ATTEMPT_SHARE), 1),
          signal,
        },
      );
      end = Math.max(end, sentAt + ttlMs);
      failure = undefined;
    } catch (error) {
      if (signal.aborted) return null;
      if (hasEnded(error)) return new ReservationLost(reservationId, error);
      failure = error;
    }
  }
}

/** Also of an account that is closed. A TTL that the plan does not allow any more does not end what there is. */
const hasEnded = (error: unknown): boolean =>
  isRefusal(error) && error.code !== status.INVALID_ARGUMENT;

/** Short enough for a few more attempts, unless the service asks for longer. */
const retryPause = (failure: unknown, ttlMs: number): number =>
  Math.max(
    Math.min(ttlMs / 20, 1_000),
    failure instanceof ScripError ? Math.min(failure.retryAfterMs ?? 0, ttlMs / 6) : 0,
  );

const ttlOf = ({ createdAt, expiresAt }: Reservation): number =>
  createdAt && expiresAt ? expiresAt.getTime() - createdAt.getTime() : 0;

export const durationOf = (ms: number) => ({
  seconds: BigInt(Math.floor(ms / 1_000)),
  nanos: Math.floor(ms % 1_000) * 1_000_000,
});
