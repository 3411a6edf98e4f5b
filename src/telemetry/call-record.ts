/**
 * What is known of one call, collected while it is served: by its handler, its lane and its units of work. Its
 * span, its line of log, metrics and lists of refusals all say what is here. There is one object per call, and
 * one per mutation of a Batch.
 */
import { type SpanContext, TraceFlags } from '@opentelemetry/api';
import type { Failure } from '../failure.ts';
import { monotonicMs } from './monotonic.ts';
import { type SpanRef, spanContextOf } from './tracing.ts';
import type { UnitRecord } from './unit-record.ts';

/** Who calls, and the span of the call. */
export type Caller = SpanRef & {
  /** The name of the caller's identity. */
  readonly caller: string;
  readonly onBehalfOf: string;
  readonly certificate: string;
};

/** The entry that a mutation wrote first, or that its first response is stored with. */
type WrittenEntry = {
  readonly seq: bigint;
  readonly credits: bigint;
  readonly planId: string;
  readonly reservationId: string | null;
  readonly purchaseId?: string | null;
  readonly usages: readonly { readonly usage: { readonly operation: string } }[];
};

/** As OpenTelemetry names methods that do not exist: the names that callers think of are not limited. */
export const OTHER_METHOD = '_OTHER';

type RecordOptions = { readonly methodOriginal?: string; readonly batch?: CallRecord | null };

const NO_OPTIONS: RecordOptions = {};

export class CallRecord implements Caller {
  /** The full name, such as "billing.v1.BillingService/Reserve". OTHER_METHOD: there is no such method. */
  readonly method: string;
  /** Of OTHER_METHOD: what the caller asked for. Empty: the method. */
  readonly methodOriginal: string;
  readonly caller: string;
  readonly onBehalfOf: string;
  readonly certificate: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
  /** Of one mutation of a Batch: the record of its call. */
  readonly batch: CallRecord | null;
  /** The kind of the command, such as "Reserve"; empty: the call is no mutation. */
  mutation = '';

  /** Monotonic times in milliseconds. */
  readonly startedAt = monotonicMs();
  endedAt = 0;
  /** The gRPC status at the end, such as "OK". */
  status = '';
  /** Why it was refused or has failed; null: it has succeeded, or is not over. */
  failure: Failure | null = null;

  /** Empty: not known, or the call names none. */
  accountId = '';
  requestId = '';
  reservationId = '';
  purchaseId = '';
  planId = '';
  operation = '';
  /** That the request gives. Null: it gives none, or it is not recorded. */
  askedCredits: bigint | null = null;
  /** Null: it wrote no entry. */
  credits: bigint | null = null;
  seq: bigint | null = null;
  replayed = false;

  /** Of a Batch. */
  mutations = 0;
  refused = 0;

  /** How often it went back to the queue of its lane. */
  deferrals = 0;
  /** In milliseconds, without the time in units of work. Of a Batch: the longest. */
  laneWaitMs = 0;
  /** Most calls are part of one unit of work. */
  #unit: UnitRecord | null = null;
  #laterUnits: UnitRecord[] | null = null;

  constructor(
    method: string,
    { caller, certificate }: Pick<Caller, 'caller' | 'certificate'>,
    onBehalfOf: string,
    { traceId, spanId, traceFlags }: SpanContext,
    { methodOriginal = '', batch = null }: RecordOptions = NO_OPTIONS,
  ) {
    this.method = method;
    this.methodOriginal = methodOriginal;
    this.caller = caller;
    this.onBehalfOf = onBehalfOf;
    this.certificate = certificate;
    this.traceId = traceId;
    this.spanId = spanId;
    this.sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    this.batch = batch;
  }

  /** The record of one mutation of this call, a Batch. `span`: of the mutation, if it has one of its own. */
  part(mutation: string, span: SpanContext = spanContextOf(this)): CallRecord {
    const part = new CallRecord(this.method, this, this.onBehalfOf, span, { batch: this });
    part.mutation = mutation;
    this.mutations += 1;
    return part;
  }

  /** To be called once. `status` is that of gRPC. */
  end(status: string, failure: Failure | null) {
    this.endedAt = monotonicMs();
    this.status = status;
    this.failure = failure;
    if (this.batch && failure) this.batch.refused += 1;
  }

  get durationMs(): number {
    return this.endedAt - this.startedAt;
  }

  /** Each unit of work that it was part of, once. */
  get units(): readonly UnitRecord[] {
    return this.#unit === null ? [] : [this.#unit, ...(this.#laterUnits ?? [])];
  }

  /** Began a unit of work after `waitedMs` in the queue, all times together. */
  entered(unit: UnitRecord, waitedMs: number) {
    this.#addUnit(unit);
    if (waitedMs > this.laneWaitMs) this.laneWaitMs = waitedMs;
    this.batch?.entered(unit, waitedMs);
  }

  /** Was decided in the present unit of work. Without effect if that does not commit: it is decided again. */
  decided(entry: WrittenEntry | null, replayed: boolean) {
    this.replayed = replayed;
    this.credits = null;
    this.seq = null;
    if (entry === null) return;
    this.credits = entry.credits;
    this.seq = entry.seq;
    this.planId = entry.planId;
    this.reservationId = entry.reservationId ?? this.reservationId;
    this.purchaseId = entry.purchaseId ?? this.purchaseId;
    this.operation = entry.usages[0]?.usage.operation ?? '';
  }

  /** The mutations of a Batch enter one unit of work after another. */
  #addUnit(unit: UnitRecord) {
    if (this.#unit === null) this.#unit = unit;
    else if ((this.#laterUnits?.at(-1) ?? this.#unit) !== unit) {
      this.#laterUnits ??= [];
      if (!this.#laterUnits.includes(unit)) this.#laterUnits.push(unit);
    }
  }
}
