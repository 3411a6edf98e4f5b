/** The balance of an account, computed from its row and its open grants. */
import type { Plan, Terms } from '../pricing/plan.ts';
import { type Account, currentOverage, effectivePauseFloor } from './account.ts';
import { type Grant, grantAvailable, isLimited } from './grant.ts';
import { type LevelState, levelStates } from './low-balance.ts';
import { generalAvailable, isStranded, usableCredits } from './usable-credits.ts';

export type Balance = {
  /** Includes limited credits. */
  readonly remaining: bigint;
  /** Includes reserved overage, and limited credits. */
  readonly reserved: bigint;
  /** What is not limited: remaining − reserved, without the limited credits. */
  readonly available: bigint;
  /** See `usableCredits`. */
  readonly usable: bigint;
  /** In burn order of the first grant of each. */
  readonly limited: readonly LimitedCredits[];
  /** Overage used in the calendar month of `asOf`. */
  readonly overage: bigint;
  readonly overageLimit: bigint;
  readonly owed: bigint;
  /** Whether any of the levels is low. */
  readonly lowBalance: boolean;
  readonly levels: readonly LevelState[];
  readonly pauseFloor: bigint;
  readonly nextAllowance: { readonly dueAt: number; readonly credits: bigint } | null;
  readonly seq: bigint;
  readonly asOf: number;
};

/** The credits of all grants that are limited to the same operations. */
export type LimitedCredits = {
  /** Sorted by name. */
  readonly operations: readonly string[];
  readonly remaining: bigint;
  readonly reserved: bigint;
  readonly available: bigint;
  /** Whether the plan has a price for none of the operations now. */
  readonly stranded: boolean;
};

/** All limited grants must be among `grants`; `now` is the time of the balance. */
export function balanceOf(
  account: Account,
  grants: readonly Grant[],
  plan: Plan,
  now: number,
): Balance {
  const { terms } = plan;
  const limited = limitedCredits(grants, plan);
  const usable = usableCredits(account, grants, plan);
  const levels = levelStates(account, grants, plan, usable);
  return {
    remaining: account.remaining,
    reserved: account.reserved + account.overageReserved,
    available: generalAvailable(account, grants),
    usable,
    limited,
    overage: currentOverage(account, now),
    overageLimit: terms.overage?.limit ?? 0n,
    owed: account.owed,
    lowBalance: levels.some(({ low }) => low),
    levels,
    pauseFloor: effectivePauseFloor(account, terms),
    nextAllowance: nextAllowance(account, terms),
    seq: account.seq,
    asOf: now,
  };
}

const NO_LIMITED: readonly LimitedCredits[] = [];

function limitedCredits(grants: readonly Grant[], plan: Plan): readonly LimitedCredits[] {
  if (!grants.some(isLimited)) return NO_LIMITED;
  const withCredits = grants.filter((grant) => isLimited(grant) && grant.remaining > 0n);
  const byOperations = Map.groupBy(withCredits, ({ operations }) => JSON.stringify(operations));
  const sumOf = (some: readonly Grant[], creditsOf: (grant: Grant) => bigint) =>
    some.reduce((sum, grant) => sum + creditsOf(grant), 0n);
  return Array.from(byOperations.values(), (some) => ({
    operations: some[0]!.operations,
    remaining: sumOf(some, ({ remaining }) => remaining),
    reserved: sumOf(some, ({ reserved }) => reserved),
    available: sumOf(some, grantAvailable),
    stranded: isStranded(some[0]!, plan),
  }));
}

function nextAllowance(
  { state, allowanceDueAt }: Account,
  { allowance }: Terms,
): Balance['nextAllowance'] {
  if (state === 'CLOSED' || allowanceDueAt === null || !allowance) return null;
  return { dueAt: allowanceDueAt, credits: allowance.credits };
}

/** The soonest expiry, and what would be lost then. The grants that expire soonest must be among `grants`. */
export function nextExpiry(
  grants: readonly Grant[],
  now: number,
): { readonly expiresAt: number; readonly credits: bigint } | null {
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
