/**
 * An entry: one immutable row of an account's history. It is a list of moves of credits between
 * buckets, so it is double entry by construction, and every balance is a sum of moves.
 */
import type { PricedUsage } from '../pricing/price.ts';

export type BucketKind =
  | 'issued'
  | 'available'
  | 'reserved'
  | 'overage'
  | 'overage_reserved'
  | 'consumed'
  | 'expired';

/**
 * A transfer of credits between two buckets. `available` and `reserved` are buckets of a grant, which
 * `grantId` names: no move concerns two grants. `grantId` is 0 for moves that concern none.
 */
export type Move = {
  readonly from: BucketKind;
  readonly to: BucketKind;
  readonly grantId: bigint;
  /** Above 0. */
  readonly credits: bigint;
};

export type EntryKind =
  | 'GRANT'
  | 'GRANT_EFFECTIVE'
  | 'GRANT_EXPIRED'
  | 'PURCHASE'
  | 'RESERVE'
  | 'COMMIT'
  | 'RELEASE'
  | 'EXPIRE'
  | 'CHARGE'
  | 'REFUND'
  | 'PLAN_CHANGE'
  | 'RAISE'
  | 'CLAW_BACK'
  | 'REINSTATE';

/** The W3C trace and span that an entry or event belongs to, in lower-case hexadecimal. */
export type Trace = { readonly traceId: string; readonly spanId: string };

/** The caller of what the service does by itself. */
export const SERVICE_CALLER = 'scrip';

/** Who caused an entry, by which request. */
export type Origin = Trace & {
  /** The authenticated caller, or SERVICE_CALLER. */
  readonly caller: string;
  /** Empty for what the service does by itself. */
  readonly requestId: string;
};

export type Labels = Readonly<Record<string, string>>;

/** An entry as a rule states it. `Book.post` adds seq, time, origin and the balances after it. */
export type EntryDraft = {
  readonly kind: EntryKind;
  readonly moves: readonly Move[];
  /** Credits granted, reserved, committed, released, expired or refunded, depending on the kind. */
  readonly credits: bigint;
  readonly reservationId?: string;
  readonly grantId?: bigint;
  /** REFUND: the commit or charge that it refunds. */
  readonly refunded?: { readonly seq: bigint; readonly at: number };
  readonly usages?: readonly PricedUsage[];
  readonly planId?: string;
  readonly previousPlanId?: string;
  readonly rateCardVersion?: number;
  readonly late?: boolean;
  /** COMMIT: whether it ended the reservation. */
  readonly final?: boolean;
  readonly reference?: string;
  readonly labels?: Labels;
};

export type Entry = Origin & {
  readonly accountId: string;
  readonly seq: bigint;
  readonly kind: EntryKind;
  readonly at: number;
  readonly moves: readonly Move[];
  readonly credits: bigint;
  readonly remainingAfter: bigint;
  /** Includes reserved overage. */
  readonly reservedAfter: bigint;
  readonly overageAfter: bigint;
  readonly reservationId: string | null;
  readonly grantId: bigint | null;
  readonly refundedSeq: bigint | null;
  readonly usages: readonly PricedUsage[];
  /**
   * The plan of `rateCardVersion`; of a PLAN_CHANGE the plan moved to. Null where no price is concerned,
   * and on entries written before accounts could move: those belong to the plan the account was opened under.
   */
  readonly planId: string | null;
  /** PLAN_CHANGE: the plan moved from. */
  readonly previousPlanId: string | null;
  readonly rateCardVersion: number | null;
  readonly late: boolean;
  /** COMMIT: whether it ended the reservation. Null on other entries, and on those of earlier versions. */
  readonly final: boolean | null;
  readonly reference: string;
  readonly labels: Labels;
  /** SHA-256 of the entry and the hash of the entry before it. */
  readonly hash: Uint8Array;
};
