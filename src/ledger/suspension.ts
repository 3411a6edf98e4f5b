/** What a suspension refuses: new work, and running work if the operator wants that. */
import type { Failure } from '../failure.ts';
import type { Book } from './book.ts';
import { accountClosed, accountSuspended } from './failures.ts';

/** The failure of new work on an account that is closed or suspended; null if it may begin. */
export function refuseNewWork(book: Book): Failure | null {
  const { account } = book;
  if (account.state === 'CLOSED') return accountClosed(book);
  return account.suspension && accountSuspended(account, account.suspension);
}

/** The same of work that goes on, such as a commit. */
export const refuseRunningWork = ({ account }: Book): Failure | null =>
  account.suspension?.running === 'STOP' ? accountSuspended(account, account.suspension) : null;
