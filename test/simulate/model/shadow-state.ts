/** What the model knows of the shadow mode of an account. */
import type { ShadowDecision } from '../../../src/gen/billing/v1/account_service.ts';
import type { ReservationState, Spending } from './state.ts';

/** Decisions have the seqs after this one. */
const BEFORE_FIRST = 10n ** 15n;
export const isDecision = (seq: bigint): boolean => seq > BEFORE_FIRST;

/** All of a decision but its trace. */
export type ModelDecision = Omit<ShadowDecision, 'traceId'>;

/** What the shadow mode of an account is, and what its work has used since it began. */
export type ShadowState = {
  readonly mode: {
    readonly since: number;
    /** Null: it is on. */
    readonly until: number | null;
    readonly caller: string;
  };
  /** Of the newest decision. */
  readonly seq: bigint;
  /** Of the newest decision before the mode began. */
  readonly sinceSeq: bigint;
  /** By grant. */
  readonly spent: ReadonlyMap<bigint, bigint>;
  /** By month. */
  readonly overage: ReadonlyMap<string, bigint>;
  /** Jobs and charges of shadow mode, also of earlier times. */
  readonly reservations: ReadonlyMap<string, ReservationState>;
  readonly spendings: ReadonlyMap<bigint, Spending>;
  /** Jobs of it whose Reserve would have been refused. */
  readonly refusedJobs: ReadonlySet<string>;
};

export const NO_SHADOW: ShadowState = {
  mode: { since: 0, until: 0, caller: '' },
  ...{ seq: BEFORE_FIRST, sinceSeq: BEFORE_FIRST },
  ...{ spent: new Map(), overage: new Map(), reservations: new Map(), spendings: new Map() },
  refusedJobs: new Set(),
};
