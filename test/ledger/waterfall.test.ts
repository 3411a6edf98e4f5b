/** Compares the maximum-flow assignment with the minimum cut, which is computed without searching paths. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { allocate, previewAllocation } from '../../src/ledger/allocation/allocate.ts';
import { OVERAGE } from '../../src/ledger/allocation/allocation.ts';
import {
  canPay,
  type Demand,
  demandsByOperation,
  flowTo,
  toSource,
  Waterfall,
} from '../../src/ledger/allocation/waterfall.ts';
import { priceAmount } from '../../src/ledger/requested-amount.ts';
import { account, book, grant, plan, postpaid, usagesOf } from './fixtures.ts';

/** A source before it is assigned. */
type SourceSpec = { readonly operations: readonly string[]; readonly credits: bigint };

const operations = fc.subarray(['a', 'b', 'c', 'd']);
const sources: fc.Arbitrary<readonly SourceSpec[]> = fc.array(
  fc.record({ operations, credits: fc.bigInt(0n, 9n) }),
  { maxLength: 7 },
);
const demands: fc.Arbitrary<readonly Demand[]> = fc
  .record({ named: operations, credits: fc.array(fc.bigInt(0n, 12n), { minLength: 4 }) })
  .map(({ named, credits }) =>
    named.map((operation, index) => ({ operation, credits: credits[index] ?? 0n })),
  );
const anyDemands = fc.oneof(
  { weight: 6, arbitrary: demands },
  { weight: 1, arbitrary: fc.bigInt(0n, 20n).map((credits) => [{ operation: null, credits }]) },
);

const sum = (credits: readonly bigint[]): bigint => credits.reduce((a, b) => a + b, 0n);
const smallest = (...credits: readonly bigint[]): bigint =>
  credits.reduce((a, b) => (a < b ? a : b));

/**
 * The most that these sources can pay of these demands, up to `limit`, by the minimum cut: for every
 * set of demands, the cost of the set plus the credits of all sources that can pay a demand outside it.
 */
function maxFlow(all: readonly SourceSpec[], wanted: readonly Demand[], limit: bigint): bigint {
  const cuts = Array.from({ length: 2 ** wanted.length }, (_, set) => {
    const inside = wanted.filter((_, index) => (set >> index) & 1);
    const outside = wanted.filter((_, index) => !((set >> index) & 1));
    const crossing = all.filter((source) =>
      outside.some(({ operation }) => canPay(source, operation)),
    );
    return sum(inside.map(({ credits }) => credits)) + sum(crossing.map(({ credits }) => credits));
  });
  return smallest(...cuts, limit);
}

function assign(all: readonly SourceSpec[], wanted: readonly Demand[], limit: bigint) {
  const waterfall = new Waterfall();
  waterfall.addDemands(wanted, limit);
  const assigned = all.map(({ operations, credits }) => toSource(operations, credits));
  const paid = assigned.map((source) => waterfall.assign(source));
  return { waterfall, assigned, paid };
}

describe('a waterfall', () => {
  test('pays the maximum, and each source in order pays the most that is still possible', () => {
    fc.assert(
      fc.property(sources, anyDemands, fc.bigInt(0n, 40n), (all, wanted, limit) => {
        const { paid, waterfall } = assign(all, wanted, limit);
        const upTo = (count: number) => maxFlow(all.slice(0, count), wanted, limit);
        expect(paid).toEqual(all.map((_, index) => upTo(index + 1) - upTo(index)));
        const total = smallest(limit, sum(wanted.map(({ credits }) => credits)));
        expect(waterfall.unmet).toBe(total - sum(paid));
      }),
      { numRuns: 2_000 },
    );
  });

  test('no source pays more than it has or for other operations, and no demand is overpaid', () => {
    fc.assert(
      fc.property(sources, anyDemands, fc.bigInt(0n, 40n), (all, wanted, limit) => {
        const { assigned } = assign(all, wanted, limit);
        for (const [index, source] of assigned.entries()) {
          const paid = sum(source.flows.map((credits) => credits ?? 0n));
          expect(paid + source.remaining).toBe(all[index]?.credits);
          for (const [demand, { operation }] of wanted.entries()) {
            expect(flowTo(source, demand)).toBeGreaterThanOrEqual(0n);
            if (flowTo(source, demand) > 0n) expect(canPay(source, operation)).toBe(true);
          }
        }
        for (const [demand, { credits }] of wanted.entries())
          expect(sum(assigned.map((source) => flowTo(source, demand)))).toBeLessThanOrEqual(
            credits,
          );
      }),
      { numRuns: 1_000 },
    );
  });

  test('demands added later are paid to the maximum, and earlier ones stay paid', () => {
    fc.assert(
      fc.property(sources, demands, demands, (all, first, second) => {
        const { waterfall, assigned } = assign(all, first, 1_000n);
        const paid = (from: number, until: number) =>
          sum(assigned.flatMap(({ flows }) => flows.slice(from, until).map((flow) => flow ?? 0n)));
        const before = paid(0, first.length);
        waterfall.addDemands(second);
        for (const source of assigned) waterfall.assign(source);
        expect(paid(0, first.length)).toBe(before);
        const both = [...first, ...second];
        expect(paid(0, both.length)).toBe(maxFlow(all, both, 1_000n));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('allocating from grants of which some are limited', () => {
  const limited = (grantId: bigint, amount: bigint, ...operations: string[]) =>
    grant(grantId, { amount, operations });
  const allocated = (
    grants: Parameters<typeof book>[0],
    credits: Parameters<typeof usagesOf>[0] | bigint,
  ) => {
    const testBook = book(grants);
    const amount = typeof credits === 'bigint' ? { credits } : usagesOf(credits);
    const priced = priceAmount(testBook, amount, { planId: 'test', rateCardVersion: 1 });
    if (priced instanceof Failure) throw new Error(priced.message);
    const result = allocate(testBook, priced.credits, priced.lines);
    if (!(result instanceof Failure)) return result.map((a) => `g${a.grantId} ${a.credits}`).join();
    const { required, available, shortfall } = result.metadata;
    return `${result.reason} ${required} ${available} ${shortfall}`;
  };

  test.each<[string, Parameters<typeof allocated>[0], Parameters<typeof allocated>[1], string]>([
    [
      'a limited grant pays for its operation',
      [limited(1n, 9n, 'a'), grant(2n)],
      { a: 5n },
      'g1 5',
    ],
    [
      'a limited grant does not pay for another operation',
      [limited(1n, 9n, 'a'), grant(2n)],
      { b: 5n },
      'g2 5',
    ],
    [
      'a limited grant does not pay an amount without usages',
      [limited(1n, 9n, 'a'), grant(2n)],
      5n,
      'g2 5',
    ],
    [
      'grants pay in burn order where all may pay',
      [grant(1n, { amount: 3n }), limited(2n, 9n, 'a')],
      { a: 5n },
      'g1 3,g2 2',
    ],
    [
      'the first grant pays for the operation that the other may not pay for',
      [grant(1n, { amount: 5n }), limited(2n, 5n, 'a')],
      { a: 5n, b: 5n },
      'g1 5,g2 5',
    ],
    [
      'the only assignment that pays everything is found',
      [
        limited(1n, 4n, 'a', 'b'),
        limited(2n, 4n, 'b', 'c'),
        limited(3n, 4n, 'a'),
        limited(4n, 4n, 'b'),
      ],
      { a: 4n, b: 8n, c: 4n },
      'g1 4,g2 4,g3 4,g4 4',
    ],
    [
      'a failure says how much of these usages could be paid',
      [limited(1n, 9n, 'a'), grant(2n, { amount: 3n })],
      { a: 4n, b: 6n },
      'INSUFFICIENT_CREDITS 10 7 3',
    ],
    [
      'a failure says how much of an amount without usages could be paid',
      [limited(1n, 9n, 'a'), grant(2n, { amount: 3n })],
      4n,
      'INSUFFICIENT_CREDITS 4 3 1',
    ],
    ['an amount of 0 needs no grant', [limited(1n, 9n, 'a')], 0n, ''],
  ])('%s', (_, grants, credits, expected) => {
    expect(allocated(grants, credits)).toBe(expected);
  });

  test('reserved, scheduled and expired credits never pay', () => {
    const grants = [
      grant(1n, { operations: ['a'], reserved: 100n }),
      grant(2n, { operations: ['a'], state: 'SCHEDULED', remaining: 0n }),
      grant(3n, { operations: ['a'], expiresAt: 0 }),
    ];
    expect(allocated(grants, { a: 1n })).toBe('INSUFFICIENT_CREDITS 1 0 1');
  });

  test('grants and then overage pay the maximum flow, and an estimate agrees', () => {
    const grants = fc.array(
      fc.record({
        operations: fc.subarray(['a', 'b', 'c']),
        amount: fc.bigInt(1n, 9n),
        priority: fc.integer({ min: 49, max: 51 }),
      }),
      { maxLength: 6 },
    );
    const usages = fc.record({ a: fc.nat(9), b: fc.nat(9), c: fc.nat(9) }).map((costs) =>
      Object.fromEntries(
        Object.entries(costs)
          .filter(([, credits]) => credits > 0)
          .map(([name, credits]) => [name, BigInt(credits)]),
      ),
    );
    fc.assert(
      fc.property(grants, usages, fc.bigInt(0n, 9n), (all, wanted, limit) => {
        const testBook = book(
          all.map((change, index) => grant(BigInt(index + 1), change)),
          {
            plan: plan(limit > 0n ? postpaid(limit) : {}),
            account: account({ overageLimit: limit }),
          },
        );
        const priced = priceAmount(testBook, usagesOf(wanted), {
          planId: 'test',
          rateCardVersion: 1,
        });
        if (priced instanceof Failure) throw new Error(priced.message);
        const demands = demandsByOperation(priced.lines);
        const sources = [
          ...testBook.grants.map(({ operations, amount }) => ({ operations, credits: amount })),
          { operations: [], credits: limit },
        ];
        const upTo = (count: number) => maxFlow(sources.slice(0, count), demands, priced.credits);
        const payable = upTo(sources.length);
        const result = allocate(testBook, priced.credits, priced.lines);
        const preview = previewAllocation(testBook, priced.credits, priced.lines);
        expect(preview.shortfall).toBe(priced.credits - payable);
        if (result instanceof Failure) {
          expect(payable).toBeLessThan(priced.credits);
          expect(result.metadata['available']).toBe(String(payable));
          expect(result.metadata['shortfall']).toBe(String(preview.shortfall));
          expect(preview.available).toBe(payable);
          return;
        }
        expect(payable).toBe(priced.credits);
        const usable = sources.filter(
          (source) => canPay(source, null) || demands.some((d) => canPay(source, d.operation)),
        );
        expect(preview.available).toBe(sum(usable.map(({ credits }) => credits)));
        const grantIds = [...testBook.grants.map(({ grantId }) => grantId), OVERAGE];
        const expected = grantIds
          .map((grantId, index) => ({ grantId, credits: upTo(index + 1) - upTo(index) }))
          .filter(({ credits }) => credits > 0n);
        expect(result).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
