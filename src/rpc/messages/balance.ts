/** An account's balance as a message. */
import type { Balance as BalanceMessage } from '../../gen/billing/v1/ledger.ts';
import { balanceOf } from '../../ledger/balance.ts';
import type { Book } from '../../ledger/book.ts';

/** The balance as it is on the book now: after the command, if one was decided on it. */
export function balanceMessage({ account, grants, plan, now }: Book): BalanceMessage {
  const balance = balanceOf(account, grants, plan, now);
  const { nextExpiry, nextAllowance } = balance;
  return {
    ...balance,
    levels: balance.levels.map(({ level, threshold, low }) => ({
      threshold,
      low,
      percent: 'percent' in level ? level.percent : undefined,
    })),
    limited: balance.limited.map((some) => ({ ...some, operations: [...some.operations] })),
    nextExpiry: nextExpiry
      ? { expiresAt: new Date(nextExpiry.expiresAt), credits: nextExpiry.credits }
      : undefined,
    nextAllowance: nextAllowance
      ? { dueAt: new Date(nextAllowance.dueAt), credits: nextAllowance.credits }
      : undefined,
    asOf: new Date(balance.asOf),
  };
}
