/** The balance of an account, computed from its row and its open grants. */
import type { Terms } from '../pricing/plan.ts';
import {
  type Account,
  availableCredits,
  currentOverage,
  effectiveLowBalanceThreshold,
  effectivePauseFloor,
} from './account.ts';
import type { Grant } from './grant.ts';

export type Balance = {
  readonly remaining: bigint;
  /** Includes reserved overage. */
  readonly reserved: bigint;
  /** remaining − reserved. */
  readonly available: bigint;
  /** Overage used in the calendar month of `asOf`. */
  readonly overage: bigint;
  readonly overageLimit: bigint;
  /** Whether available is below the threshold. */
  readonly lowBalance: boolean;
  readonly lowBalanceThreshold: bigint;
  readonly pauseFloor: bigint;
  /** The soonest expiry, and what would be lost then. */
  readonly nextExpiry: { readonly expiresAt: number; readonly credits: bigint } | null;
  readonly nextAllowance: { readonly dueAt: number; readonly credits: bigint } | null;
  readonly seq: bigint;
  readonly asOf: number;
};

/** `grants` are the open ones; `now` is the time of the balance. */
export function balanceOf(
  account: Account,
  grants: readonly Grant[],
  terms: Terms,
  now: number,
): Balance {
  const available = availableCredits(account);
  const threshold = effectiveLowBalanceThreshold(account, terms);
  return {
    remaining: account.remaining,
    reserved: account.reserved + account.overageReserved,
    available,
    overage: currentOverage(account, now),
    overageLimit: terms.overage?.limit ?? 0n,
    lowBalance: available < threshold,
    lowBalanceThreshold: threshold,
    pauseFloor: effectivePauseFloor(account, terms),
    nextExpiry: nextExpiry(grants, now),
    nextAllowance: nextAllowance(account, terms),
    seq: account.seq,
    asOf: now,
  };
}

function nextAllowance(
  { state, allowanceDueAt }: Account,
  { allowance }: Terms,
): Balance['nextAllowance'] {
  if (state === 'CLOSED' || allowanceDueAt === null || !allowance) return null;
  return { dueAt: allowanceDueAt, credits: allowance.credits };
}

function nextExpiry(grants: readonly Grant[], now: number): Balance['nextExpiry'] {
  let expiresAt = Number.POSITIVE_INFINITY;
  let credits = 0n;
  for (const grant of grants) {
    if (grant.expiresAt === null || grant.expiresAt <= now || grant.remaining === 0n) continue;
    if (grant.expiresAt > expiresAt) continue;
    if (grant.expiresAt < expiresAt) credits = 0n;
    expiresAt = grant.expiresAt;
    credits += grant.remaining;
  }
  return credits === 0n ? null : { expiresAt, credits };
}
