/**
 * The account cache: accounts as this replica wrote them last, so that the next unit of work need not lock
 * and read them. Nothing invalidates a cached account. Its next update states the row version that it
 * was computed from, and fails where another replica has written since (optimistic concurrency).
 */
import type { Account } from '../ledger/account.ts';
import type { BudgetCounters } from '../ledger/budget.ts';
import { type Grant, isOpen } from '../ledger/grant.ts';
import { PackedAccount } from './packed-account.ts';

/** An account's row and the open grants that were loaded, as of one row version. See `LoadedAccount`. */
export type CachedAccount = {
  readonly account: Account;
  readonly grants: readonly Grant[];
  readonly loadedUpTo: Grant | null;
  /** Counters of its budgets that were used last. Null: none. */
  readonly budgetCounters: BudgetCounters | null;
};

/** Accounts that a unit of work has taken from the cache. */
export type TakenAccounts = ReadonlyMap<
  string,
  CachedAccount & {
    /** Where the cache held it. */
    readonly packed: PackedAccount;
  }
>;

export interface AccountCache {
  /**
   * Removes and returns cached accounts, of those asked for, on which nothing falls due by `now`. The
   * caller may change them, and hands the result to `store`, or says that it failed by `discard`.
   */
  take(accountIds: ReadonlySet<string>, now: number): TakenAccounts;
  /** Caches accounts as a transaction has committed them. `taken` is what it had taken. */
  store(taken: TakenAccounts, written: Iterable<CachedAccount>): void;
  /** The transaction failed: what it had taken may be stale. */
  discard(taken: TakenAccounts): void;
}

/**
 * A unit of work on more accounts reads them all. The more accounts, the likelier it is that another
 * replica has written to one, and then the whole unit runs again.
 */
const TAKEN_MAX = 128;
/** Counters of budgets that are kept of one account. */
const COUNTERS_MAX = 256;
/** The longest cooldown, in units of work. */
const COOLDOWN_MAX = 1_024;

/**
 * Keeps the accounts that were written most recently. After a failed transaction it begins a cooldown:
 * some units of work find nothing cached. It grows while failures follow each other, as they do where
 * several replicas serve the same accounts.
 */
export class LruAccountCache implements AccountCache {
  readonly #max: number;
  /** Least recently written first. */
  readonly #accounts = new Map<string, PackedAccount>();
  /** Units of work left of the current cooldown. */
  #coolingDown = 0;
  /** Length of the next cooldown. */
  #cooldown = 1;

  /** Caches at most `max` accounts. */
  constructor(max: number) {
    this.#max = max;
  }

  take(accountIds: ReadonlySet<string>, now: number): TakenAccounts {
    if (accountIds.size > TAKEN_MAX || this.#coolingDown > 0) {
      this.#coolingDown = Math.max(0, this.#coolingDown - 1);
      return NOTHING;
    }
    const taken = new Map();
    for (const accountId of accountIds) {
      const packed = this.#accounts.get(accountId);
      if (!packed || packed.isDue(now)) continue;
      this.#accounts.delete(accountId);
      taken.set(accountId, { ...packed.unpack(), packed });
    }
    return taken;
  }

  store(taken: TakenAccounts, written: Iterable<CachedAccount>) {
    if (taken.size > 0) this.#cooldown = Math.max(1, this.#cooldown / 2);
    for (const { account, grants, loadedUpTo, budgetCounters } of written) {
      const { accountId } = account;
      const open = grants.filter(isOpen);
      const packed = taken.get(accountId)?.packed;
      const next = packed?.write(account, open, loadedUpTo)
        ? packed
        : new PackedAccount(account, open, loadedUpTo);
      next.budgetCounters = budgetCounters && newest(budgetCounters);
      this.#accounts.delete(accountId);
      this.#accounts.set(accountId, next);
    }
    this.#evict();
  }

  discard(taken: TakenAccounts) {
    if (taken.size === 0) return;
    this.#coolingDown = this.#cooldown;
    this.#cooldown = Math.min(COOLDOWN_MAX, this.#cooldown * 4);
  }

  #evict() {
    for (const accountId of this.#accounts.keys()) {
      if (this.#accounts.size <= this.#max) return;
      this.#accounts.delete(accountId);
    }
  }
}

/** Without the counters that were read first, if there are too many. */
function newest(counters: BudgetCounters): BudgetCounters {
  for (const name of counters.keys()) {
    if (counters.size <= COUNTERS_MAX) break;
    counters.delete(name);
  }
  return counters;
}

/** Caches nothing: every unit of work locks and reads its accounts. */
export class NoAccountCache implements AccountCache {
  take(): TakenAccounts {
    return NOTHING;
  }

  store() {}

  discard() {}
}

const NOTHING: TakenAccounts = new Map();
