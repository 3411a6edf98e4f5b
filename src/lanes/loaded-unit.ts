/** What a unit of work works on: the Books of its accounts, and what else was loaded with them. */
import type { CachedAccount } from '../account-cache/account-cache.ts';
import type { Book } from '../ledger/book.ts';
import type { Shadow } from '../ledger/shadow/shadow.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { StoredRequest } from '../store/load-requests.ts';

export type LoadedUnit = {
  readonly now: number;
  /** By account id. Accounts that do not exist, or are locked elsewhere, have none. */
  readonly books: Map<string, Book>;
  /** Books of accounts that this unit of work opens. */
  readonly opened: Set<Book>;
  readonly plans: ReadonlyMap<string, PublishedPlan>;
  /** Revision of the cached plans, if they were not read; null: they were. */
  readonly plansRevision: bigint | null;
  /** Of the accounts that are or were in shadow mode; null: there are none. */
  readonly shadows: Map<string, Shadow> | null;
  /** Request ids used before, by `requestKey`. */
  readonly requests: Map<string, StoredRequest>;
  /** Request ids of archived entries, by `requestKey`. */
  readonly archivedRequests: ReadonlySet<string>;
  /** Accounts on which more has fallen due than one unit of work settles; nothing is decided on them. */
  readonly unsettled: ReadonlySet<string>;
  /** Whether what is due by time may be done. */
  readonly isClockReliable: boolean;
  /** Accounts on which something is due, while it may not be done; nothing is decided on them. */
  readonly waitingForClock: Set<string>;
  /** Accounts that another replica has locked. */
  readonly lockedElsewhere: ReadonlySet<string>;
  /** Accounts that were not locked and read but taken from the account cache. */
  readonly cached: ReadonlyMap<string, CachedAccount>;
  /** Of these, the ones that must be read after all; nothing more is decided on them. */
  readonly needsReload: Set<string>;
  /** Accounts of which more grants must be read; nothing more is decided on them. */
  readonly needsGrants: Set<string>;
};

export const requestKey = (accountId: string, requestId: string, method: string): string =>
  `${accountId}\n${requestId}\n${method}`;
