/** An account: the owner of a balance, and what the database keeps of it in one row. */
import type { Terms } from '../pricing/plan.ts';
import type { Labels } from './entry.ts';
import { monthStart } from './month.ts';
import type { AutoTopUp, TopUps } from './top-up.ts';

export type AccountState = 'OPEN' | 'CLOSED';

export type Account = {
  readonly accountId: string;
  planId: string;
  state: AccountState;
  displayName: string;
  labels: Labels;
  /** Limits of its own, in place of the plan's; null: the plan's is in force. */
  lowBalanceThreshold: bigint | null;
  pauseFloor: bigint | null;
  /** Null: off. */
  autoTopUp: AutoTopUp | null;
  /** Null before the first. */
  topUps: TopUps | null;
  /** When there is something to do about a top-up; null while there is nothing. */
  topUpDueAt: number | null;
  readonly openedAt: number;
  closedAt: number | null;
  /** seq of the newest entry; 0 before the first. */
  seq: bigint;
  /** Number of the newest grant; 0 before the first. */
  grantCount: bigint;
  /** seq of the newest event; 0 before the first. */
  eventCount: bigint;
  /** Sums over the account's grants. */
  remaining: bigint;
  reserved: bigint;
  /** Usage of the calendar month of `lastAt` that no grant covered. */
  overage: bigint;
  overageReserved: bigint;
  overageLimit: bigint;
  /** Whether the newest event about the balance said that it is low. */
  lowBalance: boolean;
  /** When the next allowance is due; null where the plan gives none. */
  allowanceDueAt: number | null;
  /** End of the next month to be closed by a statement; null where none is. */
  statementDueAt: number | null;
  /** The postpaid plan that prices that month; null once the account has left postpaid plans. */
  statementPlanId: string | null;
  /**
   * No later than the first moment at which something happens to the account by itself: a
   * reservation or grant expires, a scheduled grant becomes effective, an allowance is due, or
   * notice of a grant's expiry. Until then nobody needs to look. It may be too early (nothing was due after all), never too late.
   */
  dueAt: number | null;
  /**
   * Time of the newest entry, or the end of the newest month that a statement has closed if that is
   * later: time never runs backwards within an account.
   */
  lastAt: number;
  lastHash: Uint8Array;
  /** Row version: 1 when the account is opened, incremented by every write of its row. */
  version: bigint;
};

export type Balance = {
  readonly remaining: bigint;
  /** On the overage line too. */
  readonly reserved: bigint;
  /** remaining − reserved. */
  readonly available: bigint;
  readonly overage: bigint;
  readonly overageLimit: bigint;
  readonly lowBalance: boolean;
  readonly lowBalanceThreshold: bigint;
  readonly pauseFloor: bigint;
  readonly nextExpiry: { readonly expiresAt: number; readonly credits: bigint } | null;
  readonly nextAllowance: { readonly dueAt: number; readonly credits: bigint } | null;
  readonly seq: bigint;
  readonly asOf: number;
};

/** Usage no grant covered in the calendar month of `now`: each month counts from 0. */
export const currentOverage = (account: Account, now: number): bigint =>
  monthStart(now) === monthStart(account.lastAt) ? account.overage : 0n;

/** remaining − reserved, less what is reserved on the overage line; negative once overage is reserved. */
export const availableCredits = ({ remaining, reserved, overageReserved }: Account): bigint =>
  remaining - reserved - overageReserved;

/** The account's own threshold if it has one, otherwise its plan's. */
export const effectiveLowBalanceThreshold = (account: Account, terms: Terms): bigint =>
  account.lowBalanceThreshold ?? terms.lowBalanceThreshold;

/** The account's own floor if it has one, otherwise its plan's. 0 pauses nothing. */
export const effectivePauseFloor = (account: Account, terms: Terms): bigint =>
  account.pauseFloor ?? terms.pauseFloor;
