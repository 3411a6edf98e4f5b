/**
 * An entry: one immutable row of an account's history. It is a list of moves of credits between
 * buckets, so it is double entry by construction, and every balance is a sum of moves.
 *
 * Every mutation that changes something writes an entry, also where no credits move. That entry has the
 * request: its method, fingerprint and response. Further entries of the same mutation follow it.
 */
import type { PricedUsage } from '../pricing/price.ts';
import type { EventsSeal } from './event-hash.ts';
import type { OverCommitPolicy } from './reservation.ts';

export type BucketKind =
  | 'issued'
  | 'available'
  | 'reserved'
  | 'overage'
  | 'overage_reserved'
  | 'owed'
  | 'consumed'
  | 'expired'
  | 'voided';

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

/** The grant of moves that concern none. */
export const NO_GRANT = 0n;

export type EntryKind =
  | 'OPEN_ACCOUNT'
  | 'UPDATE_ACCOUNT'
  | 'CLOSE_ACCOUNT'
  | 'SUSPEND_ACCOUNT'
  | 'RESUME_ACCOUNT'
  | 'SET_BUDGET'
  | 'REMOVE_BUDGET'
  | 'ERASE_ACCOUNT_DATA'
  | 'PLAN_CHANGE'
  | 'GRANT'
  | 'GRANT_EFFECTIVE'
  | 'GRANT_EXPIRED'
  | 'VOID_GRANT'
  | 'UPDATE_GRANT'
  | 'OFFER_PACK'
  | 'WITHDRAW_PACK'
  | 'CHECKOUT'
  | 'PURCHASE'
  | 'REJECT_PURCHASE'
  | 'PAYMENT'
  | 'CLAW_BACK'
  | 'REINSTATE'
  | 'RESERVE'
  | 'RAISE'
  | 'EXTEND'
  | 'COMMIT'
  | 'RELEASE'
  | 'EXPIRE'
  | 'CHARGE'
  | 'REFUND'
  | 'IMPORT'
  | 'CHECKPOINT'
  | 'PAY_OWED';

/** The mutations that callers can ask for. */
export type Method =
  | 'OpenAccount'
  | 'UpdateAccount'
  | 'CloseAccount'
  | 'SuspendAccount'
  | 'ResumeAccount'
  | 'SetBudget'
  | 'RemoveBudget'
  | 'EraseAccountData'
  | 'MoveAccount'
  | 'GrantCredits'
  | 'VoidGrant'
  | 'UpdateGrant'
  | 'OfferPack'
  | 'WithdrawPack'
  | 'Purchase'
  | 'ResolvePurchase'
  | 'Reserve'
  | 'RaiseReservation'
  | 'ExtendReservation'
  | 'Commit'
  | 'Release'
  | 'Charge'
  | 'Refund'
  | 'ImportAccount'
  | 'SetShadowMode';

/** The W3C trace and span that an entry or event belongs to, in lower-case hexadecimal. */
export type Trace = {
  readonly traceId: string;
  readonly spanId: string;
  /** Whether the span is exported: W3C's flag. Entries do not store it. */
  readonly sampled: boolean;
};

/** As entries store it: without the flag. */
export type StoredTrace = Omit<Trace, 'sampled'>;

/** The caller of what the service does by itself. */
export const SERVICE_CALLER = 'scrip';

/** Who caused an entry, by which request. */
export type Origin = Trace & {
  /** The authenticated caller, or SERVICE_CALLER. */
  readonly caller: string;
  /** Empty for what the service does by itself. */
  readonly requestId: string;
  /** The name in whose place the caller acts; empty: its own. */
  readonly onBehalfOf: string;
  /** Name of the certificate that carried the caller's token; empty: the caller had no other identity. */
  readonly certificate: string;
};

/** The origin of what the service does by itself. */
export const serviceOrigin = ({ traceId, spanId, sampled }: Trace): Origin => ({
  caller: SERVICE_CALLER,
  requestId: '',
  onBehalfOf: '',
  certificate: '',
  traceId,
  spanId,
  sampled,
});

/** As entries store it. */
export type StoredOrigin = Omit<Origin, 'sampled'>;

export type Labels = Readonly<Record<string, string>>;

/** A request that was answered. A repetition of it gets the same response. */
export type AnsweredRequest = {
  readonly method: Method;
  /** Hash of the request's content; null once personal data was erased. */
  readonly fingerprint: Uint8Array | null;
  /** The response, protobuf-encoded and packed (`packResponse`); null once personal data was erased. */
  readonly response: Uint8Array | null;
};

/** An entry as a rule states it. `Book.post` adds seq, time, origin and the balances after it. */
export type EntryDraft = {
  readonly kind: EntryKind;
  /** Default: none. */
  readonly moves?: readonly Move[];
  /** Credits granted, reserved, committed, released, expired, refunded or voided, depending on the kind. Default: 0. */
  readonly credits?: bigint;
  readonly reservationId?: string;
  readonly purchaseId?: string;
  readonly grantId?: bigint;
  /** REFUND: the commit or charge that it refunds. */
  readonly refunded?: { readonly seq: bigint; readonly at: number };
  readonly usages?: readonly PricedUsage[];
  /** Default: the account's plan. */
  readonly planId?: string;
  readonly previousPlanId?: string;
  readonly rateCardVersion?: number;
  /** When the usage that it charges or reserves counts. Default: when it is recorded. */
  readonly usedAt?: number | null;
  readonly late?: boolean;
  readonly final?: boolean;
  readonly asked?: bigint;
  readonly expiresAt?: number;
  readonly overCommitPolicy?: OverCommitPolicy;
  readonly details?: Labels;
  readonly reference?: string;
  readonly labels?: Labels;
  readonly personal?: Labels;
};

export type Entry = StoredOrigin & {
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
  readonly owedAfter: bigint;
  readonly reservationId: string | null;
  readonly purchaseId: string | null;
  readonly grantId: bigint | null;
  readonly refundedSeq: bigint | null;
  readonly usages: readonly PricedUsage[];
  /**
   * The plan whose terms applied, and whose rate card priced it if it has a price: of an entry of a
   * reservation, that of the reservation; of a PLAN_CHANGE, the plan moved to.
   */
  readonly planId: string;
  /** Version of that plan's terms. */
  readonly planVersion: number;
  /** PLAN_CHANGE: the plan moved from. */
  readonly previousPlanId: string | null;
  /** Version of the plan's rate card. Null where no price is concerned. */
  readonly rateCardVersion: number | null;
  /** When its usage counts, if the caller said so. Null: when it was recorded. */
  readonly usedAt: number | null;
  readonly late: boolean;
  /** COMMIT: whether it ended the reservation. Null on other entries. */
  readonly final: boolean | null;
  /** COMMIT without usages: the credits it asked for, where it was charged less. */
  readonly asked: bigint | null;
  /** RESERVE and EXTEND: the expiry of the reservation. */
  readonly expiresAt: number | null;
  /** RESERVE. */
  readonly overCommitPolicy: OverCommitPolicy | null;
  /** What a mutation without moves has set, e.g. the terms of a pack. */
  readonly details: Labels;
  /** The events that its hash covers, besides the entry itself; null: none. */
  readonly sealedEvents: EventsSeal | null;
  readonly reference: string;
  readonly labels: Labels;
  /** The same as details, of personal data: it can be erased. */
  readonly personal: Labels;
  /** SHA-256 of the entry and the hash of the entry before it. */
  readonly hash: Uint8Array;
};

/** An entry with what only the database and the audit read of it. */
export type StoredEntry = Entry & {
  /** Of the first entry of a mutation; null on other entries. */
  readonly request: AnsweredRequest | null;
  /** Random bytes that are hashed with personal data, which could be guessed otherwise. Null without any. */
  readonly salt: Uint8Array | null;
  /** The hash of erased personal data; null if nothing was erased. */
  readonly erasedHash: Uint8Array | null;
};

/** The hashes of the published versions that an entry names. They are hashed with it, and not stored again. */
export type TermsHashes = {
  /** Of the version of the plan's terms, in hexadecimal. */
  readonly termsHash: string;
  /** Of the version of its rate card; empty where no price is concerned. */
  readonly rateCardHash: string;
};

/** An entry before it has its place in the hash chain. */
export type UnsealedEntry = Omit<
  StoredEntry,
  'hash' | 'salt' | 'erasedHash' | 'request' | 'sealedEvents'
> &
  TermsHashes & { request: AnsweredRequest | null; sealedEvents: EventsSeal | null };
