/**
 * What is known of a job from its records, and what is left to do for it. Pure. A job that just ended and one
 * that a dead process left are settled by the same steps.
 *
 * The same records may come twice in a row. A job without a decision is given back; what it had decided to charge is charged.
 */
import type { JournalRecord, PackedRequest } from './journal-record.ts';

export type JobState = {
  readonly job: string;
  readonly account: string;
  readonly reference: string;
  readonly reserve: PackedRequest;
  readonly reservation:
    | { readonly is: 'unknown' | 'none' | 'released' }
    | { readonly is: 'held'; readonly id: string };
  /** Of a job that runs without a reservation: the most that it is charged. */
  readonly limit: bigint | null;
  /** Parts to commit, by request id. */
  readonly parts: ReadonlyMap<string, PackedRequest>;
  /** Why a part was not charged that the work counts on: a job that has one is not charged in full. */
  readonly partRefused: string | null;
  /** What an unreserved job used, by an id of each use. */
  readonly uses: ReadonlyMap<string, PackedRequest>;
  readonly commit: PackedRequest | null;
  readonly commitRefused: string | null;
  readonly charge: PackedRequest | null;
  readonly end: Extract<JournalRecord, { type: 'end' }> | null;
};

/** The next thing to do. Its answer makes a record, and that the next step. */
export type Step =
  /** Finds out whether Reserve had an effect. */
  | { readonly do: 'find'; readonly request: PackedRequest }
  | { readonly do: 'commitPart'; readonly requestId: string; readonly request: PackedRequest }
  | { readonly do: 'commit'; readonly request: PackedRequest }
  | { readonly do: 'release'; readonly reservationId: string }
  /** Prices what an unreserved job used, and decides what to charge. */
  | { readonly do: 'price'; readonly uses: readonly PackedRequest[]; readonly limit: bigint }
  | { readonly do: 'charge'; readonly request: PackedRequest }
  /** Only the record is missing. */
  | { readonly do: 'end' }
  | { readonly do: 'nothing' };

export function startState(record: Extract<JournalRecord, { type: 'reserve' }>): JobState {
  const { job, account, reference, request } = record;
  return {
    job,
    account,
    reference,
    reserve: request,
    reservation: { is: 'unknown' },
    limit: null,
    parts: new Map(),
    partRefused: null,
    uses: new Map(),
    commit: null,
    commitRefused: null,
    charge: null,
    end: null,
  };
}

/** The state after one more record. */
export function applyRecord(state: JobState, record: JournalRecord): JobState {
  switch (record.type) {
    case 'reserve':
      return state;
    case 'reserved':
      return state.reservation.is === 'unknown'
        ? { ...state, reservation: { is: 'held', id: record.reservationId } }
        : state;
    case 'notReserved':
      return state.reservation.is === 'unknown' ? { ...state, reservation: { is: 'none' } } : state;
    case 'released':
      return { ...state, reservation: { is: 'released' } };
    case 'unreserved':
      return { ...state, limit: BigInt(record.limit) };
    case 'part':
      return { ...state, parts: new Map(state.parts).set(record.requestId, record.request) };
    case 'partSettled':
      return {
        ...state,
        parts: without(state.parts, record.requestId),
        partRefused: state.partRefused ?? record.refused ?? null,
      };
    case 'use':
      return { ...state, uses: new Map(state.uses).set(record.requestId, record.amount) };
    case 'commit':
      return { ...state, commit: state.commit ?? record.request };
    case 'commitRefused':
      return { ...state, commitRefused: record.reason };
    case 'charge':
      return { ...state, charge: state.charge ?? record.request };
    case 'end':
      return { ...state, end: record };
  }
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): ReadonlyMap<string, Value> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

/** Jobs by id, of records in the order in which they were written. Those of a job whose first one was lost are left out. */
export function jobsOf(records: Iterable<JournalRecord>): ReadonlyMap<string, JobState> {
  const jobs = new Map<string, JobState>();
  for (const record of records) {
    const state = jobs.get(record.job);
    if (state) jobs.set(record.job, applyRecord(state, record));
    else if (record.type === 'reserve') jobs.set(record.job, startState(record));
  }
  return jobs;
}

/** Parts come before the end of their reservation, which would refuse them. */
export function nextStep(state: JobState): Step {
  if (state.end) return { do: 'nothing' };
  return state.limit === null ? nextOfReserved(state) : nextOfUnreserved(state, state.limit);
}

function nextOfReserved(state: JobState): Step {
  const { reservation, commit, commitRefused } = state;
  for (const [requestId, request] of state.parts) return { do: 'commitPart', requestId, request };
  if (commit !== null && commitRefused === null) return { do: 'commit', request: commit };
  if (reservation.is === 'unknown') return { do: 'find', request: state.reserve };
  // Also of a job whose commit was refused: what it still holds goes back.
  if (reservation.is === 'held') return { do: 'release', reservationId: reservation.id };
  return { do: 'end' };
}

/** A reservation that Reserve made after all goes back first: the charge may need its credits. */
function nextOfUnreserved(state: JobState, limit: bigint): Step {
  const { reservation, charge, uses } = state;
  if (reservation.is === 'unknown') return { do: 'find', request: state.reserve };
  if (reservation.is === 'held') return { do: 'release', reservationId: reservation.id };
  if (charge !== null) return { do: 'charge', request: charge };
  if (uses.size > 0) return { do: 'price', uses: [...uses.values()], limit };
  return { do: 'end' };
}

/** The records that are left of a job's: none once it has ended. */
export function compactRecords(records: readonly JournalRecord[]): readonly JournalRecord[] {
  if (records.some(({ type }) => type === 'end')) return [];
  const settled = new Set(
    records.flatMap((record) => (record.type === 'partSettled' ? [record.requestId] : [])),
  );
  return records.filter((record) => {
    if (record.type === 'part') return !settled.has(record.requestId);
    return record.type !== 'partSettled' || record.refused !== undefined;
  });
}
