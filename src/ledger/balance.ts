/** Reads a balance off an account and its open grants. */
import type { Terms } from '../pricing/plan.ts';
import {
  type Account,
  type Balance,
  currentOverage,
  effectiveLowBalanceThreshold,
  effectivePauseFloor,
} from './account.ts';
import type { Grant } from './grant.ts';

export function balanceOf(
  account: Account,
  grants: readonly Grant[],
  terms: Terms,
  now: number,
): Balance {
  const reserved = account.reserved + account.overageReserved;
  const available = account.remaining - reserved;
  const threshold = effectiveLowBalanceThreshold(account, terms);
  return {
    remaining: account.remaining,
    reserved,
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
