import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBurnOrder, type Grant } from '../../src/ledger/grant.ts';
import { at, book, grant, START } from './fixtures.ts';

const soon = at('1d');
const late = at('30d');

describe('of two grants, the first to burn is the one', () => {
  test.each<[string, Partial<Grant>, Partial<Grant>]>([
    ['with the lower priority', { priority: 49 }, { priority: 50 }],
    [
      'with the lower priority, although it expires later',
      { priority: 0, expiresAt: null },
      { priority: 1, expiresAt: soon },
    ],
    [
      'with the lower priority, although it is paid and newer',
      { priority: 0, category: 'PAID', grantId: 9n },
      { priority: 1, category: 'PROMOTIONAL', grantId: 1n },
    ],
    ['that expires sooner', { expiresAt: soon }, { expiresAt: late }],
    ['that expires a millisecond sooner', { expiresAt: soon }, { expiresAt: soon + 1 }],
    ['that expires, before one that never does', { expiresAt: late }, { expiresAt: null }],
    [
      'that expires sooner, although it is paid and newer',
      { expiresAt: soon, category: 'PAID', grantId: 9n },
      { expiresAt: late, category: 'PROMOTIONAL', grantId: 1n },
    ],
    ['that is promotional', { category: 'PROMOTIONAL' }, { category: 'PAID' }],
    ['that is an allowance', { category: 'ALLOWANCE' }, { category: 'PAID' }],
    ['that is an adjustment', { category: 'ADJUSTMENT' }, { category: 'PAID' }],
    [
      'that is unpaid, although it is newer',
      { category: 'PROMOTIONAL', grantId: 9n },
      { category: 'PAID', grantId: 1n },
    ],
    ['that is older', { grantId: 9n }, { grantId: 10n }],
    [
      'that is older, if both are unpaid, whatever their categories',
      { category: 'PROMOTIONAL', grantId: 1n },
      { category: 'ALLOWANCE', grantId: 2n },
    ],
    [
      'that is older, whatever its amount and effective_at',
      { grantId: 1n, amount: 1n, effectiveAt: START + 5 },
      { grantId: 2n, amount: 9n, effectiveAt: START },
    ],
  ])('%s', (_, first, second) => {
    const a = grant(1n, first);
    const b = grant(2n, second);
    expect(compareBurnOrder(a, b)).toBeLessThan(0);
    expect(compareBurnOrder(b, a)).toBeGreaterThan(0);
  });
});

/** Few values per criterion, so that ties are common. */
const criteria = fc.record({
  priority: fc.integer({ min: 49, max: 51 }),
  expiresAt: fc.constantFrom(null, soon, late),
  category: fc.constantFrom('PAID' as const, 'PROMOTIONAL' as const, 'ALLOWANCE' as const),
});
const grants = fc
  .array(criteria, { minLength: 2, maxLength: 12 })
  .map((all) => all.map((one, index) => grant(BigInt(index + 1), one)));

describe('burn order', () => {
  test('is total: of any two grants exactly one burns first', () => {
    fc.assert(
      fc.property(grants, ([a, b]) => {
        expect(Math.sign(compareBurnOrder(a!, b!))).toBe(-Math.sign(compareBurnOrder(b!, a!)));
        expect(compareBurnOrder(a!, b!)).not.toBe(0);
      }),
    );
  });

  test('is transitive', () => {
    fc.assert(
      fc.property(criteria, criteria, criteria, (one, two, three) => {
        const [a, b, c] = [grant(1n, one), grant(2n, two), grant(3n, three)].sort(compareBurnOrder);
        expect(compareBurnOrder(a!, b!)).toBeLessThan(0);
        expect(compareBurnOrder(b!, c!)).toBeLessThan(0);
        expect(compareBurnOrder(a!, c!)).toBeLessThan(0);
      }),
    );
  });

  test('does not depend on the order in which grants were loaded', () => {
    const shuffled = grants.chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([all, again]) => {
        expect(book(again).grants).toEqual(book(all).grants);
      }),
    );
  });

  test('is kept when grants are added one by one', () => {
    fc.assert(
      fc.property(grants, (all) => {
        const added = book([]);
        for (const { accountId, grantId, createdAt, remaining, reserved, ...rest } of all)
          added.addGrant(rest);
        const order = all.toSorted(compareBurnOrder).map(({ grantId }) => grantId);
        expect(added.grants.map(({ grantId }) => grantId)).toEqual(order);
      }),
    );
  });
});
