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
  /** Of a UTC day, on all accounts. It is enforced outside of units of work, which know one account each. */
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
export type LimitedCaller = { readonly caller: string; readonly limits: CreditLimits };

const DAY_MS = 86_400_000;

export const dayOf = (at: number): number => Math.floor(at / DAY_MS);

/**
 * Checks what a command is about to move, and remembers it for `countForCaller`. Rules call it once, when
 * they know the amount and have changed nothing.
 */
export function checkCallerLimits(book: Book, credits: bigint): Failure | null {
  book.creditsMoved = credits;
  if (!book.limitedCaller) return null;
  const { caller, limits } = book.limitedCaller;
  const { perCall, perAccountAndDay } = limits;
  if (perCall !== null && credits > perCall)
    return callLimitExceeded(caller, book.account.accountId, perCall, credits);
  if (perAccountAndDay === null) return null;
  const used = movedToday(book, caller);
  return used + credits > perAccountAndDay
    ? dayLimitReached({ caller, limit: 'credits_per_account_and_day' }, perAccountAndDay, {
        used,
        asked: credits,
        now: book.now,
      })
    : null;
}

/** Counts what a command has moved, where its caller has a limit per account and day. */
export function countForCaller(book: Book) {
  const { account, limitedCaller, creditsMoved } = book;
  if (!limitedCaller || limitedCaller.limits.perAccountAndDay === null || creditsMoved === 0n)
    return;
  const { caller } = limitedCaller;
  const day = dayOf(book.now);
  const others = account.callerDays?.day === day ? account.callerDays.credits : [];
  const credits = new Map([...others, [caller, movedToday(book, caller) + creditsMoved]]);
  account.callerDays = { day, credits };
  book.changes.settings = true;
}

function movedToday({ account, now }: Book, caller: string): bigint {
  const { callerDays } = account;
  return callerDays?.day === dayOf(now) ? (callerDays.credits.get(caller) ?? 0n) : 0n;
}

const callLimitExceeded = (
  caller: string,
  accountId: string,
  allowed: bigint,
  asked: bigint,
): Failure =>
  new Failure(
    'CALLER_NOT_ALLOWED',
    `caller ${caller} may move at most ${allowed} credits in one call, and asked for ${asked}`,
    { caller, account: accountId, limit: 'credits_per_call', allowed, asked },
  );

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
