/** An account: the owner of a balance, as one row of the database. */
import type { LowBalanceLevel } from '../pricing/low-balance-level.ts';
import type { Terms } from '../pricing/plan.ts';
import type { AutoTopUp } from './auto-top-up.ts';
import type { Budget } from './budget.ts';
import type { CallerDays } from './caller-limits.ts';
import type { Labels } from './entry.ts';
import { isSameMonth, newestMonthBy, type Zones } from './periods/period.ts';
import type { TopUps } from './top-up.ts';

export type AccountState = 'OPEN' | 'CLOSED';

/** An operator has stopped new work. */
export type Suspension = {
  readonly since: number;
  /** Empty: erased. */
  readonly reason: string;
  readonly caller: string;
  /** Whether jobs that have reserved may go on. */
  readonly running: 'CONTINUE' | 'STOP';
};

/** Another system charges: what is used is decided and recorded here, and moves nothing. */
export type ShadowMode = {
  readonly since: number;
  /** When it ended; null: it is on. */
  readonly until: number | null;
  /** Who began it, or ended it. */
  readonly caller: string;
};

/** Instants are epoch milliseconds; credits are whole numbers. */
export type Account = {
  readonly accountId: string;
  planId: string;
  state: AccountState;
  displayName: string;
  labels: Labels;
  /** The account's own levels; null: its plan's apply. */
  lowBalanceLevels: readonly LowBalanceLevel[] | null;
  /** The account's own pause floor; null: its plan's applies. */
  pauseFloor: bigint | null;
  /**
   * Names of the levels that are low: from the event that said so to balance.recovered. Null while the
   * balance has not changed since the account was opened.
   */
  lowLevels: readonly string[] | null;
  /** Null: auto top-up is off. */
  autoTopUp: AutoTopUp | null;
  /** Null before the first top-up. */
  topUps: TopUps | null;
  /** When a worker must start or check a top-up; null: nothing to do. */
  topUpDueAt: number | null;
  readonly openedAt: number;
  /** Its periods turn at midnight of them. Null: always UTC, as of most accounts. */
  timeZones: Zones;
  closedAt: number | null;
  /** Null: it is not suspended. */
  suspension: Suspension | null;
  /** Null: it never was in shadow mode. */
  shadow: ShadowMode | null;
  /** In the order of their ids. Null: it has none. */
  budgets: readonly Budget[] | null;
  /** The entries up to this seq are archived: nothing is charged again or refunded of them. Null: none is. */
  archivedSeq: bigint | null;
  /** seq of the newest entry; 0 before the first. */
  seq: bigint;
  /** Id of the newest grant; 0 before the first. */
  grantCount: bigint;
  /** seq of the newest event; 0 before the first. */
  eventCount: bigint;
  /** Hash of the events that no entry covers yet, in hexadecimal; null: the entries cover all. */
  eventsHash: string | null;
  /** Sum over the account's grants. */
  remaining: bigint;
  /** Sum over the account's grants. */
  reserved: bigint;
  /** Sum of the amounts of the grants with credits left. */
  granted: bigint;
  /** Sum of the amounts of the grants that are not effective yet. */
  scheduled: bigint;
  /** Overage used in the calendar month of `lastAt`. */
  overage: bigint;
  /**
   * Overage used in the month before that, while late usage can still be added. Null: none is, or nothing can be.
   */
  overageBefore: bigint | null;
  /** Overage set aside by active reservations. */
  overageReserved: bigint;
  overageLimit: bigint;
  /** Charged though nothing could pay it, or claimed back though it was spent, and not paid since. */
  owed: bigint;
  /**
   * First moment of the next allowance's period: up to then one has been granted. A plan without an
   * allowance leaves it until it has come, so that the plan after it does not grant a period again. Null:
   * the plan gives no allowance, and none lasts.
   */
  allowanceDueAt: number | null;
  /** When the next month is to be closed by a statement: at its end, or later where usage may be late. Null: never. */
  statementDueAt: number | null;
  /** The postpaid plan that prices that month; null once the account has left postpaid plans. */
  statementPlanId: string | null;
  /** Whether an open grant is limited to operations. It may stay true until the account is settled. */
  hasLimitedGrants: boolean;
  /**
   * No later than the first moment at which something happens to the account by itself: a reservation
   * or grant expires, a scheduled grant becomes effective, an allowance or the notice of an expiry is
   * due. It may be too early, and never is too late. Null: nothing will happen.
   */
  dueAt: number | null;
  /**
   * Time of the newest entry, or the end of the newest closed month if that is later. Time never runs
   * backwards within an account.
   */
  lastAt: number;
  lastHash: Uint8Array;
  /** What callers with a limit have moved today; null before the first. */
  callerDays: CallerDays | null;
  /** Row version: 1 when the account is opened, incremented by every write of its row. */
  version: bigint;
};

export const isInShadowMode = ({ shadow }: Account): boolean => shadow?.until === null;

/** Overage used in the calendar month of `now`. Each month counts from 0. */
export const currentOverage = (account: Account, now: number): bigint =>
  isSameMonth(account.timeZones, now, account.lastAt) ? account.overage : 0n;

/**
 * The end of the month that is to be closed next; null: none is. Usage is late by less than a month, so it is the newest
 * end of a month by then.
 */
export const monthToCloseEnd = ({
  statementDueAt,
  timeZones,
}: Pick<Account, 'statementDueAt' | 'timeZones'>): number | null =>
  statementDueAt === null ? null : newestMonthBy(timeZones, statementDueAt);

/** remaining − reserved − reserved overage: negative where only overage is reserved. */
export const availableCredits = ({ remaining, reserved, overageReserved }: Account): bigint =>
  remaining - reserved - overageReserved;

/** The account's own levels if it has any set, otherwise its plan's. */
export const effectiveLowBalanceLevels = (
  account: Account,
  terms: Terms,
): readonly LowBalanceLevel[] => account.lowBalanceLevels ?? terms.lowBalanceLevels;

/** The account's own floor if it has one, otherwise its plan's. 0 pauses nothing. */
export const effectivePauseFloor = (account: Account, terms: Terms): bigint =>
  account.pauseFloor ?? terms.pauseFloor;
