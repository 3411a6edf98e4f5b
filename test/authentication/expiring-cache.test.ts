/** The cache of tokens is bounded, and forgets what does not hold any more. */
import { expect, test } from 'vitest';
import { ExpiringCache } from '../../src/authentication/expiring-cache.ts';

test('a value holds until its time', () => {
  const cache = new ExpiringCache<string>(2);
  cache.set('a', 'one', 10);
  expect(cache.get('a', 9)).toBe('one');
  expect(cache.get('a', 10)).toBeUndefined();
  expect(cache.get('a', 9)).toBeUndefined();
});

test('the least recently used value makes room', () => {
  const cache = new ExpiringCache<string>(2);
  cache.set('a', 'one', 10);
  cache.set('b', 'two', 10);
  cache.get('a', 0);
  cache.set('c', 'three', 10);
  expect(['a', 'b', 'c'].map((key) => cache.get(key, 0))).toEqual(['one', undefined, 'three']);
});

test('a value is replaced', () => {
  const cache = new ExpiringCache<string>(2);
  cache.set('a', 'one', 10);
  cache.set('a', 'two', 20);
  expect(cache.get('a', 15)).toBe('two');
});
