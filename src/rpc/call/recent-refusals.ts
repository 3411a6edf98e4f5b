/**
 * The calls that failed last on this replica, for operators who ask what was refused: it is written nowhere. The
 * newest of each reason are kept, so that an overload does not push out what is rare.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Failure, Reason } from '../../failure.ts';
import { HiddenDenial } from '../../policy/denials.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import type { Observer } from '../../telemetry/observers.ts';

/** Of a call that failed before it was decoded only the method is known, and often the caller. */
export type RecentRefusal = Pick<
  CallRecord,
  'caller' | 'onBehalfOf' | 'accountId' | 'requestId' | 'reservationId' | 'traceId' | 'spanId'
> & {
  /** 1, 2, 3 … within the replica. */
  readonly number: number;
  /** By the clock of the host, in epoch milliseconds. */
  readonly at: number;
  readonly method: string;
  readonly failure: Failure;
};

/** Of each reason. */
const KEPT_MAX = 200;

export class RecentRefusals implements Observer {
  /** The host and a number that is another one after each start. */
  readonly replicaId = `${hostname()}-${randomBytes(4).toString('hex')}`;
  readonly since: number;
  readonly #host: () => number;
  /** Each is a ring: the refusal n of a reason is at n modulo KEPT_MAX. */
  readonly #rings = new Map<Reason, { readonly kept: RecentRefusal[]; count: number }>();
  #count = 0;

  /** `host` is the clock of the host, in epoch milliseconds. */
  constructor(host: () => number) {
    this.#host = host;
    this.since = host();
  }

  /** How many it has forgotten. */
  get dropped(): number {
    let dropped = 0;
    for (const { kept, count } of this.#rings.values()) dropped += count - kept.length;
    return dropped;
  }

  callEnded(call: CallRecord) {
    if (!call.failure) return;
    // The caller must not learn what was denied; an operator must.
    const failure = call.failure instanceof HiddenDenial ? call.failure.denied : call.failure;
    this.#count += 1;
    const ring = this.#ringOf(failure.reason);
    const { caller, onBehalfOf, accountId, requestId, reservationId, traceId, spanId } = call;
    ring.kept[ring.count % KEPT_MAX] = {
      number: this.#count,
      at: this.#host(),
      method: call.batch ? `Batch/${call.mutation}` : call.methodOriginal || call.method,
      caller,
      onBehalfOf,
      accountId,
      requestId,
      reservationId,
      traceId,
      spanId,
      failure,
    };
    ring.count += 1;
  }

  /** All that it remembers, newest first. */
  newestFirst(): readonly RecentRefusal[] {
    const all = [...this.#rings.values()].flatMap(({ kept }) => kept);
    return all.toSorted((a, b) => b.number - a.number);
  }

  #ringOf(reason: Reason) {
    let ring = this.#rings.get(reason);
    if (!ring) {
      ring = { kept: [], count: 0 };
      this.#rings.set(reason, ring);
    }
    return ring;
  }
}
