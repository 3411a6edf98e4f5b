/**
 * The most credits one account may hold, scheduled grants included. Sums are kept as int64
 * (9,223,372,036,854,775,807); what is left above this limit is room for allowances.
 */
import type { Failure } from '../failure.ts';
import type { Book } from './book.ts';
import { invalidField } from './failures.ts';

export const ACCOUNT_CREDITS_MAX = 9_000_000_000_000_000_000n;

/** The failure where `credits` more would not fit on the account; null where they do. */
export function checkCreditLimit(book: Book, credits: bigint): Failure | null {
  const held = book.grants.reduce(
    (sum, grant) => sum + (grant.state === 'SCHEDULED' ? grant.amount : grant.remaining),
    0n,
  );
  if (held + credits <= ACCOUNT_CREDITS_MAX) return null;
  return invalidField(
    'credits',
    `must leave the account at most ${ACCOUNT_CREDITS_MAX} credits; it holds ${held}`,
    { allowed: ACCOUNT_CREDITS_MAX - held },
  );
}
