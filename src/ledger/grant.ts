/** A grant: credits given to an account, with a category, a priority, a start and an end. */

export type GrantCategory = 'PAID' | 'PROMOTIONAL' | 'ALLOWANCE' | 'ADJUSTMENT';
export type GrantSource = 'WELCOME' | 'ALLOWANCE' | 'PURCHASE' | 'OPERATOR' | 'REFUND';
export type GrantState = 'SCHEDULED' | 'OPEN' | 'SPENT' | 'EXPIRED' | 'VOIDED';

export const DEFAULT_PRIORITY = 50;

/** The operations of a grant that is not limited. */
export const ALL_OPERATIONS: readonly string[] = [];

export type Grant = {
  readonly accountId: string;
  /** 1, 2, 3 … within the account. */
  readonly grantId: bigint;
  readonly amount: bigint;
  remaining: bigint;
  /** The part of remaining that active reservations set aside. */
  reserved: bigint;
  /** What was voided of it: 0 to amount. */
  voided: bigint;
  /** What is voided as it comes back from reservations and refunds: see `VoidGrant`. */
  voidOnReturn: bigint;
  /** Of an allowance: what expired at its end while its plan took late usage, for which it can return. */
  expired: bigint;
  readonly category: GrantCategory;
  /** 0 to 100; lower burns first. */
  priority: number;
  readonly effectiveAt: number;
  /** Null: it never expires. */
  expiresAt: number | null;
  readonly source: GrantSource;
  readonly sourceReference: string;
  /** Operations it may pay for, sorted by name; empty: all. */
  operations: readonly string[];
  /** When notice of its expiry is due; null: never, or it has been given. */
  noticeAt: number | null;
  /** Whether it is limited to operations that its plan had no price for at the last look. */
  stranded: boolean;
  state: GrantState;
  readonly createdAt: number;
};

export const isLimited = ({ operations }: Grant): boolean => operations.length > 0;

export const grantAvailable = (grant: Grant): bigint => grant.remaining - grant.reserved;

/** Whether the grant can still change by itself. Open grants are always loaded with their account. */
export const isOpen = (grant: Grant): boolean =>
  grant.state === 'SCHEDULED' || grant.remaining > 0n;

export const hasExpired = (grant: Grant, now: number): boolean =>
  grant.expiresAt !== null && grant.expiresAt <= now;

/** What a grant issues, or has issued: a part of it may have been voided before it was effective. */
export const scheduledCredits = ({ amount, voided }: Grant): bigint => amount - voided;

/** The state of a grant at `now`. A grant without credits stays SPENT, EXPIRED or VOIDED, whichever it became first. */
export function currentGrantState(grant: Grant, now: number): GrantState {
  if (grant.state === 'SCHEDULED') return 'SCHEDULED';
  if (grant.remaining === 0n && grant.state !== 'OPEN') return grant.state;
  if (hasExpired(grant, now)) return 'EXPIRED';
  return grant.remaining === 0n ? 'SPENT' : 'OPEN';
}

/** Compares by burn order: priority, then soonest expiry (never last), then unpaid before paid, then oldest. */
export function compareBurnOrder(a: Grant, b: Grant): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  const expiryA = a.expiresAt ?? Number.POSITIVE_INFINITY;
  const expiryB = b.expiresAt ?? Number.POSITIVE_INFINITY;
  if (expiryA !== expiryB) return expiryA < expiryB ? -1 : 1;
  const paidA = a.category === 'PAID';
  if (paidA !== (b.category === 'PAID')) return paidA ? 1 : -1;
  return a.grantId < b.grantId ? -1 : 1;
}
