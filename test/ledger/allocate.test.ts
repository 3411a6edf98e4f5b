import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { allocate, headroom } from '../../src/ledger/allocation/allocate.ts';
import type { Grant } from '../../src/ledger/grant.ts';
import { OVERAGE, totalCredits } from '../../src/ledger/reservation.ts';
import { account, at, book, grant, pack, picture, plan, postpaid, START } from './fixtures.ts';

const taken = (grants: readonly Grant[], credits: bigint) => {
  const drawn = allocate(book(grants), credits);
  return drawn instanceof Failure ? drawn.reason : drawn.map((a) => [a.grantId, a.credits]);
};

/** What a postpaid account with 100 in a grant, and so much overage already, draws from. */
const onOverage = (credits: bigint, overage = 0n, overageReserved = 0n) =>
  allocate(
    book([grant(1n)], {
      plan: plan(postpaid(50n)),
      account: account({ remaining: 100n, overage, overageReserved, overageLimit: 50n }),
    }),
    credits,
  );

describe('a draw', () => {
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
  ])('of %s from grants of 10, 20 and 30 takes %o', (credits, split) => {
    const grants = [
      grant(1n, { amount: 10n }),
      grant(2n, { amount: 20n }),
      grant(3n, { amount: 30n }),
    ];
    expect(taken(grants, credits)).toEqual(split);
  });

  test('goes through the grants in burn order', () => {
    const grants = [
      grant(1n, { amount: 10n }),
      grant(2n, { amount: 10n, expiresAt: at('2d') }),
      grant(3n, { amount: 10n, expiresAt: at('1d') }),
    ];
    expect(taken(grants, 25n)).toEqual([
      [3n, 10n],
      [2n, 10n],
      [1n, 5n],
    ]);
  });

  test.each<[string, Partial<Grant>]>([
    ['are reserved', { reserved: 100n }],
    ['are not effective yet', { state: 'SCHEDULED', remaining: 0n, effectiveAt: at('1d') }],
    ['expired', { expiresAt: START - 1 }],
    ['expire at this very moment', { expiresAt: START }],
    ['are spent', { state: 'SPENT', remaining: 0n }],
  ])('leaves credits that %s alone', (_, change) => {
    expect(taken([grant(1n, { priority: 0, ...change }), grant(2n)], 10n)).toEqual([[2n, 10n]]);
    expect(taken([grant(1n, change)], 1n)).toBe('INSUFFICIENT_CREDITS');
  });

  test('takes what is not reserved of a grant, and what expires in a millisecond', () => {
    expect(taken([grant(1n, { reserved: 60n })], 40n)).toEqual([[1n, 40n]]);
    expect(taken([grant(1n, { reserved: 60n })], 41n)).toBe('INSUFFICIENT_CREDITS');
    expect(taken([grant(1n, { expiresAt: START + 1 })], 1n)).toEqual([[1n, 1n]]);
  });

  test('goes to overage only for what no grant covers', () => {
    expect(onOverage(100n)).toEqual([{ grantId: 1n, credits: 100n }]);
    expect(onOverage(150n)).toEqual([
      { grantId: 1n, credits: 100n },
      { grantId: OVERAGE, credits: 50n },
    ]);
  });

  test('changes nothing', () => {
    const drawn = book([grant(1n), grant(2n)]);
    const before = picture(drawn);
    allocate(drawn, 150n);
    allocate(drawn, 999n);
    expect(picture(drawn)).toEqual(before);
  });

  test('of any amount takes exactly that, of no grant more than it can give, or fails for the rest', () => {
    const grants = fc
      .array(fc.record({ amount: fc.bigInt(1n, 20n), kept: fc.bigInt(0n, 20n) }), { maxLength: 6 })
      .map((all) =>
        all.map(({ amount, kept }, index) =>
          grant(BigInt(index + 1), { amount, reserved: kept < amount ? kept : amount }),
        ),
      );
    fc.assert(
      fc.property(grants, fc.bigInt(0n, 100n), (all, credits) => {
        const available = all.reduce(
          (sum, { remaining, reserved }) => sum + remaining - reserved,
          0n,
        );
        const drawn = allocate(book(all), credits);
        if (drawn instanceof Failure) {
          expect(credits).toBeGreaterThan(available);
          expect(drawn.metadata['shortfall']).toBe(String(credits - available));
          return;
        }
        expect(totalCredits(drawn)).toBe(credits);
        expect(new Set(drawn.map(({ grantId }) => grantId)).size).toBe(drawn.length);
        for (const { grantId, credits: part } of drawn) {
          const { remaining, reserved } = all[Number(grantId) - 1]!;
          expect(part).toBeGreaterThan(0n);
          expect(part).toBeLessThanOrEqual(remaining - reserved);
        }
      }),
    );
  });
});

describe('a draw that fails', () => {
  test('says what is required, available and missing, and which packs would cover it', () => {
    const packs = [pack('small', 20n, '5.00'), pack('large', 100n, '12.00')];
    const failure = allocate(book([grant(1n, { amount: 20n })], { plan: plan({}, packs) }), 80n);
    expect(failure).toMatchObject({
      reason: 'INSUFFICIENT_CREDITS',
      metadata: { required: '80', available: '20', shortfall: '60', packs: 'large, small x3' },
      message:
        '80 credits are required, 20 are available: 60 are missing; packs that would cover it: large, small x3',
    });
  });

  test('names no packs where the plan sells none', () => {
    const failure = allocate(book([grant(1n, { amount: 20n })]), 80n);
    expect(failure).toMatchObject({
      metadata: { required: '80', available: '20', shortfall: '60', packs: '' },
      message: '80 credits are required, 20 are available: 60 are missing',
    });
  });

  test('counts neither reserved, scheduled nor expired credits as available', () => {
    const grants = [
      grant(1n, { reserved: 90n }),
      grant(2n, { state: 'SCHEDULED', remaining: 0n, effectiveAt: at('1d') }),
      grant(3n, { expiresAt: START }),
    ];
    expect(allocate(book(grants), 50n)).toMatchObject({
      metadata: { required: '50', available: '10', shortfall: '40' },
    });
  });

  test('says on a postpaid plan that the overage limit is reached', () => {
    expect(onOverage(151n)).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '151', available: '150', shortfall: '1', limit: '50' },
    });
  });

  test('counts used and reserved overage against the limit', () => {
    expect(onOverage(120n, 20n, 10n)).toHaveLength(2);
    expect(onOverage(121n, 20n, 10n)).toMatchObject({
      reason: 'OVERAGE_LIMIT_REACHED',
      metadata: { required: '121', available: '120', shortfall: '1', limit: '50' },
    });
  });
});

test('headroom is what grants and the postpaid line can give now', () => {
  const grants = [
    grant(1n, { reserved: 90n }),
    grant(2n, { state: 'SCHEDULED', remaining: 0n, effectiveAt: at('1d') }),
    grant(3n, { expiresAt: START }),
    grant(4n, { amount: 7n }),
  ];
  expect(headroom(book(grants))).toEqual({ grants: 17n, overage: 0n });
  const used = account({ overageLimit: 50n, overage: 20n, overageReserved: 5n });
  const postpaidBook = book([], { plan: plan(postpaid(50n)), account: used });
  expect(headroom(postpaidBook)).toEqual({ grants: 0n, overage: 25n });
});
