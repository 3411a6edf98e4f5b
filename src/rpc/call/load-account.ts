/** Reads the account that a request names. */
import type { Account } from '../../ledger/account.ts';
import type { Book } from '../../ledger/book.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { findAccount } from '../../queries/accounts.ts';
import type { ServiceContext } from '../service-context.ts';

/** The account with its open grants, settled to now in memory. Throws ACCOUNT_NOT_FOUND. */
export async function loadBook({ snapshots }: ServiceContext, accountId: string): Promise<Book> {
  const book = await snapshots.read(accountId);
  if (!book) throw accountNotFound(accountId);
  return book;
}

/** The account as it is stored. Throws ACCOUNT_NOT_FOUND. */
export async function loadAccount({ em }: ServiceContext, accountId: string): Promise<Account> {
  const account = await findAccount(em(), accountId);
  if (!account) throw accountNotFound(accountId);
  return account;
}
