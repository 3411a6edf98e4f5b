/**
 * Accounts as they are now: what a unit of work would see. What is due by now is settled in memory only:
 * nothing of it is written. Calls that wait together are answered by one consistent read.
 */
import type { Clock } from '../clock/clock.ts';
import type { Account } from '../ledger/account.ts';
import { Book } from '../ledger/book.ts';
import type { Grant } from '../ledger/grant.ts';
import { settle } from '../ledger/settle.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { Catalogue } from '../store/catalogue.ts';
import { loadAccounts, loadExpiredReservations, loadNextReservationExpiry } from '../store/load.ts';
import { loadAllOpenGrants, loadGrantsToShow } from '../store/load-grants.ts';

type QueuedRead = {
  readonly accountId: string;
  readonly allGrants: boolean;
  readonly resolve: (book: Book | null) => void;
  readonly reject: (error: unknown) => void;
};

/** Calls that one read answers, at most. */
const GROUP_MAX = 500;

export class AccountSnapshots {
  /** The root entity manager: each transaction forks it. */
  readonly #em: Em;
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  #queue: QueuedRead[] = [];
  #isReading = false;

  constructor(em: Em, catalogue: Catalogue, clock: Clock) {
    this.#em = em;
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  /**
   * The account's book. Of its open grants it has all, if that is asked for, or those that expire next. Null
   * if there is no such account.
   */
  read(accountId: string, { allGrants = false } = {}): Promise<Book | null> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ accountId, allGrants, resolve, reject });
      if (!this.#isReading) void this.#readQueue();
    });
  }

  async #readQueue() {
    this.#isReading = true;
    // Calls that arrive in the same iteration of the event loop join the first group.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, GROUP_MAX);
      try {
        const books = await this.#readGroup(group);
        for (const { accountId, resolve } of group) resolve(books.get(accountId) ?? null);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#isReading = false;
  }

  async #readGroup(group: readonly QueuedRead[]): Promise<Map<string, Book>> {
    const accountIds = [...new Set(group.map(({ accountId }) => accountId))];
    const all = new Set(group.flatMap((read) => (read.allGrants ? [read.accountId] : [])));
    const others = accountIds.filter((accountId) => !all.has(accountId));
    return await this.#em.transactional(
      async (em) => {
        const now = this.#clock.now();
        const [accounts, allGrants, someGrants, plans] = await Promise.all([
          loadAccounts(em, accountIds),
          loadAllOpenGrants(em, [...all]),
          loadGrantsToShow(em, others, now),
          this.#catalogue.loadPlans(em, now),
        ]);
        const grants = Map.groupBy([...allGrants, ...someGrants], ({ accountId }) => accountId);
        const books = new Map<string, Book>();
        for (const account of accounts) {
          const { accountId } = account;
          const book = await this.#bookOf(em, account, grants.get(accountId) ?? [], plans, now);
          settle(book, { traceId: '', spanId: '', sampled: false });
          books.set(accountId, book);
        }
        return books;
      },
      { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true },
    );
  }

  async #bookOf(
    em: Em,
    account: Account,
    grants: readonly Grant[],
    plans: ReadonlyMap<string, PublishedPlan>,
    now: number,
  ): Promise<Book> {
    const { accountId, dueAt, lastAt } = account;
    // The account is ahead of this replica's clock if another replica, with a faster one, has written it.
    const at = Math.max(now, lastAt);
    if (at > now)
      for (const plan of plans.values()) await this.#catalogue.loadRateCardInForce(plan, at, em);
    const isDue = dueAt !== null && dueAt <= at;
    const reservations = isDue ? await loadExpiredReservations(em, accountId, at, ALL) : [];
    const loaded = {
      // What counts on budgets is not read here, so that settling counts nothing: GetBudgets does.
      account: { ...account, budgets: null },
      plans,
      grants,
      loadedUpTo: null,
      reservations,
      purchases: [],
      customPacks: [],
      refundables: [],
      budgetCounters: null,
      nextReservationExpiry: isDue ? await loadNextReservationExpiry(em, accountId, at) : null,
      plansLeft: [],
      usageSince: null,
    };
    return new Book(loaded, now, () => '');
  }
}

/** More reservations than an account can have. */
const ALL = 1_000_000;
