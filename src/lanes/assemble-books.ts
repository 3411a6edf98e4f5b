/** Makes the Books of a unit of work from the rows that were read and from cached accounts. */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Account } from '../ledger/account.ts';
import { Book } from '../ledger/book.ts';
import type { BudgetCounters } from '../ledger/budget.ts';
import type { CustomPack } from '../ledger/custom-pack.ts';
import { compareBurnOrder, type Grant } from '../ledger/grant.ts';
import type { PlanLeft } from '../ledger/plans-left.ts';
import type { Purchase } from '../ledger/purchase.ts';
import type { RefundableEntry } from '../ledger/refundable.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { newId } from '../new-id.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import { needsAllGrants } from '../store/load-grants.ts';
import type { GrantLimits } from './grant-limits.ts';

/** Rows of any number of accounts; none of a cached account but its reservations. */
export type Rows = {
  readonly accounts: readonly Account[];
  /** The open grants that burn first: see `loadOpenGrants`. */
  readonly openGrants: readonly Grant[];
  /** Accounts of which these are all open grants. */
  readonly completeAccounts: ReadonlySet<string>;
  /** Other grants that rows name. */
  readonly namedGrants: readonly Grant[];
  readonly reservations: readonly Reservation[];
  readonly purchases: readonly Purchase[];
  readonly customPacks: readonly CustomPack[];
  readonly refundables: readonly RefundableEntry[];
  /** Of accounts with budgets. */
  readonly budgetCounters: ReadonlyMap<string, BudgetCounters>;
  /** When the next reservation of an account expires that is not among these. */
  readonly nextExpiry: ReadonlyMap<string, number>;
  /** The plans that an account has left since its newest statement, the newest first. */
  readonly plansLeft: ReadonlyMap<string, readonly PlanLeft[]>;
  /** When the first entry of an account was recorded that is charged late usage. */
  readonly usageStarts: ReadonlyMap<string, number>;
};

const NO_PLANS_LEFT: readonly PlanLeft[] = [];

/** The Books by account id. */
export function assembleBooks(
  rows: Rows,
  cached: ReadonlyMap<string, CachedAccount>,
  grantLimits: GrantLimits,
  plans: ReadonlyMap<string, PublishedPlan>,
  now: number,
): Map<string, Book> {
  const openGrants = byAccount(rows.openGrants);
  const namedGrants = byAccount(rows.namedGrants);
  const reservations = byAccount(rows.reservations);
  const purchases = byAccount(rows.purchases);
  const customPacks = byAccount(rows.customPacks);
  const refundables = byAccount(rows.refundables);
  const books = new Map<string, Book>();
  const assemble = ({
    account,
    grants,
    loadedUpTo,
  }: Pick<CachedAccount, 'account' | 'grants' | 'loadedUpTo'>) => {
    const { accountId } = account;
    const loaded = {
      account,
      plans,
      grants,
      loadedUpTo,
      reservations: reservations.get(accountId) ?? [],
      purchases: purchases.get(accountId) ?? [],
      customPacks: customPacks.get(accountId) ?? [],
      refundables: refundables.get(accountId) ?? [],
      budgetCounters: rows.budgetCounters.get(accountId) ?? null,
      nextReservationExpiry: rows.nextExpiry.get(accountId) ?? null,
      plansLeft: rows.plansLeft.get(accountId) ?? NO_PLANS_LEFT,
      usageSince: rows.usageStarts.get(accountId) ?? null,
    };
    books.set(accountId, new Book(loaded, now, newId(now)));
  };
  for (const account of cached.values()) assemble(account);
  for (const account of rows.accounts) {
    const { accountId } = account;
    const open = openGrants.get(accountId) ?? [];
    const named = namedGrants.get(accountId);
    const isCut =
      open.length === grantLimits.of(accountId) &&
      !needsAllGrants(account, now) &&
      !rows.completeAccounts.has(accountId);
    assemble({
      account,
      grants: named ? [...open, ...named] : open,
      loadedUpTo: isCut ? open.toSorted(compareBurnOrder).at(-1)! : null,
    });
  }
  return books;
}

const byAccount = <Item extends { readonly accountId: string }>(items: readonly Item[]) =>
  Map.groupBy(items, ({ accountId }) => accountId);
