/** What is kept of an account is all there is to keep, whatever happened to it. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AccountCache } from '../../src/account-cache/account-cache.ts';
import type { CachedAccount } from '../../src/account-cache/cached-account.ts';
import type { Request, Task } from '../../src/lanes/task.ts';
import type { Account } from '../../src/ledger/account.ts';
import type { Command } from '../../src/ledger/decide.ts';
import { isOpen } from '../../src/ledger/grant.ts';
import { grantCredits, origin, release, START } from '../ledger/fixtures.ts';
import type { Shelf } from '../ledger/shelf.ts';
import { life, live } from '../ledger/workload.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const CACHE_MISS = new Set<string>();
const NOTHING: ReadonlyMap<string, CachedAccount> = new Map();

const request: Request = {
  type: 'request',
  accountId: 'acme',
  command: release('r1'),
  origin,
  fingerprint: new Uint8Array(),
  encodeResponse: () => new Uint8Array(),
  isAbandoned: () => false,
};
const asked = (command: Command | null): Task =>
  command ? { ...request, command } : { type: 'settlement', accountId: 'acme' };

/** What is kept of the shelf's account, as a unit of work would find it. */
function keptOf(books: AccountCache, shelf: Shelf, now: number) {
  const taken = books.take([request], now);
  books.keep({ books: new Map([['acme', shelf.take(now, [])]]), kept: taken, unread: CACHE_MISS });
  return taken.get('acme');
}

/** Its hash as plain bytes: a Buffer is another thing to an assertion. */
const plain = (account: Account): Account => ({
  ...account,
  lastHash: new Uint8Array(account.lastHash),
});

test('a unit of many works takes none: it reads them all', () => {
  const books = new AccountCache(1);
  const shelf = live({ terms: {}, otherTerms: {}, steps: [] });
  const { book } = shelf.work(START, grantCredits(10n));
  books.keep({ books: new Map([['acme', book]]), kept: NOTHING, unread: CACHE_MISS });
  expect(books.take(Array(129).fill(request), START).size).toBe(0);
  expect(books.take(Array(128).fill(request), START).size).toBe(1);
});

test('a book that has ended makes room for another, whatever it ended of', () => {
  const books = new AccountCache(1);
  const shelf = live({ terms: {}, otherTerms: {}, steps: [] });
  // Each has one grant more than the last, which is not a thing to be written in place.
  const keep = (kept = NOTHING, unread = CACHE_MISS) => {
    const { book } = shelf.work(START, grantCredits(10n));
    books.keep({ books: new Map([['acme', book]]), kept, unread });
  };
  const take = () => books.take([request], START);
  keep();
  keep();
  const afterReading = take();
  keep(afterReading);
  const afterWriting = take();
  keep(afterWriting, new Set(['acme']));
  keep();
  const afterUnread = take();
  books.failed(afterUnread);
  take();
  keep();
  const afterFailure = take();
  const all = [afterReading, afterWriting, afterUnread, afterFailure];
  expect(all.map(({ size }) => size)).toEqual([1, 1, 1, 1]);
});

test('a kept book holds on to no memory of the hash it was given', async () => {
  const books = new AccountCache(1);
  const given = (() => {
    const shelf = live({ terms: {}, otherTerms: {}, steps: [] });
    const { book } = shelf.work(START, grantCredits(10n));
    // As a driver and a hash give it: a part of a pool, and what holds the part holds the pool.
    const pool = new ArrayBuffer(65_536);
    book.account.lastHash = new Uint8Array(pool, 32, 32);
    books.keep({ books: new Map([['acme', book]]), kept: NOTHING, unread: CACHE_MISS });
    return new WeakRef(pool);
  })();
  await new Promise(setImmediate);
  collectGarbage();
  expect(given.deref()).toBeUndefined();
  expect(books.take([request], START).get('acme')?.account().lastHash).toHaveLength(32);
});

test('a kept book is the account as the ledger has it, and its open grants', () => {
  let compared = 0;
  fc.assert(
    fc.property(life(60), (random) => {
      const books = new AccountCache(1);
      live(random, (shelf, now, command) => {
        const before = books.take([asked(command)], now);
        const { book } = shelf.work(now, command);
        books.keep({ books: new Map([['acme', book]]), kept: before, unread: CACHE_MISS });
        const kept = keptOf(books, shelf, now);
        if (!kept) return;
        assert.deepEqual(plain(kept.account()), plain(shelf.account));
        const open = [...shelf.grants.values()].filter(isOpen);
        assert.deepEqual(new Set(kept.grants()), new Set(open));
        compared += 1;
      });
    }),
    { numRuns: 200 },
  );
  expect(compared).toBeGreaterThan(2_000);
});
