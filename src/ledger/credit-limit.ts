/** The most credits that one account may hold, and that its grants may have had. */
import type { Failure } from '../failure.ts';
import type { Book } from './book.ts';
import { invalidField } from './failures.ts';
import type { Grant } from './grant.ts';

/**
 * Includes scheduled grants. Sums are int64 (at most 9,223,372,036,854,775,807); what is left above this
 * limit is for allowances, which are granted without a check.
 */
export const ACCOUNT_CREDITS_MAX = 9_000_000_000_000_000_000n;

/**
 * The most that the grants with credits left may come to, with what is spent of them: that sum is int64, too. It is more
 * than an account may hold, so that one that holds the most is granted what it spends.
 */
export const GRANTED_CREDITS_MAX = 9_100_000_000_000_000_000n;

/**
 * The failure if the account would have too much after it was given `credits`; null if it would not. `amounts`: of the
 * grants that have credits left by it and had none. That of a new grant is its credits.
 */
export function checkCreditLimit(book: Book, credits: bigint, amounts = credits): Failure | null {
  const { remaining, scheduled, granted } = book.account;
  const held = remaining + scheduled;
  if (held + credits > ACCOUNT_CREDITS_MAX)
    return invalidField(
      'credits',
      `must leave the account at most ${ACCOUNT_CREDITS_MAX} credits; it holds ${held}`,
      { allowed: ACCOUNT_CREDITS_MAX - held },
    );
  const had = granted + scheduled;
  if (had + amounts <= GRANTED_CREDITS_MAX) return null;
  return invalidField(
    'credits',
    `must leave the account at most ${GRANTED_CREDITS_MAX} credits in grants that are not used up, spent ones included; there are ${had}`,
    { allowed: amounts > credits || had > GRANTED_CREDITS_MAX ? 0n : GRANTED_CREDITS_MAX - had },
  );
}

/** What the amounts of grants with credits left grow by, once this one gets credits again. */
export const amountIfUsedUp = ({ remaining, amount }: Grant): bigint =>
  remaining === 0n ? amount : 0n;
