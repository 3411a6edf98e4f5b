/**
 * What a replica believes about the time, sample by sample. There are three clocks: the database's, which
 * is the authority, the host's wall clock, and the trusted time, which the monotonic clock continues. The
 * wall clock is only compared: it shows when the monotonic clock stood still, and when a clock was set.
 *
 * While all agree the trusted time follows the database. Otherwise the replica suspects its clocks until
 * the database and the host have agreed for `settleMs`, and then adopts the database's time. Pure.
 */
import { agrees, follow, leadOf, type Reading, startTimeline, type Timeline } from './timeline.ts';

/** All clocks, read together. */
export type Sample = {
  readonly database: Reading;
  readonly host: Reading;
  /** The monotonic clock when the sample was complete. */
  readonly at: number;
  /** Id of the newest acceptance; 0 before the first. */
  readonly acceptance: bigint;
};

/** What a replica wrote last: it outlives all replicas. */
export type Heartbeat = {
  /** The trusted time, in epoch milliseconds. */
  readonly trusted: number;
  /** The database's clock at the same moment: another time than `trusted` if it had jumped. */
  readonly database: number;
  /** Id of the newest acceptance when the clocks last agreed. */
  readonly acceptance: bigint;
};

export type Limits = {
  /** The largest difference of clocks that agree. */
  readonly skewMaxMs: number;
  /** How long clocks must agree again. */
  readonly settleMs: number;
};

/** After a larger jump an operator has to accept the database's time. */
export const ACCEPTANCE_JUMP_MS = 86_400_000;

/**
 * How far the clocks were ahead of the trusted time. Of a replica that starts: the database's of the last
 * heartbeat, the host's of the database's.
 */
export type Leads = { readonly databaseMs: number; readonly hostMs: number };

export type Suspicion = {
  /** When it began; null until the database has been asked. */
  readonly leads: Leads | null;
  /** The largest difference of two clocks so far. */
  readonly largestMs: number;
  /** The database's clock since it jumped last. */
  readonly database: Timeline;
  /** The monotonic clock when the database and the host began to agree; null: they do not. */
  readonly agreedSince: number | null;
  /** Whether the database or the host agrees with the trusted time: two clocks of three. */
  readonly isConfirmed: boolean;
  /** Only a later acceptance counts: it was given after the database's clock had jumped last. */
  readonly acceptance: bigint;
};

export type ClockState = {
  /** Null: no time has been trusted yet. */
  readonly trusted: Timeline | null;
  /** Null: the clocks agree. */
  readonly suspicion: Suspicion | null;
  /** Id of the newest acceptance when the clocks last agreed. */
  readonly acceptance: bigint;
};

/**
 * The state of a replica that starts. It trusts the database's time if the host agrees, unless the last
 * heartbeat is ahead of it or tells of a jump that was not accepted.
 */
export function startClock(
  sample: Sample,
  heartbeat: Heartbeat | null,
  { skewMaxMs }: Limits,
): ClockState {
  const { database, host, at } = sample;
  const timeline = startTimeline(database);
  const hostLeadMs = leadOf(host, timeline);
  const databaseLeadMs = heartbeat ? leadOverHeartbeat(database.time, heartbeat) : 0;
  const hostAgrees = Math.abs(hostLeadMs) <= skewMaxMs + host.uncertainty + database.uncertainty;
  if (hostAgrees && Math.abs(databaseLeadMs) <= skewMaxMs)
    return { trusted: timeline, suspicion: null, acceptance: sample.acceptance };
  const acceptance = heartbeat?.acceptance ?? sample.acceptance;
  const suspicion: Suspicion = {
    leads: { databaseMs: databaseLeadMs, hostMs: hostLeadMs },
    largestMs: Math.max(Math.abs(hostLeadMs), Math.abs(databaseLeadMs)),
    database: timeline,
    agreedSince: hostAgrees ? at : null,
    isConfirmed: false,
    acceptance,
  };
  return { trusted: null, suspicion, acceptance };
}

/**
 * How far the database's clock has jumped, for all that a heartbeat tells. It may be any time after the
 * heartbeat, since nobody knows how long there was no replica.
 */
function leadOverHeartbeat(now: number, { trusted, database }: Heartbeat): number {
  const jumpMs = database - trusted;
  const backMs = Math.min(0, now - trusted);
  return Math.abs(jumpMs) > Math.abs(backMs) ? jumpMs : backMs;
}

/** The state after a sample. */
export function advanceClock(state: ClockState, sample: Sample, limits: Limits): ClockState {
  const { skewMaxMs } = limits;
  // It took too long to tell anything.
  if (sample.database.uncertainty > skewMaxMs) return state;
  if (state.suspicion) return advanceSuspicion(state, state.suspicion, sample, limits);
  const { trusted } = state;
  if (!trusted) return state;
  const { database, host, at, acceptance } = sample;
  if (agrees(database, trusted, skewMaxMs) && agrees(host, trusted, skewMaxMs))
    return { trusted: follow(trusted, database, at), suspicion: null, acceptance };
  const suspicion = startSuspicion(trusted, host, state.acceptance);
  return advanceSuspicion(state, suspicion, sample, limits);
}

const startSuspicion = (trusted: Timeline, host: Reading, acceptance: bigint): Suspicion => ({
  leads: null,
  largestMs: Math.abs(leadOf(host, trusted)),
  database: trusted,
  agreedSince: null,
  isConfirmed: false,
  acceptance,
});

/** The state after the host's wall clock was read alone, as it is before every use of the time. */
export function compareHost(state: ClockState, host: Reading, { skewMaxMs }: Limits): ClockState {
  const { trusted, suspicion } = state;
  if (suspicion || !trusted || agrees(host, trusted, skewMaxMs)) return state;
  return { ...state, suspicion: startSuspicion(trusted, host, state.acceptance) };
}

function advanceSuspicion(
  state: ClockState,
  before: Suspicion,
  sample: Sample,
  limits: Limits,
): ClockState {
  const { skewMaxMs, settleMs } = limits;
  const { database, host, at } = sample;
  const jumped = !agrees(database, before.database, skewMaxMs);
  const timeline = jumped ? startTimeline(database) : follow(before.database, database, at);
  const isSame = agrees(host, timeline, skewMaxMs);
  const agreedSince = jumped ? null : before.agreedSince;
  const trusted = followIfSame(state.trusted, database, at, skewMaxMs);
  const suspicion: Suspicion = {
    leads: before.leads ?? leadsOver(state.trusted, sample),
    largestMs: Math.max(before.largestMs, ...differences(state.trusted, timeline, sample)),
    database: timeline,
    agreedSince: isSame ? (agreedSince ?? at) : null,
    isConfirmed:
      trusted !== null &&
      (agrees(database, trusted, skewMaxMs) || agrees(host, trusted, skewMaxMs)),
    acceptance: jumped ? sample.acceptance : before.acceptance,
  };
  if (!isOver(suspicion, sample, settleMs)) return { ...state, trusted, suspicion };
  const adopted = trusted && agrees(database, trusted, skewMaxMs) ? trusted : timeline;
  return { trusted: adopted, suspicion: null, acceptance: sample.acceptance };
}

const leadsOver = (trusted: Timeline | null, { database, host }: Sample): Leads | null =>
  trusted && { databaseMs: leadOf(database, trusted), hostMs: leadOf(host, trusted) };

/** The trusted time follows the database also while the host is suspected. */
const followIfSame = (
  trusted: Timeline | null,
  database: Reading,
  at: number,
  skewMaxMs: number,
): Timeline | null =>
  trusted && agrees(database, trusted, skewMaxMs) ? follow(trusted, database, at) : trusted;

/** Between the clocks of a sample. */
const differences = (
  trusted: Timeline | null,
  timeline: Timeline,
  { database, host }: Sample,
): readonly number[] =>
  [
    leadOf(host, timeline),
    ...(trusted ? [leadOf(database, trusted), leadOf(host, trusted)] : []),
  ].map(Math.abs);

const isOver = (
  { agreedSince, largestMs, acceptance }: Suspicion,
  sample: Sample,
  settleMs: number,
): boolean =>
  agreedSince !== null &&
  sample.at - agreedSince >= settleMs &&
  (largestMs <= ACCEPTANCE_JUMP_MS || sample.acceptance > acceptance);
