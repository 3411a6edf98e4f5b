/**
 * The events balance.low, balance.depleted and balance.recovered. They follow the usable credits: what a
 * reservation only holds is not spent, so it changes nothing.
 */
import { type LowBalanceLevel, levelName } from '../pricing/low-balance-level.ts';
import type { Plan } from '../pricing/plan.ts';
import { type Account, effectiveLowBalanceLevels } from './account.ts';
import type { Book } from './book.ts';
import type { Trace } from './entry.ts';
import type { Grant } from './grant.ts';
import { grantedCredits, usableCredits } from './usable-credits.ts';

/** The level that every account has: no usable credit is left. */
export const DEPLETED = '0';

/** A level as a balance shows it. */
export type LevelState = {
  readonly level: LowBalanceLevel;
  /** The level in credits, now. */
  readonly threshold: bigint;
  readonly low: boolean;
};

const NONE: readonly string[] = [];

/**
 * Emits an event for each level that the usable credits have crossed, and balance.depleted at 0. A level
 * is re-armed at 110 %, so that an account near it does not report it again and again. Called after
 * settling and after each command, not between the entries of one: an allowance that replaces the previous
 * one crosses no level.
 */
export function updateLowBalance(book: Book, trace: Trace) {
  const { account, grants, plan, remainingSeen } = book;
  book.remainingSeen = account.remaining;
  // An account that was opened below a level reports it with the first change of its balance.
  if (account.lowLevels === null && account.remaining === remainingSeen) return;
  const before = account.lowLevels ?? NONE;
  const usable = usableCredits(account, grants, plan);
  const isAbove = (level: LowBalanceLevel) => usable >= thresholdOf(level, account, grants, plan);
  const isAboveAll = usable > 0n && effectiveLowBalanceLevels(account, plan.terms).every(isAbove);
  if (isAboveAll && account.lowLevels?.length === 0) return;
  const hasRisen = account.remaining > remainingSeen;
  const after = emitCrossings(book, before, usable, hasRisen, trace);
  if (account.lowLevels !== null && after.join() === before.join()) return;
  account.lowLevels = after;
  book.changes.settings = true;
}

/** Emits the events of all levels. Returns the names of those that are low after that. */
function emitCrossings(
  book: Book,
  before: readonly string[],
  usable: bigint,
  hasRisen: boolean,
  trace: Trace,
): readonly string[] {
  const { account, grants, plan } = book;
  const after: string[] = [];
  const removed = new Set(before);
  const update = (name: string, threshold: bigint, canRecover: boolean) => {
    const wasLow = removed.delete(name);
    const isRecovered = canRecover && isRearmed(usable, threshold);
    const isLow = isBelow(usable, threshold) || (wasLow && !isRecovered);
    if (isLow) after.push(name);
    if (isLow !== wasLow) emitCrossing(book, name, isLow, usable, threshold, trace);
  };
  // A grant that is used up lowers a percentage of what was granted: only new credits recover it.
  for (const level of effectiveLowBalanceLevels(account, plan.terms))
    update(
      levelName(level),
      thresholdOf(level, account, grants, plan),
      'credits' in level || hasRisen,
    );
  update(DEPLETED, 0n, true);
  for (const name of removed) emitCrossing(book, name, false, usable, 0n, trace);
  return after;
}

function emitCrossing(
  book: Book,
  level: string,
  isLow: boolean,
  usable: bigint,
  threshold: bigint,
  trace: Trace,
) {
  const lowType = level === DEPLETED ? 'balance.depleted' : 'balance.low';
  book.emitEvent(
    isLow ? lowType : 'balance.recovered',
    { level, usable: usable.toString(), threshold: threshold.toString() },
    trace,
  );
}

/** Without usable credits every level is low, also a percentage of nothing. */
const isBelow = (usable: bigint, threshold: bigint): boolean => usable < threshold || usable === 0n;

const isRearmed = (usable: bigint, threshold: bigint): boolean => usable * 10n >= threshold * 11n;

/** A level in credits. A percentage is of the amounts of the grants that have credits left, rounded up. */
function thresholdOf(
  level: LowBalanceLevel,
  account: Account,
  grants: readonly Grant[],
  plan: Plan,
): bigint {
  if ('credits' in level) return level.credits;
  return (grantedCredits(account, grants, plan) * BigInt(level.percent) + 99n) / 100n;
}

/** The levels of an account in the order of its plan or its own. The events agree with them. */
export function levelStates(
  account: Account,
  grants: readonly Grant[],
  plan: Plan,
  usable: bigint,
): readonly LevelState[] {
  return effectiveLowBalanceLevels(account, plan.terms).map((level) => {
    const threshold = thresholdOf(level, account, grants, plan);
    const low =
      isBelow(usable, threshold) || (account.lowLevels ?? NONE).includes(levelName(level));
    return { level, threshold, low };
  });
}
