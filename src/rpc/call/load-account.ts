/** Reads the account that a request names. */
import type { Account } from '../../ledger/account.ts';
import type { Book } from '../../ledger/book.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { findAccount } from '../../queries/accounts.ts';
import type { ServiceContext } from '../service-context.ts';

/** The account, settled to now in memory, with the grants that expire next or all open ones. Throws ACCOUNT_NOT_FOUND. */
export async function loadBook(
  { snapshots }: ServiceContext,
  accountId: string,
  options?: { readonly allGrants: boolean },
): Promise<Book> {
  const book = await snapshots.read(accountId, options);
  if (!book) throw accountNotFound(accountId);
  return book;
}

/** The account as it is stored. Throws ACCOUNT_NOT_FOUND. */
export async function loadAccount({ em }: ServiceContext, accountId: string): Promise<Account> {
  const account = await findAccount(em(), accountId);
  if (!account) throw accountNotFound(accountId);
  return account;
}
