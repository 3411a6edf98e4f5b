/** Does what is left to do for a job, one step after the other, each until the service has decided it. */
import type { Scrip } from '../connect.ts';
import {
  ChargeRequest,
  CommitRequest,
  type CommitResponse,
  ReserveRequest,
} from '../gen/billing/v1/billing_service.ts';
import type { ScripError } from '../scrip-error.ts';
import type { JobLog } from './job-log.ts';
import { type JobState, nextStep, type Step } from './job-state.ts';
import { type JobEnd, type JournalRecord, type PackedRequest, unpack } from './journal-record.ts';
import { priceUses } from './price-uses.ts';
import { isRefusal, type Persistence, untilAnswered } from './until-answered.ts';

/** The calls that a job needs. */
export type ReservationCalls = Pick<
  Scrip['billing'],
  'reserve' | 'commit' | 'release' | 'charge' | 'estimate' | 'extendReservation'
>;

export type Settled = JobEnd & {
  /** Of a refused one, if this process received it. */
  readonly refusal?: ScripError;
};

/** Rejects only if the client is closed. */
export async function settle(
  log: JobLog,
  billing: ReservationCalls,
  persistence: Persistence,
): Promise<Settled> {
  let refusal: ScripError | undefined;
  const settler = new Settler(billing, persistence, (error) => {
    refusal = error;
  });
  for (let step = nextStep(log.state); step.do !== 'nothing'; step = nextStep(log.state)) {
    const record = await settler.perform(log.state, step);
    if (record.type === 'end') await log.end(record);
    else if (record.type === 'charge') await log.decide(record);
    else log.note(record);
  }
  const { end } = log.state;
  if (!end) throw new Error('a job without an end has nothing left to do');
  const { outcome, charged, reason } = end;
  return {
    outcome,
    charged,
    ...(reason !== undefined && { reason }),
    ...(outcome === 'refused' && refusal && { refusal }),
  };
}

/** A commit that repeats what its request says until it is answered. Rejects with a refusal. */
export const commitPacked = (
  billing: ReservationCalls,
  request: PackedRequest,
  persistence: Persistence,
): Promise<CommitResponse> =>
  untilAnswered((options) => billing.commit(unpack(CommitRequest, request), options), persistence);

/** No request can arrive before it: such a call only tells what became of an earlier one. */
const LONG_AGO = new Date(1_000);

class Settler {
  readonly #billing: ReservationCalls;
  readonly #persistence: Persistence;
  readonly #onRefusal: (error: ScripError) => void;

  constructor(
    billing: ReservationCalls,
    persistence: Persistence,
    onRefusal: (error: ScripError) => void,
  ) {
    this.#billing = billing;
    this.#persistence = persistence;
    this.#onRefusal = onRefusal;
  }

  async perform(state: JobState, step: Exclude<Step, { do: 'nothing' }>): Promise<JournalRecord> {
    switch (step.do) {
      case 'find':
        return await this.#find(state, step.request);
      case 'commitPart':
        return await this.#commitPart(state, step.requestId, step.request);
      case 'commit':
        return await this.#commit(state, step.request);
      case 'release':
        return await this.#release(state, step.reservationId);
      case 'price':
        return await this.#price(state, step.uses, step.limit);
      case 'charge':
        return await this.#charge(state, step.request);
      case 'end':
        return endOf(state, 'released', 0n);
    }
  }

  /** The answer that Reserve had, if it had an effect. */
  async #find({ job }: JobState, packed: PackedRequest): Promise<JournalRecord> {
    const request = { ...unpack(ReserveRequest, packed), notAfter: LONG_AGO };
    const found = await this.#answerOf(async (options) => {
      try {
        return await this.#billing.reserve(request, options);
      } catch (error) {
        if (isExpiredRequest(error)) return null;
        throw error;
      }
    });
    const reservationId = found.answer?.reservation?.reservationId;
    return reservationId === undefined
      ? { type: 'notReserved', job }
      : { type: 'reserved', job, reservationId };
  }

  async #commitPart({ job }: JobState, requestId: string, request: PackedRequest) {
    const { refusal } = await this.#answerOf((options) =>
      this.#billing.commit(unpack(CommitRequest, request), options),
    );
    const settled = { type: 'partSettled', job, requestId } as const;
    return refusal ? { ...settled, refused: refusal.reason } : settled;
  }

  async #commit(state: JobState, request: PackedRequest): Promise<JournalRecord> {
    const { answer, refusal } = await this.#answerOf((options) =>
      this.#billing.commit(unpack(CommitRequest, request), options),
    );
    if (refusal) return { type: 'commitRefused', job: state.job, reason: refusal.reason };
    const charged = answer.reservation?.committed ?? answer.committed;
    if (state.partRefused !== null) return endOf(state, 'refused', charged, state.partRefused);
    return endOf(state, 'charged', charged);
  }

  /** Under any request id: it is done at most once. */
  async #release(state: JobState, reservationId: string): Promise<JournalRecord> {
    const { job, account, limit } = state;
    const refused = state.commitRefused ?? state.partRefused;
    const { answer, refusal } = await this.#answerOf((options) =>
      this.#billing.release({ accountId: account, requestId: job, reservationId }, options),
    );
    if (limit !== null) return { type: 'released', job };
    const charged = answer?.reservation?.committed ?? BigInt(refusal?.metadata['committed'] ?? 0);
    if (refused !== null) return endOf(state, 'refused', charged, refused);
    return endOf(state, 'released', charged);
  }

  async #price(
    state: JobState,
    uses: readonly PackedRequest[],
    limit: bigint,
  ): Promise<JournalRecord> {
    const { answer, refusal } = await this.#answerOf((options) =>
      priceUses(this.#billing, state, uses, limit, options),
    );
    if (refusal) return endOf(state, 'refused', 0n, refusal.reason);
    return { type: 'charge', job: state.job, request: answer };
  }

  async #charge(state: JobState, request: PackedRequest): Promise<JournalRecord> {
    const { answer, refusal } = await this.#answerOf((options) =>
      this.#billing.charge(unpack(ChargeRequest, request), options),
    );
    if (refusal) return endOf(state, 'refused', 0n, refusal.reason);
    return endOf(state, 'charged', answer.credits);
  }

  async #answerOf<Response>(
    send: Parameters<typeof untilAnswered<Response>>[0],
  ): Promise<
    { answer: Response; refusal?: undefined } | { answer?: undefined; refusal: ScripError }
  > {
    try {
      return { answer: await untilAnswered(send, this.#persistence) };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#onRefusal(error);
      return { refusal: error };
    }
  }
}

const isExpiredRequest = (error: unknown): boolean =>
  error instanceof Error && 'reason' in error && error.reason === 'REQUEST_EXPIRED';

const endOf = (
  { job }: JobState,
  outcome: JobEnd['outcome'],
  charged: bigint,
  reason?: string,
): JournalRecord => ({
  type: 'end',
  job,
  outcome,
  charged: String(charged),
  ...(reason !== undefined && { reason }),
});
