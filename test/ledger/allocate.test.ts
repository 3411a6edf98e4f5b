/** Choosing which grants pay for an amount, without limited grants. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { allocate, headroom } from '../../src/ledger/allocation/allocate.ts';
import { OVERAGE, totalCredits } from '../../src/ledger/allocation/allocation.ts';
import { PackFailure } from '../../src/ledger/failures.ts';
import type { Grant } from '../../src/ledger/grant.ts';
import type { Pack, Terms } from '../../src/pricing/plan.ts';
import { account, at, book, grant, pack, plan, postpaid, START, snapshotOf } from './fixtures.ts';

const allocated = (grants: readonly Grant[], credits: bigint) => {
  const result = allocate(book(grants), credits);
  return result instanceof Failure ? result.reason : result.map((a) => [a.grantId, a.credits]);
};

/** Allocates from a postpaid account with a grant of 100, an overage limit of 50 and this overage. */
const allocatePostpaid = (credits: bigint, overage = 0n, overageReserved = 0n) =>
  allocate(
    book([grant(1n)], {
      plan: plan(postpaid(50n)),
      account: account({ remaining: 100n, overage, overageReserved, overageLimit: 50n }),
    }),
    credits,
  );

describe('an allocation', () => {
  test.each([
    [0n, []],
    [1n, [[1n, 1n]]],
    [10n, [[1n, 10n]]],
    [
      11n,
      [
        [1n, 10n],
        [2n, 1n],
      ],
    ],
    [
      60n,
      [
        [1n, 10n],
        [2n, 20n],
        [3n, 30n],
      ],
    ],
    [61n, 'INSUFFICIENT_CREDITS'],
  ])('of %s from grants of 10, 20 and 30 is %o', (credits, split) => {
    const grants = [
      grant(1n, { amount: 10n }),
      grant(2n, { amount: 20n }),
      grant(3n, { amount: 30n }),
    ];
    expect(allocated(grants, credits)).toEqual(split);
  });

  test('uses the grants in burn order', () => {
    const grants = [
      grant(1n, { amount: 10n }),
      grant(2n, { amount: 10n, expiresAt: at('2d') }),
      grant(3n, { amount: 10n, expiresAt: at('1d') }),
    ];
    expect(allocated(grants, 25n)).toEqual([
      [3n, 10n],
      [2n, 10n],
      [1n, 5n],
    ]);
  });

  test.each<[string, Partial<Grant>]>([
    ['are reserved', { reserved: 100n }],
    ['are not effective yet', { state: 'SCHEDULED', remaining: 0n, effectiveAt: at('1d') }],
    // Settling takes away what is available of an expired grant.
    ['have expired', { expiresAt: START - 1, remaining: 40n, reserved: 40n }],
    ['expire at this very moment', { expiresAt: START, remaining: 40n, reserved: 40n }],
    ['are spent', { state: 'SPENT', remaining: 0n }],
  ])('does not use credits that %s', (_, change) => {
    expect(allocated([grant(1n, { priority: 0, ...change }), grant(2n)], 10n)).toEqual([[2n, 10n]]);
    expect(allocated([grant(1n, change)], 1n)).toBe('INSUFFICIENT_CREDITS');
  });

  test('uses what is not reserved of a grant, and what expires in a millisecond', () => {
    expect(allocated([grant(1n, { reserved: 60n })], 40n)).toEqual([[1n, 40n]]);
    expect(allocated([grant(1n, { reserved: 60n })], 41n)).toBe('INSUFFICIENT_CREDITS');
    expect(allocated([grant(1n, { expiresAt: START + 1 })], 1n)).toEqual([[1n, 1n]]);
  });

  test('uses overage only for what no grant covers', () => {
    expect(allocatePostpaid(100n)).toEqual([{ grantId: 1n, credits: 100n }]);
    expect(allocatePostpaid(150n)).toEqual([
      { grantId: 1n, credits: 100n },
      { grantId: OVERAGE, credits: 50n },
    ]);
  });

  test('changes nothing in the book', () => {
    const unchanged = book([grant(1n), grant(2n)]);
    const before = snapshotOf(unchanged);
    allocate(unchanged, 150n);
    allocate(unchanged, 999n);
    expect(snapshotOf(unchanged)).toEqual(before);
  });

  test('adds up to the amount and uses no more of a grant than it has, or fails with the shortfall', () => {
    const grants = fc
      .array(fc.record({ amount: fc.bigInt(1n, 20n), reserved: fc.bigInt(0n, 20n) }), {
        maxLength: 6,
      })
      .map((all) =>
        all.map(({ amount, reserved }, index) =>
          grant(BigInt(index + 1), { amount, reserved: reserved < amount ? reserved : amount }),
        ),
      );
    fc.assert(
      fc.property(grants, fc.bigInt(0n, 100n), (all, credits) => {
        const available = all.reduce(
          (sum, { remaining, reserved }) => sum + remaining - reserved,
          0n,
        );
        const result = allocate(book(all), credits);
        if (result instanceof Failure) {
          expect(credits).toBeGreaterThan(available);
          expect(result.metadata['shortfall']).toBe(String(credits - available));
          return;
        }
        expect(totalCredits(result)).toBe(credits);
        expect(new Set(result.map(({ grantId }) => grantId)).size).toBe(result.length);
        for (const { grantId, credits: part } of result) {
          const { remaining, reserved } = all[Number(grantId) - 1]!;
          expect(part).toBeGreaterThan(0n);
          expect(part).toBeLessThanOrEqual(remaining - reserved);
        }
      }),
    );
  });
});

describe('an allocation that fails', () => {
  const failing = (packs: readonly Pack[], terms: Partial<Terms> = {}) => {
    const grants = [grant(1n, { amount: 20n })];
    const failure = allocate(book(grants, { plan: plan(terms, packs) }), 80n);
    return failure instanceof PackFailure ? failure : expect.fail('it did not fail');
  };
  const offersOf = ({ offers }: PackFailure) =>
    offers?.packs.map(({ pack: { packId }, quantity }) => `${packId} x${quantity}`);

  test('says what is required, available and missing, and which packs would cover the shortfall', () => {
    const failure = failing([pack('small', 20n, '5.00'), pack('large', 100n, '12.00')]);
    expect(failure).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      message:
        '80 credits are required, 20 are available: 60 are missing; the best offer is pack large for 12.00 USD',
      offers: { required: 80n, available: 20n, shortfall: 60n },
    });
    expect(failure.metadata).toEqual({
      required: '80',
      available: '20',
      shortfall: '60',
      best_pack: 'large',
      best_quantity: '1',
      best_price: '12.00 USD',
    });
    expect(offersOf(failure)).toEqual(['large x1', 'small x3']);
  });

  test('offers the most credits first where prices are equal, then keeps the order of the plan', () => {
    const packs = [
      pack('a', 30n, '5.00'),
      pack('b', 70n, '10.00'),
      pack('c', 70n, '10.00'),
      pack('d', 20n, '3.00'),
    ];
    expect(offersOf(failing(packs))).toEqual(['d x3', 'b x1', 'c x1', 'a x2']);
  });

  test('says how many of the best pack are needed', () => {
    const failure = failing([pack('small', 20n, '4.00')]);
    expect(failure.metadata).toMatchObject({ best_quantity: '3', best_price: '12.00 USD' });
    expect(failure.message).toContain('the best offer is 3 of pack small for 12.00 USD');
  });

  test('offers packs of the account, too, once they are known', () => {
    const failure = failing([pack('large', 100n, '12.00')]);
    const custom = failure.withCustomPacks([pack('ours', 60n, '1.00')]);
    expect(offersOf(custom)).toEqual(['ours x1', 'large x1']);
    expect(custom.metadata).toMatchObject({ best_pack: 'ours', best_price: '1.00 USD' });
    expect(failure.withCustomPacks([])).toBe(failure);
  });

  test('offers no pack of the account whose id names a custom amount of the plan', () => {
    const rates = {
      mode: 'graduated' as const,
      ...{ currency: 'USD', tiers: [{ upTo: null, unitPrice: '0.5' }] },
    };
    const credits = { packId: 'ours', title: 'credit', min: 1n, max: 99n, rates, validity: null };
    const ofPlan = plan({}, [], [credits]);
    const failure = allocate(book([], { plan: ofPlan }), 80n);
    if (!(failure instanceof PackFailure)) return expect.fail('it did not fail');
    const { metadata } = failure.withCustomPacks([pack('ours', 80n, '1.00')]);
    expect(metadata).toMatchObject({ best_credits: '80', best_price: '40.00 USD' });
  });

  test('is on the plan it was decided on, whatever the account moves to before it is answered', () => {
    const overage = { limit: 10n, rates: null };
    const postpaid = book([], { plan: plan({ overage }, [pack('large', 100n, '12.00')]) });
    const failure = allocate(postpaid, 80n);
    postpaid.plan = plan({}, [pack('small', 90n, '1.00')]);
    const custom =
      failure instanceof PackFailure && failure.withCustomPacks([pack('ours', 9n, '7')]);
    expect(custom).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '80', available: '10', limit: '10', best_pack: 'large' },
    });
  });

  test('offers packs on a postpaid plan, too', () => {
    const failure = failing([pack('large', 100n, '12.00')], {
      overage: { limit: 10n, rates: null },
    });
    expect(failure.reason).toBe('OVERAGE_LIMIT_REACHED');
    expect(failure.metadata).toMatchObject({ shortfall: '50', limit: '10', best_pack: 'large' });
    expect(offersOf(failure)).toEqual(['large x1']);
  });

  test('names no pack where the plan sells none', () => {
    const failure = failing([]);
    expect(failure.metadata).toEqual({ required: '80', available: '20', shortfall: '60' });
    expect(failure.message).toBe('80 credits are required, 20 are available: 60 are missing');
    expect(offersOf(failure)).toEqual([]);
  });

  test('counts neither reserved, scheduled nor expired credits as available', () => {
    const grants = [
      grant(1n, { reserved: 90n }),
      grant(2n, { state: 'SCHEDULED', remaining: 0n, effectiveAt: at('1d') }),
      grant(3n, { expiresAt: START, remaining: 40n, reserved: 40n }),
    ];
    expect(allocate(book(grants), 50n)).toMatchObject({
      metadata: { required: '50', available: '10', shortfall: '40' },
    });
  });

  test('says on a postpaid plan that the overage limit is reached', () => {
    expect(allocatePostpaid(151n)).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '151', available: '150', shortfall: '1', limit: '50' },
    });
  });

  test('counts used and reserved overage against the limit', () => {
    expect(allocatePostpaid(120n, 20n, 10n)).toHaveLength(2);
    expect(allocatePostpaid(121n, 20n, 10n)).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '121', available: '120', shortfall: '1', limit: '50' },
    });
  });
});

test('headroom is what grants and overage can give now', () => {
  const grants = [
    grant(1n, { reserved: 90n }),
    grant(2n, { state: 'SCHEDULED', remaining: 0n, effectiveAt: at('1d') }),
    grant(3n, { expiresAt: START, remaining: 40n, reserved: 40n }),
    grant(4n, { amount: 7n }),
  ];
  expect(headroom(book(grants))).toEqual({ grants: 17n, overage: 0n });
  const used = account({ overageLimit: 50n, overage: 20n, overageReserved: 5n });
  const postpaidBook = book([], { plan: plan(postpaid(50n)), account: used });
  expect(headroom(postpaidBook)).toEqual({ grants: 0n, overage: 25n });
});
