/**
 * Reads accounts as they are now: what a unit of work would see, settled in memory only. Calls that
 * wait together are answered by one consistent read.
 */
import type { Clock } from '../clock.ts';
import { Book } from '../ledger/book.ts';
import { settle } from '../ledger/settle.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import type { Catalogue } from '../store/catalogue.ts';
import {
  loadAccounts,
  loadExpiredReservations,
  loadOpenGrants,
  nextReservationExpiry,
} from '../store/load.ts';

type Waiting = {
  readonly accountId: string;
  readonly resolve: (book: Book | null) => void;
  readonly reject: (error: unknown) => void;
};

const GROUP_MAX = 500;

export class Snapshots {
  /** The root of all: every transaction has an entity manager of its own. */
  readonly #em: Em;
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  #reading = false;

  constructor(em: Em, catalogue: Catalogue, clock: Clock) {
    this.#em = em;
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  /** The account's book as of now; null if there is no such account. Nothing of it is ever saved. */
  read(accountId: string): Promise<Book | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ accountId, resolve, reject });
      if (!this.#reading) void this.#readAll();
    });
  }

  async #readAll() {
    this.#reading = true;
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, GROUP_MAX);
      try {
        const books = await this.#readGroup([...new Set(group.map((w) => w.accountId))]);
        for (const { accountId, resolve } of group) resolve(books.get(accountId) ?? null);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#reading = false;
  }

  async #readGroup(accountIds: readonly string[]): Promise<Map<string, Book>> {
    return await this.#em.transactional(
      async (em) => {
        const now = this.#clock();
        const [accounts, open, plans] = await Promise.all([
          loadAccounts(em, accountIds),
          loadOpenGrants(em, accountIds),
          this.#catalogue.asOf(em, now),
        ]);
        const grants = Map.groupBy(open, (grant) => grant.accountId);
        const books = new Map<string, Book>();
        for (const account of accounts) {
          const { accountId } = account;
          const at = Math.max(now, account.lastAt);
          if (at > now)
            for (const plan of plans.values()) await this.#catalogue.ready(plan, at, em);
          const due = account.dueAt !== null && account.dueAt <= at;
          const book = new Book(
            {
              account,
              plans,
              grants: grants.get(accountId) ?? [],
              reservations: due ? await loadExpiredReservations(em, accountId, at, 1_000_000) : [],
              purchases: [],
              customPacks: [],
              refundables: [],
              nextReservationExpiry: due ? await nextReservationExpiry(em, accountId, at) : null,
            },
            now,
            () => '',
          );
          settle(book, { traceId: '', spanId: '' });
          books.set(accountId, book);
        }
        return books;
      },
      { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true },
    );
  }
}
