/** Transactions that lost a race against another replica: they are worth running again. */
import { codeOf, isRetryable } from '../pg/failures.ts';
import { StaleCacheError } from '../store/save.ts';

/** What the race was lost by: an SQLSTATE, or that a cached account was stale. Empty: none was lost. */
export function raceLostBy(error: unknown): string {
  if (error instanceof StaleCacheError) return 'stale cache';
  return isRetryable(error) ? codeOf(error) : '';
}
