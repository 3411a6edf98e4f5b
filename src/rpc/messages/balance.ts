/** An account's balance as a message. */
import type { Balance as BalanceMessage } from '../../gen/billing/v1/ledger.ts';
import { balanceOf, nextExpiry } from '../../ledger/balance.ts';
import type { Book } from '../../ledger/book.ts';

/**
 * The balance as it is on the book now: after the command, if one was decided on it. Without the next expiry:
 * a command does not look at the grants that it does not touch.
 */
export function balanceMessage({ account, grants, plan, now }: Book): BalanceMessage {
  const balance = balanceOf(account, grants, plan, now);
  const { nextAllowance } = balance;
  return {
    ...balance,
    levels: balance.levels.map(({ level, threshold, low }) => ({
      threshold,
      low,
      percent: 'percent' in level ? level.percent : undefined,
    })),
    limited: balance.limited.map((some) => ({ ...some, operations: [...some.operations] })),
    nextAllowance: nextAllowance
      ? { dueAt: new Date(nextAllowance.dueAt), credits: nextAllowance.credits }
      : undefined,
    nextExpiry: undefined,
    asOf: new Date(balance.asOf),
  };
}

/** The balance with its next expiry, for which the grants that expire soonest must have been loaded. */
export function fullBalanceMessage(book: Book): BalanceMessage {
  const next = nextExpiry(book.grants, book.now);
  return {
    ...balanceMessage(book),
    nextExpiry: next ? { expiresAt: new Date(next.expiresAt), credits: next.credits } : undefined,
  };
}
