/** Makes the Books of a unit of work from the rows that were read and from cached accounts. */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import { Book } from '../ledger/book.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { newId } from '../new-id.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';

/** Rows of any number of accounts; none of a cached account but its reservations. */
export type Rows = {
  readonly accounts: readonly Account[];
  readonly grants: readonly Grant[];
  readonly reservations: readonly Reservation[];
  readonly purchases: readonly Purchase[];
  readonly customPacks: readonly CustomPack[];
  readonly refundables: readonly RefundableEntry[];
  /** When the next reservation of an account expires that is not among these. */
  readonly nextExpiry: ReadonlyMap<string, number>;
};

/** The Books by account id. */
export function assembleBooks(
  rows: Rows,
  cached: ReadonlyMap<string, CachedAccount>,
  plans: ReadonlyMap<string, PublishedPlan>,
  now: number,
): Map<string, Book> {
  const grants = byAccount(rows.grants);
  const reservations = byAccount(rows.reservations);
  const purchases = byAccount(rows.purchases);
  const customPacks = byAccount(rows.customPacks);
  const refundables = byAccount(rows.refundables);
  const books = new Map<string, Book>();
  const assemble = (account: Account, grantsOfAccount: readonly Grant[]) => {
    const { accountId } = account;
    const loaded = {
      account,
      plans,
      grants: grantsOfAccount,
      reservations: reservations.get(accountId) ?? [],
      purchases: purchases.get(accountId) ?? [],
      customPacks: customPacks.get(accountId) ?? [],
      refundables: refundables.get(accountId) ?? [],
      nextReservationExpiry: rows.nextExpiry.get(accountId) ?? null,
    };
    books.set(accountId, new Book(loaded, now, newId(now)));
  };
  for (const { account, grants: open } of cached.values()) assemble(account, open);
  for (const account of rows.accounts) assemble(account, grants.get(account.accountId) ?? []);
  return books;
}

const byAccount = <Item extends { readonly accountId: string }>(items: readonly Item[]) =>
  Map.groupBy(items, ({ accountId }) => accountId);
