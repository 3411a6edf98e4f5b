/**
 * `withReservation`: reserves, runs the work, and charges it exactly once if it succeeds.
 *
 * Everything that decides about credits is in the job's log before it is sent, so whatever ends between two
 * steps is finished from there: by this process, or by `recover` in another one.
 */
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { CallOptions } from '../call-options.ts';
import { complete } from '../complete.ts';
import { ReserveRequest } from '../gen/billing/v1/billing_service.ts';
import type { Reservation } from '../gen/billing/v1/ledger.ts';
import type { DeepPartial } from '../method.ts';
import { ScripError } from '../scrip-error.ts';
import { type Amount, takeAmount } from './amount.ts';
import { durationOf, startHeartbeat } from './heartbeat.ts';
import { type Job, RunningJob, type Settlement } from './job.ts';
import { JobLog } from './job-log.ts';
import type { Journal } from './journal.ts';
import { pack } from './journal-record.ts';
import { type ReservationCalls, type Settled, settle } from './settle.ts';
import { isRefusal, type Persistence, within } from './until-answered.ts';

/** What is reserved and for how long; the fields of ReserveRequest mean the same here. */
type ReserveTerms = Pick<
  DeepPartial<ReserveRequest>,
  'overCommitPolicy' | 'criticality' | 'rateCardVersion' | 'reference' | 'labels'
>;

export type UnreservedRun = {
  readonly account: string;
  /** Request id of the charge that follows. */
  readonly job: string;
  readonly reference: string;
  /** What Reserve failed with. */
  readonly error: ScripError;
};

export type ReservationOptions = Amount &
  ReserveTerms & {
    /** Id of the account. */
    readonly account: string;
    /** How long the reservation outlives its last heartbeat, in milliseconds. Default: the plan's. */
    readonly ttlMs?: number;
    /** How long the caller waits for Reserve, for each part, and for the end of the reservation, in milliseconds. Default 10,000. */
    readonly timeoutMs?: number;
    /** Gives the reservation up. While the work runs, only `job.signal` tells it. */
    readonly signal?: AbortSignal;
    /** Keeps what is decided, so that `recover` can finish it if this process dies. */
    readonly journal?: Journal;
    /**
     * Runs the work without a reservation if the service is unavailable or overloaded for as long as
     * `timeoutMs`; never where it refused to reserve.
     */
    readonly unreserved?: {
      /** What the job is charged afterwards at most. One that would reserve more credits does not run. */
      readonly credits: bigint;
      /** Called before each such run. If it throws, the work does not run. */
      readonly onRun: (run: UnreservedRun) => void | Promise<void>;
    };
    /** Of all calls that this process makes for the job. */
    readonly metadata?: CallOptions['metadata'];
    readonly traceparent?: string;
  };

export type JobOutcome<Result> = {
  /** What the work returned. */
  readonly result: Result;
  /** `pending`: the service did not answer in time. It will be charged all the same, as `settled` tells. */
  readonly settlement: Settlement;
  /** Credits charged, all parts included; while pending, those that are known of. */
  readonly charged: bigint;
  /** Null: it ran without a reservation. */
  readonly reservationId: string | null;
  /** Id of the job in its journal, and the request id of its calls but those of parts. */
  readonly job: string;
  /** Resolves when the service has answered. Rejects with ChargeRefused, or if the client is closed before. */
  readonly settled: Promise<{ readonly charged: bigint }>;
};

/** The work succeeded, and the service refused to charge it. Its parts stay charged. */
export class ChargeRefused extends Error {
  override readonly name = 'ChargeRefused';
  /** Such as "RESERVATION_EXPIRED" or "EXCEEDS_RESERVATION". */
  readonly reason: string;
  /** The error of the service, an instance of the class of its reason. */
  readonly refusal: ScripError | undefined;
  /** What the work returned. */
  readonly result: unknown;
  /** Credits that its parts charged. */
  readonly charged: bigint;
  readonly reservationId: string | null;

  constructor(settled: Settled, result: unknown, reservationId: string | null) {
    const { reason = '', refusal, charged } = settled;
    super(`the job is done and was not charged: ${refusal?.message ?? reason}`, { cause: refusal });
    this.reason = reason;
    this.refusal = refusal;
    this.result = result;
    this.charged = BigInt(charged);
    this.reservationId = reservationId;
  }
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Rejects with the error of Reserve, and then the work has not run; with what the work threw, and then nothing but
 * its parts is charged; or with ChargeRefused. `closing` is aborted once the client is closed.
 */
export async function withReservation<Result>(
  billing: ReservationCalls,
  options: ReservationOptions,
  work: (job: Job) => Promise<Result> | Result,
  closing?: AbortSignal,
): Promise<JobOutcome<Result>> {
  options.signal?.throwIfAborted();
  const run = await JobRun.start(billing, options, closing);
  const reservation = await run.reserve();
  return reservation ? await run.runReserved(reservation, work) : await run.runUnreserved(work);
}

/** The reservation, and when its request was sent, by `performance.now()`. */
type Reserved = { readonly reservation: Reservation; readonly sentAt: number };

class JobRun {
  readonly #billing: ReservationCalls;
  readonly #options: ReservationOptions;
  readonly #request: ReserveRequest;
  readonly #amount: Amount;
  readonly #log: JobLog;
  readonly #timeoutMs: number;
  readonly #persistence: Persistence;

  private constructor(
    billing: ReservationCalls,
    options: ReservationOptions,
    amount: Amount,
    request: ReserveRequest,
    log: JobLog,
    closing: AbortSignal | undefined,
  ) {
    this.#billing = billing;
    this.#options = options;
    this.#request = request;
    this.#amount = amount;
    this.#log = log;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { metadata, traceparent } = options;
    this.#persistence = {
      // A server that does not answer leaves time for another one.
      attemptMs: Math.max(this.#timeoutMs / 3, 1_000),
      // What a journal has is finished by `recover`.
      keepsAlive: !log.isJournalled,
      closing,
      call: { ...(metadata && { metadata }), ...(traceparent !== undefined && { traceparent }) },
    };
  }

  /** Nothing has been sent yet. Rejects if the journal cannot be written. */
  static async start(
    billing: ReservationCalls,
    options: ReservationOptions,
    closing: AbortSignal | undefined,
  ): Promise<JobRun> {
    const job = randomUUID();
    const amount = takeAmount(options);
    const request = reserveRequest(job, options, amount);
    const { accountId: account, reference } = request;
    const at = new Date().toISOString();
    const packed = pack(ReserveRequest, request);
    const record = { type: 'reserve', job, account, reference, at, request: packed } as const;
    const log = await JobLog.start(record, options.journal);
    return new JobRun(billing, options, amount, request, log, closing);
  }

  get #job(): string {
    return this.#log.state.job;
  }

  /** Null if the work is to run unreserved. */
  async reserve(): Promise<Reserved | null> {
    const sentAt = performance.now();
    const { signal } = this.#options;
    try {
      const { reservation } = await this.#billing.reserve(this.#request, {
        ...this.#persistence.call,
        timeoutMs: this.#timeoutMs,
        ...(signal && { signal }),
      });
      if (!reservation) throw new Error('Reserve was answered without a reservation');
      const { reservationId } = reservation;
      this.#log.note({ type: 'reserved', job: this.#job, reservationId });
      return { reservation, sentAt };
    } catch (error) {
      try {
        if (error instanceof ScripError && (await this.#mayRunUnreserved(error))) return null;
      } catch (denial) {
        this.#giveUp(error);
        throw denial;
      }
      this.#giveUp(error);
      throw error;
    }
  }

  async runReserved<Result>(
    { reservation, sentAt }: Reserved,
    work: (job: Job) => Promise<Result> | Result,
  ): Promise<JobOutcome<Result>> {
    const { reservationId } = reservation;
    const abort = this.#abortController();
    const { call } = this.#persistence;
    const heartbeat = startHeartbeat(this.#billing, reservation, sentAt, call, (lost) =>
      abort.abort(lost),
    );
    const job = this.#runningJob(reservationId, abort.signal);
    let result: Result;
    try {
      result = await work(job);
      const request = job.finalCommit(reservationId);
      job.end();
      await this.#log.decide({ type: 'commit', job: this.#job, request });
    } catch (error) {
      heartbeat.stop();
      await this.#fail(job);
      throw error;
    } finally {
      abort.dispose();
    }
    const settled = this.#settle(job).finally(() => heartbeat.stop());
    return await this.#outcome(job, result, settled);
  }

  async runUnreserved<Result>(
    work: (job: Job) => Promise<Result> | Result,
  ): Promise<JobOutcome<Result>> {
    const abort = this.#abortController();
    const job = this.#runningJob(null, abort.signal);
    let result: Result;
    try {
      result = await work(job);
      const amount = job.finalUse(this.#amount);
      job.end();
      const requestId = this.#job;
      if (amount) await this.#log.decide({ type: 'use', job: this.#job, requestId, amount });
    } catch (error) {
      await this.#fail(job);
      throw error;
    } finally {
      abort.dispose();
    }
    return await this.#outcome(job, result, this.#settle(job));
  }

  /** Reports the run and notes it, if it is allowed. */
  async #mayRunUnreserved(error: ScripError): Promise<boolean> {
    const { unreserved, signal } = this.#options;
    if (!unreserved || signal?.aborted || !isUnavailable(error)) return false;
    if ((this.#amount.credits ?? 0n) > unreserved.credits) return false;
    const { job, account, reference } = this.#log.state;
    await unreserved.onRun({ account, job, reference, error });
    await this.#log.require({ type: 'unreserved', job, limit: String(unreserved.credits) });
    return true;
  }

  /** The work does not run. What Reserve may have set aside goes back meanwhile; at the latest it expires. */
  #giveUp(error: unknown) {
    if (error instanceof ScripError && error.outcome === 'none')
      this.#log.note({ type: 'notReserved', job: this.#job });
    settle(this.#log, this.#billing, { ...this.#persistence, keepsAlive: false }).catch(() => {});
  }

  /** The work failed: what is not charged yet goes back, and the caller waits no longer than for anything else. */
  async #fail(job: RunningJob) {
    job.end();
    await within(
      this.#settle(job).catch(() => {}),
      this.#timeoutMs,
      () => {},
    );
  }

  async #settle(job: RunningJob): Promise<Settled> {
    await job.partsAnswered();
    return await settle(this.#log, this.#billing, this.#persistence);
  }

  async #outcome<Result>(
    job: RunningJob,
    result: Result,
    settling: Promise<Settled>,
  ): Promise<JobOutcome<Result>> {
    const { reservationId } = job;
    const settled = settling.then((end) => {
      if (end.outcome === 'refused') throw new ChargeRefused(end, result, reservationId);
      return { charged: BigInt(end.charged) };
    });
    // Whoever does not wait for it may leave it alone.
    settled.catch(() => {});
    const answer = await within(settled, this.#timeoutMs, () => null);
    const settlement = answer ? 'settled' : 'pending';
    const charged = answer?.charged ?? job.charged;
    return { result, settlement, charged, reservationId, job: this.#job, settled };
  }

  #runningJob(reservationId: string | null, signal: AbortSignal): RunningJob {
    return new RunningJob({
      log: this.#log,
      billing: this.#billing,
      persistence: this.#persistence,
      timeoutMs: this.#timeoutMs,
      reservationId,
      signal,
    });
  }

  /** Aborts with the caller's signal, too. */
  #abortController() {
    const controller = new AbortController();
    const { signal } = this.#options;
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    return {
      signal: controller.signal,
      abort: (reason: unknown) => controller.abort(reason),
      dispose: () => signal?.removeEventListener('abort', abort),
    };
  }
}

function reserveRequest(job: string, options: ReservationOptions, amount: Amount): ReserveRequest {
  const { account, ttlMs } = options;
  const { overCommitPolicy, criticality, rateCardVersion, reference, labels } = options;
  return complete(ReserveRequest, {
    accountId: account,
    requestId: job,
    ...amount,
    ...(ttlMs !== undefined && { ttl: durationOf(ttlMs) }),
    ...(overCommitPolicy && { overCommitPolicy }),
    ...(criticality && { criticality }),
    ...(rateCardVersion !== undefined && { rateCardVersion }),
    ...(reference !== undefined && { reference }),
    ...(labels && { labels }),
  });
}

const UNAVAILABLE: ReadonlySet<number> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED]);

/** The service was not there, or had no room: it has not refused the job. */
function isUnavailable(error: ScripError): boolean {
  if (isRefusal(error)) return false;
  if (error.reason === 'OVERLOADED' || UNAVAILABLE.has(error.code)) return true;
  // What breaks between client and service has no reason.
  return error.reason === '' && error.code !== status.UNAUTHENTICATED;
}
