/**
 * An entry: one immutable row of an account's history, in transfer form. It is a list of moves of
 * credits between buckets; every balance is a sum of moves.
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
 * Credits going from one bucket to another. `available` and `reserved` are buckets of a grant; no
 * move touches two grants, so one `grantId` says which. It is 0 where no grant is concerned.
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

/** Who asked for an entry, and why. */
export type Origin = {
  /** The caller's name; "scrip" for what the service does by itself. */
  readonly caller: string;
  /** Empty for what the service does by itself. */
  readonly requestId: string;
  /** W3C trace and span of the call, lower-case hexadecimal. */
  readonly traceId: string;
  readonly spanId: string;
};

export type Labels = Readonly<Record<string, string>>;

/** What a rule says about an entry; `Book.post` adds place, time, balances and hash. */
export type EntryDraft = {
  readonly kind: EntryKind;
  readonly moves: readonly Move[];
  /** What the entry is about: credits granted, reserved, committed, released, expired, refunded. */
  readonly credits: bigint;
  readonly reservationId?: string;
  readonly grantId?: bigint;
  /** The commit or charge that a refund gives back. */
  readonly refunded?: { readonly seq: bigint; readonly at: number };
  readonly usages?: readonly PricedUsage[];
  readonly planId?: string;
  readonly previousPlanId?: string;
  readonly rateCardVersion?: number;
  readonly late?: boolean;
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
  /** On the overage line too. */
  readonly reservedAfter: bigint;
  readonly overageAfter: bigint;
  readonly reservationId: string | null;
  readonly grantId: bigint | null;
  readonly refundedSeq: bigint | null;
  readonly usages: readonly PricedUsage[];
  /**
   * The plan whose rate card version it names; of a PLAN_CHANGE the plan moved to. Null where it names
   * none, and on entries older than moves: those are of the plan the account was opened under.
   */
  readonly planId: string | null;
  /** Of a PLAN_CHANGE: the plan moved from. */
  readonly previousPlanId: string | null;
  readonly rateCardVersion: number | null;
  readonly late: boolean;
  readonly reference: string;
  readonly labels: Labels;
  /** SHA-256 of the entry and the hash before it. */
  readonly hash: Uint8Array;
};
