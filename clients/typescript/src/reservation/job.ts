/** What the work of a reservation is given: it tells what it used, and learns if the reservation is lost. */
import { ChargeRequest, CommitRequest } from '../gen/billing/v1/billing_service.ts';
import { type Amount, sumOf, takeAmount } from './amount.ts';
import type { JobLog } from './job-log.ts';
import { type PackedRequest, pack } from './journal-record.ts';
import { commitPacked, type ReservationCalls } from './settle.ts';
import { isRefusal, type Persistence, within } from './until-answered.ts';

/** Whether the service has answered. Until then the client goes on. */
export type Settlement = 'settled' | 'pending';

export type Used = {
  readonly settlement: Settlement;
  /** Credits that this part charged; 0 while it is pending. */
  readonly charged: bigint;
};

const PENDING: Used = { settlement: 'pending', charged: 0n };

export type Job = {
  /** Null for a job that runs without a reservation. */
  readonly reservationId: string | null;
  /** Aborts with a ReservationLost if the reservation is lost, and with the caller's reason if the caller gave up. */
  readonly signal: AbortSignal;
  /**
   * Charges a part now. It stays charged, also if the work fails later. Rejects with a ScripError if the service
   * refuses it, such as EXCEEDS_RESERVATION. If the service cannot be reached, it resolves with `pending` once
   * the timeout of the job has passed, and the part is charged as soon as it can be.
   */
  readonly use: (amount: Amount) => Promise<Used>;
  /**
   * Charges an amount once the work has succeeded, in the commit that ends the reservation. Several add up:
   * all of them usages, or all of them credits. Makes no call.
   */
  readonly useAtEnd: (amount: Amount) => void;
};

export type JobContext = {
  readonly log: JobLog;
  readonly billing: ReservationCalls;
  readonly persistence: Persistence;
  readonly timeoutMs: number;
  readonly reservationId: string | null;
  readonly signal: AbortSignal;
};

/** A job is charged what it says; one that says nothing, all that it reserved. */
export class RunningJob implements Job {
  readonly reservationId: string | null;
  readonly signal: AbortSignal;
  readonly #context: JobContext;
  readonly #atEnd: Amount[] = [];
  readonly #parts = new Set<Promise<unknown>>();
  #partCount = 0;
  #charged = 0n;
  /** Credits that an unreserved job said it used. Usages have no price yet. */
  #unreserved = 0n;
  #hasEnded = false;

  constructor(context: JobContext) {
    this.#context = context;
    this.reservationId = context.reservationId;
    this.signal = context.signal;
  }

  /** Credits of the parts that were charged so far. */
  get charged(): bigint {
    return this.#charged;
  }

  readonly use = async (given: Amount): Promise<Used> => {
    const amount = this.#take(given);
    const requestId = `${this.#context.log.state.job}.${++this.#partCount}`;
    if (this.reservationId === null) return await this.#useUnreserved(requestId, amount);
    let isPending = false;
    const part = this.#commitPart(requestId, this.reservationId, amount, () => isPending);
    const settled = part.catch(() => {});
    this.#parts.add(settled);
    void settled.then(() => this.#parts.delete(settled));
    return await within(part, this.#context.timeoutMs, () => {
      isPending = true;
      return PENDING;
    });
  };

  readonly useAtEnd = (given: Amount): void => {
    const amount = this.#take(given);
    sumOf([...this.#atEnd, amount]);
    if (this.reservationId === null) this.#countUnreserved(amount);
    this.#atEnd.push(amount);
  };

  /** Nothing can be used any more. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Resolves when every part has been answered. */
  async partsAnswered(): Promise<void> {
    await Promise.all(this.#parts);
  }

  /** The commit that ends the reservation of work that succeeded. */
  finalCommit(reservationId: string): PackedRequest {
    const { job, account } = this.#context.log.state;
    const atEnd = sumOf(this.#atEnd);
    const amount = atEnd ?? (this.#partCount > 0 ? { credits: 0n } : { all: true });
    const request = { accountId: account, requestId: job, reservationId, final: true, ...amount };
    return pack(CommitRequest, CommitRequest.fromPartial(request));
  }

  /** What unreserved work that succeeded used and did not say before; `whole` if it said nothing at all. Null: nothing more. */
  finalUse(whole: Amount): PackedRequest | null {
    const amount = sumOf(this.#atEnd) ?? (this.#partCount > 0 ? null : whole);
    return amount && pack(ChargeRequest, ChargeRequest.fromPartial(amount));
  }

  async #commitPart(
    requestId: string,
    reservationId: string,
    amount: Amount,
    isPending: () => boolean,
  ): Promise<Used> {
    const { log, billing, persistence } = this.#context;
    const { job, account: accountId } = log.state;
    const request = pack(
      CommitRequest,
      CommitRequest.fromPartial({ accountId, requestId, reservationId, ...amount, final: false }),
    );
    await log.decide({ type: 'part', job, requestId, request });
    try {
      const { committed } = await commitPacked(billing, request, persistence);
      log.note({ type: 'partSettled', job, requestId });
      this.#charged += committed;
      return { settlement: 'settled', charged: committed };
    } catch (error) {
      if (isRefusal(error)) {
        // Work that was told `pending` counts on it.
        const refused = isPending() ? { refused: error.reason } : {};
        log.note({ type: 'partSettled', job, requestId, ...refused });
      }
      throw error;
    }
  }

  /** It is charged when the work has ended, with all others. */
  async #useUnreserved(requestId: string, amount: Amount): Promise<Used> {
    const { log } = this.#context;
    this.#countUnreserved(amount);
    const packed = pack(ChargeRequest, ChargeRequest.fromPartial(amount));
    await log.decide({ type: 'use', job: log.state.job, requestId, amount: packed });
    return PENDING;
  }

  #countUnreserved({ credits = 0n }: Amount) {
    const { limit } = this.#context.log.state;
    const used = this.#unreserved + credits;
    if (limit !== null && used > limit)
      throw new RangeError(`the job runs without a reservation, and may use ${limit} credits`);
    this.#unreserved = used;
  }

  #take(amount: Amount): Amount {
    if (this.#hasEnded) throw new Error('the job has ended');
    return takeAmount(amount);
  }
}
