/** The most credits that one account may hold. */
import type { Failure } from '../failure.ts';
import type { Book } from './book.ts';
import { invalidField } from './failures.ts';

/**
 * Includes scheduled grants. Sums are int64 (at most 9,223,372,036,854,775,807); what is left above this
 * limit is for allowances, which are granted without a check.
 */
export const ACCOUNT_CREDITS_MAX = 9_000_000_000_000_000_000n;

/** The failure if the account would hold too much after a grant of `credits`; null if it would not. */
export function checkCreditLimit(book: Book, credits: bigint): Failure | null {
  const held = book.account.remaining + book.account.scheduled;
  if (held + credits <= ACCOUNT_CREDITS_MAX) return null;
  return invalidField(
    'credits',
    `must leave the account at most ${ACCOUNT_CREDITS_MAX} credits; it holds ${held}`,
    { allowed: ACCOUNT_CREDITS_MAX - held },
  );
}
