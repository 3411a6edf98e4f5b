/**
 * The accounts that a unit of work need not read: it decides on what the one before wrote of them, and
 * writes it only where PostgreSQL finds their rows, and the plans, as they were left (optimistic locking).
 * Where another replica has written since, or a request id was used before, the transaction fails as a
 * whole, and the unit runs again on what it locks and reads.
 */

import type { LoadedUnit } from '../lanes/load-unit.ts';
import type { Task } from '../lanes/task.ts';
import type { Book } from '../ledger/book.ts';
import type { Command } from '../ledger/decide.ts';
import { CachedAccount, Slots } from './cached-account.ts';

type Done = Pick<LoadedUnit, 'books' | 'kept' | 'unread'>;

/** Commands that need no more than what is kept, and the reservation that they name. */
const CACHEABLE_COMMANDS: ReadonlySet<Command['kind']> = new Set([
  'Reserve',
  'Commit',
  'Release',
  'Charge',
]);
/**
 * A unit of more works reads them all. The more accounts it has, the likelier is another replica to have
 * written to one, and the more is done twice then.
 */
const WORKS_MAX = 128;
/** So many units of work read what they need after one has failed, at most. */
const REST_MAX = 1_024;

export class AccountCache {
  readonly #slots: Slots;
  /** By account; what was kept last comes last. */
  readonly #kept = new Map<string, CachedAccount>();
  /** Units of work that are still to read what they need. */
  #resting = 0;
  /** How many the next failure is worth. */
  #rest = 1;

  /** Keeps so many books at most; 0: none. */
  constructor(max: number) {
    this.#slots = new Slots(max);
  }

  /** Takes what is kept of these works' accounts, as far as it will do: it is theirs until they end. */
  take(tasks: readonly Task[], now: number): ReadonlyMap<string, CachedAccount> {
    const taken = new Map<string, CachedAccount>();
    if (tasks.length > WORKS_MAX || this.#resting > 0) {
      this.#resting = Math.max(0, this.#resting - 1);
      return taken;
    }
    const unserved = new Set<string>();
    for (const task of tasks)
      if (!('command' in task) || !CACHEABLE_COMMANDS.has(task.command.kind))
        unserved.add(task.accountId);
    for (const { accountId } of tasks) {
      const kept = this.#kept.get(accountId);
      if (!kept || kept.isDue(now) || unserved.has(accountId)) continue;
      this.#kept.delete(accountId);
      taken.set(accountId, kept);
    }
    return taken;
  }

  /** Keeps what a unit of work has committed. */
  keep({ books, kept, unread }: Done) {
    if (kept.size > 0) this.#rest = Math.max(1, this.#rest / 2);
    for (const book of books.values()) {
      const { accountId } = book.account;
      const taken = kept.get(accountId);
      if (unread.has(accountId)) taken?.end();
      else if (book.hasChanges) this.#write(book, taken);
      else if (taken) this.#kept.set(accountId, taken);
    }
  }

  /** In place only where it was what the unit decided on: one that was read may have other settings. */
  #write(book: Book, taken: CachedAccount | undefined) {
    const { account, grants, changes } = book;
    const { accountId } = account;
    if (taken && !changes.settings && taken.write(account, grants)) {
      this.#kept.set(accountId, taken);
      return;
    }
    this.#end(accountId, taken ?? this.#kept.get(accountId));
    const slot = CachedAccount.fits(account, grants) ? this.#slot() : undefined;
    if (slot === undefined) return;
    const fresh = new CachedAccount(this.#slots, slot, account, grants);
    fresh.write(account, grants);
    this.#kept.set(accountId, fresh);
  }

  /** A free one, or that of the book that was not used for the longest time. */
  #slot(): number | undefined {
    const free = this.#slots.take();
    if (free !== undefined) return free;
    for (const [accountId, kept] of this.#kept) {
      this.#end(accountId, kept);
      break;
    }
    return this.#slots.take();
  }

  /** A unit of work that had taken these has failed. */
  failed(taken: ReadonlyMap<string, CachedAccount>) {
    if (taken.size === 0) return;
    for (const kept of taken.values()) kept.end();
    this.#resting = this.#rest;
    this.#rest = Math.min(REST_MAX, this.#rest * 4);
  }

  #end(accountId: string, kept: CachedAccount | undefined) {
    this.#kept.delete(accountId);
    kept?.end();
  }
}
