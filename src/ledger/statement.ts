/** A statement: an account's bill for one calendar month (UTC). */
import type { OverageLine, OverageRates } from '../pricing/overage.ts';
import type { Money } from '../pricing/plan.ts';
import type { GrantCategory } from './grant.ts';

/** The usage of one operation in a month. */
export type OperationUsage = {
  /** Empty: credits charged without usages. */
  readonly operation: string;
  /** How many times it was done, including refunded ones; 0 for credits charged without usages. */
  readonly count: bigint;
  /** Credits charged, less those refunded within the month. */
  readonly credits: bigint;
  readonly refunded: bigint;
};

/** What refunds of overage subtract from a month whose statement is closed. */
export type Adjustment = {
  readonly month: string;
  /** Credits refunded in the month of the statement that lists the adjustment; above 0. */
  readonly credits: bigint;
  /** 0 or negative; null if that month's overage was not billed. */
  readonly amount: Money | null;
};

/** The usage of a month, before it is priced. */
export type MonthUsage = {
  /** Sorted by operation; credits charged without usages come last. */
  readonly usage: readonly OperationUsage[];
  readonly creditsUsed: ReadonlyMap<GrantCategory, bigint>;
  readonly overage: bigint;
  /** Charged though nothing could pay it, less what was refunded within the month. */
  readonly owed: bigint;
  /** What credits have paid in the month of what was owed. They are not in `creditsUsed`. */
  readonly owedPaid: bigint;
  /** Refunded overage of earlier months, by month. */
  readonly refundedEarlier: ReadonlyMap<string, bigint>;
};

export type Statement = Omit<MonthUsage, 'refundedEarlier'> & {
  readonly accountId: string;
  /** E.g. "2026-11". */
  readonly month: string;
  /** The plan whose rates price it. */
  readonly planId: string;
  /** Null: not closed, computed for a reader. */
  readonly closedAt: number | null;
  /** It counts the entries with afterSeq < seq <= lastSeq. */
  readonly afterSeq: bigint;
  readonly lastSeq: bigint;
  /** Null: overage is counted and not billed. */
  readonly rates: OverageRates | null;
  readonly lines: readonly OverageLine[];
  /** Sorted by month. */
  readonly adjustments: readonly Adjustment[];
  /** Sum of lines and adjustments in the rates' currency; null without rates. */
  readonly total: Money | null;
  /** Sums of adjustments in other currencies, sorted by currency. */
  readonly otherTotals: readonly Money[];
};
