/** The account cache by itself: what it returns, what it evicts, and when it returns nothing. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CachedAccount,
  LruAccountCache,
  NoAccountCache,
  type TakenAccounts,
} from '../../src/account-cache/account-cache.ts';
import type { Account } from '../../src/ledger/account.ts';
import { type Grant, isOpen } from '../../src/ledger/grant.ts';
import { account, grant, START } from '../ledger/fixtures.ts';
import { runScenario, scenarios } from '../ledger/workload.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const NOTHING: TakenAccounts = new Map();

const HASH = new Uint8Array(32).fill(1);

const cachedAccount = (accountId: string, change: Partial<Account> = {}): CachedAccount => ({
  account: account({ accountId, lastHash: HASH.slice(), ...change }),
  grants: [],
  loadedUpTo: null,
  budgetCounters: null,
});

/** A hash may be a Buffer or a plain array of the same bytes. */
const withHashAsBuffer = (of: Account) => ({ ...of, lastHash: Buffer.from(of.lastHash) });

const take = (cache: LruAccountCache, ...accountIds: string[]) => [
  ...cache.take(new Set(accountIds), START).keys(),
];

describe('the account cache', () => {
  test('returns a stored account once', () => {
    const cache = new LruAccountCache(10);
    cache.store(NOTHING, [cachedAccount('a'), cachedAccount('b')]);
    expect(take(cache, 'a', 'unknown')).toEqual(['a']);
    expect(take(cache, 'a', 'b')).toEqual(['b']);
  });

  test('leaves out an account on which something is due, also by its own time', () => {
    const cache = new LruAccountCache(10);
    cache.store(NOTHING, [
      cachedAccount('due', { dueAt: START }),
      cachedAccount('ahead', { dueAt: START + 2, lastAt: START + 2 }),
      cachedAccount('later', { dueAt: START + 1 }),
    ]);
    expect(take(cache, 'due', 'ahead', 'later')).toEqual(['later']);
  });

  test('caches open grants only', () => {
    const cache = new LruAccountCache(10);
    const grants = [grant(1n, { remaining: 0n, state: 'SPENT' }), grant(2n)];
    cache.store(NOTHING, [{ ...cachedAccount('a'), grants }]);
    expect(cache.take(new Set('a'), START).get('a')?.grants).toEqual([grant(2n)]);
  });

  test('evicts the account that was not written for the longest time', () => {
    const cache = new LruAccountCache(2);
    cache.store(NOTHING, [cachedAccount('a'), cachedAccount('b')]);
    cache.store(NOTHING, [cachedAccount('a'), cachedAccount('c')]);
    expect(take(cache, 'a', 'b', 'c')).toEqual(['a', 'c']);
  });

  test('returns nothing to a unit of work on more than 128 accounts', () => {
    const cache = new LruAccountCache(200);
    const accountIds = Array.from({ length: 129 }, (_, index) => `a${index}`);
    cache.store(
      NOTHING,
      accountIds.map((accountId) => cachedAccount(accountId)),
    );
    expect(take(cache, ...accountIds)).toHaveLength(0);
    expect(take(cache, ...accountIds.slice(1))).toHaveLength(128);
  });

  test('does not change with an object that it was given or has returned', () => {
    const cache = new LruAccountCache(1);
    const given = { ...cachedAccount('a', { remaining: 5n }), grants: [grant(1n)] };
    cache.store(NOTHING, [given]);
    given.account.remaining = 6n;
    const taken = cache.take(new Set('a'), START);
    const returned = taken.get('a') as CachedAccount;
    expect(returned.account.remaining).toBe(5n);
    cache.store(taken, [{ ...returned, account: { ...returned.account, remaining: 7n } }]);
    returned.account.planId = 'other';
    returned.account.lastHash.fill(9);
    (returned.grants[0] as Grant).state = 'SPENT';
    const later = cache.take(new Set('a'), START).get('a');
    expect(later?.account).toEqual({
      ...account({ accountId: 'a', remaining: 7n }),
      lastHash: HASH,
    });
    expect(later?.grants).toEqual([grant(1n)]);
  });

  test.each<[string, Partial<Account>]>([
    ['a setting', { pauseFloor: 10n }],
    ['labels', { labels: { tier: 'gold' } }],
    ['the levels that are low', { lowLevels: ['500'] }],
    ['when its allowance is due', { allowanceDueAt: START + 5 }],
    ['the next due moment, to none', { dueAt: null }],
    ['the length of its hash', { lastHash: new Uint8Array(0) }],
  ])('returns an account with %s changed', (_, change) => {
    const cache = new LruAccountCache(1);
    cache.store(NOTHING, [cachedAccount('a', { dueAt: START + 3 })]);
    const taken = cache.take(new Set('a'), START);
    const { account } = taken.get('a') as CachedAccount;
    cache.store(taken, [{ ...cachedAccount('a'), account: { ...account, ...change } }]);
    expect(cache.take(new Set('a'), START).get('a')?.account).toEqual({ ...account, ...change });
  });

  test.each<[string, readonly Grant[]]>([
    ['one more', [grant(1n), grant(2n)]],
    ['none', []],
    ['another', [grant(2n)]],
    ['one that has been given notice', [grant(1n, { noticeAt: null })]],
  ])('returns an account with its grants changed to %s', (_, grants) => {
    const cache = new LruAccountCache(1);
    cache.store(NOTHING, [{ ...cachedAccount('a'), grants: [grant(1n, { noticeAt: START })] }]);
    const taken = cache.take(new Set('a'), START);
    const { account } = taken.get('a') as CachedAccount;
    cache.store(taken, [{ ...cachedAccount('a'), account, grants }]);
    expect(cache.take(new Set('a'), START).get('a')?.grants).toEqual(grants);
  });

  test('does not retain the pool that a hash is a slice of', async () => {
    const cache = new LruAccountCache(1);
    const pool = (() => {
      const memory = new ArrayBuffer(65_536);
      cache.store(NOTHING, [cachedAccount('a', { lastHash: new Uint8Array(memory, 32, 32) })]);
      return new WeakRef(memory);
    })();
    await new Promise(setImmediate);
    collectGarbage();
    expect(pool.deref()).toBeUndefined();
    expect(cache.take(new Set('a'), START).get('a')?.account.lastHash).toHaveLength(32);
  });

  test('returns an account as the ledger has it after any commands', () => {
    let compared = 0;
    fc.assert(
      fc.property(scenarios(60), (random) => {
        const cache = new LruAccountCache(1);
        let taken = NOTHING;
        runScenario(random, (store, now, command) => {
          const { book } = store.run(now, command);
          if (!book.hasChanges) return;
          cache.store(taken, [book]);
          taken = cache.take(new Set(['acme']), now);
          const cached = taken.get('acme');
          if (!cached) return;
          assert.deepEqual(withHashAsBuffer(cached.account), withHashAsBuffer(store.account));
          const loaded = book.grants.filter(isOpen).map(({ grantId }) => store.grants.get(grantId));
          assert.deepEqual(new Set(cached.grants), new Set(loaded));
          assert.equal(cached.loadedUpTo, book.loadedUpTo);
          compared += 1;
        });
      }),
      { numRuns: 200 },
    );
    expect(compared).toBeGreaterThan(2_000);
  });
});

describe('the cooldown after a failed transaction', () => {
  /** How many units of work find nothing before one finds the account. */
  function cooldownOf(cache: LruAccountCache): number {
    for (let units = 0; ; units++) {
      cache.store(NOTHING, [cachedAccount('a')]);
      if (take(cache, 'a').length > 0) return units;
    }
  }
  const source = new LruAccountCache(1);
  source.store(NOTHING, [cachedAccount('a')]);
  const taken = source.take(new Set('a'), START);

  test('grows while failures follow each other, and shrinks with each success', () => {
    const cache = new LruAccountCache(1);
    expect(cooldownOf(cache)).toBe(0);
    const lengths = [1, 4, 16, 64, 256, 1_024, 1_024];
    for (const length of lengths) {
      cache.discard(taken);
      expect(cooldownOf(cache)).toBe(length);
    }
    cache.store(taken, []);
    cache.store(taken, []);
    cache.discard(taken);
    expect(cooldownOf(cache)).toBe(256);
  });

  test('is none where the transaction had taken no cached account', () => {
    const cache = new LruAccountCache(1);
    cache.discard(NOTHING);
    expect(cooldownOf(cache)).toBe(0);
  });
});

test('the null implementation never returns an account', () => {
  const cache = new NoAccountCache();
  cache.store();
  expect(cache.take()).toEqual(NOTHING);
  cache.discard();
});
