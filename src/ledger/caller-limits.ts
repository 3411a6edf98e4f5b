/**
 * How many credits the calls of one caller may move. They bound mistakes and stolen keys, and are no budget:
 * what is released or refunded does not count back.
 */
import { Failure } from '../failure.ts';
import type { Book } from './book.ts';

/** Null: no limit. */
export type CreditLimits = {
  /** Of one mutation: what it reserves, raises, charges, commits beyond its reservation, grants or refunds. */
  readonly perCall: bigint | null;
  /** Of a UTC day, on all accounts. What was moved on others is not known here: see `LimitedCaller`. */
  readonly perDay: bigint | null;
  /** Of a UTC day, on each account. */
  readonly perAccountAndDay: bigint | null;
};

/** What callers with a limit per account and day have moved on it. Those of earlier days are dropped. */
export type CallerDays = {
  /** UTC day, counted from 1970-01-01. */
  readonly day: number;
  readonly credits: ReadonlyMap<string, bigint>;
};

/** The caller whose command is decided, as far as it is limited. */
export type LimitedCaller = {
  readonly caller: string;
  readonly method: string;
  readonly limits: CreditLimits;
  /** What it has moved this day on all accounts. Null: that was checked before, or has no limit. */
  readonly movedToday: bigint | null;
};

const DAY_MS = 86_400_000;

export const dayOf = (at: number): number => Math.floor(at / DAY_MS);

/**
 * Checks what a command is about to move, and remembers it for `countForCaller`. Rules call it once, when
 * they know the amount and have changed nothing.
 */
export function checkCallerLimits(book: Book, credits: bigint): Failure | null {
  book.creditsMoved = credits;
  if (!book.limitedCaller) return null;
  // Those who only settle what they reserved are never held up.
  if (credits === 0n) return null;
  const { caller, limits, movedToday } = book.limitedCaller;
  const { perCall, perDay, perAccountAndDay } = limits;
  if (perCall !== null && credits > perCall) return callLimitExceeded(book, perCall, credits);
  const exceeded = (limit: string, allowed: bigint, used: bigint) =>
    used + credits > allowed
      ? dayLimitReached({ caller, limit }, allowed, { used, asked: credits, now: book.now })
      : null;
  const ofAccount =
    perAccountAndDay === null
      ? null
      : exceeded('credits_per_account_and_day', perAccountAndDay, movedOnAccount(book, caller));
  if (ofAccount || perDay === null || movedToday === null) return ofAccount;
  return exceeded('credits_per_day', perDay, movedToday);
}

/** Counts what a command has moved, where its caller has a limit per account and day. */
export function countForCaller(book: Book) {
  const { account, limitedCaller, creditsMoved } = book;
  if (!limitedCaller || limitedCaller.limits.perAccountAndDay === null || creditsMoved === 0n)
    return;
  const { caller } = limitedCaller;
  const day = dayOf(book.now);
  const others = account.callerDays?.day === day ? account.callerDays.credits : [];
  const credits = new Map([...others, [caller, movedOnAccount(book, caller) + creditsMoved]]);
  account.callerDays = { day, credits };
  book.changes.settings = true;
}

/** What the caller has moved on this account today. */
function movedOnAccount({ account, now }: Book, caller: string): bigint {
  const { callerDays } = account;
  return callerDays?.day === dayOf(now) ? (callerDays.credits.get(caller) ?? 0n) : 0n;
}

function callLimitExceeded(
  { account, limitedCaller }: Book,
  allowed: bigint,
  asked: bigint,
): Failure {
  const { caller = '', method = '' } = limitedCaller ?? {};
  return new Failure(
    'CALLER_NOT_ALLOWED',
    `caller ${caller} may move at most ${allowed} credits in one call, and asked for ${asked}`,
    {
      caller,
      method,
      account_id: account.accountId,
      limit: 'credits_per_call',
      allowed,
      asked,
    },
  );
}

/** Which limit of a day is reached, on one account or on all. */
export function dayLimitReached(
  { caller, limit }: { readonly caller: string; readonly limit: string },
  allowed: bigint,
  { used, asked, now }: { readonly used: bigint; readonly asked: bigint; readonly now: number },
): Failure {
  const resetsAt = new Date((dayOf(now) + 1) * DAY_MS).toISOString();
  return new Failure(
    'CALLER_LIMIT_REACHED',
    `caller ${caller} may move ${allowed} credits a day, has moved ${used}, and asked for ${asked}`,
    { caller, limit, allowed, used, asked, resets_at: resetsAt },
  );
}
