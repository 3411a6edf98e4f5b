/** The events balance.low and balance.recovered. */
import { availableCredits, effectiveLowBalanceThreshold } from './account.ts';
import type { Book } from './book.ts';
import type { Trace } from './entry.ts';

/**
 * Emits balance.low when available has fallen below the threshold, and balance.recovered when it is
 * back. Called after settling and after each command, not between the entries of one: an allowance that
 * replaces the previous one does not cross the threshold.
 */
export function updateLowBalance(book: Book, trace: Trace) {
  const { account, plan } = book;
  const low = isLowBalance(book);
  if (low === account.lowBalance) return;
  account.lowBalance = low;
  book.changes.account = true;
  book.emitEvent(
    low ? 'balance.low' : 'balance.recovered',
    {
      available: availableCredits(account).toString(),
      threshold: effectiveLowBalanceThreshold(account, plan.terms).toString(),
    },
    trace,
  );
}

export const isLowBalance = ({ account, plan }: Book): boolean =>
  availableCredits(account) < effectiveLowBalanceThreshold(account, plan.terms);
