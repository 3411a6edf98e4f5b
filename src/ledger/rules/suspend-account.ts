/** SuspendAccount and ResumeAccount: an operator stops new work of an account, and allows it again. */
import type { Suspension } from '../account.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { accountClosed } from '../failures.ts';

export type SuspendAccount = {
  readonly kind: 'SuspendAccount';
  readonly running: Suspension['running'];
  /** Why, for people: also for those whose work is refused. */
  readonly reason: string;
};

export type ResumeAccount = {
  readonly kind: 'ResumeAccount';
  /** Why, for people. */
  readonly reason: string;
};

export function suspendAccount(book: Book, command: SuspendAccount, origin: Origin) {
  const { account, now } = book;
  const { running, reason } = command;
  if (account.state === 'CLOSED') return accountClosed(book);
  if (account.suspension?.running === running)
    return { kind: 'SuspendAccount', entrySeq: 0n } as const;
  const since = account.suspension?.since ?? now;
  const { caller } = origin;
  account.suspension = { since, reason, caller, running };
  book.changes.settings = true;
  const details = { running };
  const entry = book.post({ kind: 'SUSPEND_ACCOUNT', details, personal: { reason } }, origin);
  book.emitEvent('account.suspended', { running, caller }, origin);
  return { kind: 'SuspendAccount', entrySeq: entry.seq } as const;
}

export function resumeAccount(book: Book, { reason }: ResumeAccount, origin: Origin) {
  const { account } = book;
  if (!account.suspension) return { kind: 'ResumeAccount', entrySeq: 0n } as const;
  account.suspension = null;
  book.changes.settings = true;
  const entry = book.post({ kind: 'RESUME_ACCOUNT', personal: { reason } }, origin);
  book.emitEvent('account.resumed', { caller: origin.caller }, origin);
  return { kind: 'ResumeAccount', entrySeq: entry.seq } as const;
}
