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
import {
  loadAccounts,
  loadExpiredReservations,
  loadNextReservationExpiry,
  loadOpenGrants,
} from '../store/load.ts';

type QueuedRead = {
  readonly accountId: string;
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

  /** The account's book, with its open grants. Null if there is no such account. */
  read(accountId: string): Promise<Book | null> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ accountId, resolve, reject });
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
        const books = await this.#readGroup([...new Set(group.map((read) => read.accountId))]);
        for (const { accountId, resolve } of group) resolve(books.get(accountId) ?? null);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#isReading = false;
  }

  async #readGroup(accountIds: readonly string[]): Promise<Map<string, Book>> {
    return await this.#em.transactional(
      async (em) => {
        const now = this.#clock.now();
        const [accounts, openGrants, plans] = await Promise.all([
          loadAccounts(em, accountIds),
          loadOpenGrants(em, accountIds),
          this.#catalogue.loadPlans(em, now),
        ]);
        const grants = Map.groupBy(openGrants, ({ accountId }) => accountId);
        const books = new Map<string, Book>();
        for (const account of accounts) {
          const { accountId } = account;
          const book = await this.#bookOf(em, account, grants.get(accountId) ?? [], plans, now);
          settle(book, { traceId: '', spanId: '' });
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
    const loaded = {
      account,
      plans,
      grants,
      reservations: isDue ? await loadExpiredReservations(em, accountId, at, ALL) : [],
      purchases: [],
      customPacks: [],
      refundables: [],
      nextReservationExpiry: isDue ? await loadNextReservationExpiry(em, accountId, at) : null,
    };
    return new Book(loaded, now, () => '');
  }
}

/** More reservations than an account can have. */
const ALL = 1_000_000;
