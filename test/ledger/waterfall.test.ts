/** The waterfall against an oracle that never looks for a way: the smallest cut says what can be paid. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { allocate, previewAllocation } from '../../src/ledger/allocation/allocate.ts';
import {
  canPay,
  type Demand,
  demandsByOperation,
  toSource,
  Waterfall,
} from '../../src/ledger/allocation/waterfall.ts';
import { priceAmount } from '../../src/ledger/requested-amount.ts';
import { OVERAGE } from '../../src/ledger/reservation.ts';
import { account, book, grant, plan, postpaid, usagesOf } from './fixtures.ts';

type Source = { readonly operations: readonly string[]; readonly credits: bigint };

const operations = fc.subarray(['a', 'b', 'c', 'd']);
const sources: fc.Arbitrary<readonly Source[]> = fc.array(
  fc.record({ operations, credits: fc.bigInt(0n, 9n) }),
  { maxLength: 7 },
);
const demands: fc.Arbitrary<readonly Demand[]> = fc
  .record({ named: operations, credits: fc.array(fc.bigInt(0n, 12n), { minLength: 4 }) })
  .map(({ named, credits }) =>
    named.map((operation, place) => ({ operation, credits: credits[place] ?? 0n })),
  );
const wishes = fc.oneof(
  { weight: 6, arbitrary: demands },
  { weight: 1, arbitrary: fc.bigInt(0n, 20n).map((credits) => [{ operation: null, credits }]) },
);

const sum = (credits: readonly bigint[]): bigint => credits.reduce((a, b) => a + b, 0n);
const least = (...credits: readonly bigint[]): bigint => credits.reduce((a, b) => (a < b ? a : b));

/**
 * The most these sources can pay: for every set of demands, what the set costs and what the sources
 * that reach beyond it could give; the least of these.
 */
function mostPaid(all: readonly Source[], wanted: readonly Demand[], atMost: bigint): bigint {
  const cuts = Array.from({ length: 2 ** wanted.length }, (_, set) => {
    const within = wanted.filter((_, place) => (set >> place) & 1);
    const beyond = wanted.filter((_, place) => !((set >> place) & 1));
    const reaching = all.filter((source) =>
      beyond.some(({ operation }) => canPay(source, operation)),
    );
    return sum(within.map(({ credits }) => credits)) + sum(reaching.map(({ credits }) => credits));
  });
  return least(...cuts, atMost);
}

function poured(all: readonly Source[], wanted: readonly Demand[], atMost: bigint) {
  const waterfall = new Waterfall();
  waterfall.addDemands(wanted, atMost);
  const supplies = all.map((source) => toSource(source.operations, source.credits));
  const given = supplies.map((supply) => waterfall.addSource(supply));
  return { waterfall, supplies, given };
}

describe('a waterfall', () => {
  test('pays all that can be paid, and of each source in turn as much as can be', () => {
    fc.assert(
      fc.property(sources, wishes, fc.bigInt(0n, 40n), (all, wanted, atMost) => {
        const { given, waterfall } = poured(all, wanted, atMost);
        const upTo = (count: number) => mostPaid(all.slice(0, count), wanted, atMost);
        expect(given).toEqual(all.map((_, index) => upTo(index + 1) - upTo(index)));
        const total = least(atMost, sum(wanted.map(({ credits }) => credits)));
        expect(waterfall.unmet).toBe(total - sum(given));
      }),
      { numRuns: 2_000 },
    );
  });

  test('has nobody give more than it has, or for what it may not, and pays nothing twice', () => {
    fc.assert(
      fc.property(sources, wishes, fc.bigInt(0n, 40n), (all, wanted, atMost) => {
        const { supplies } = poured(all, wanted, atMost);
        for (const [index, supply] of supplies.entries()) {
          const gives = sum(supply.flows.map((credits) => credits ?? 0n));
          expect(gives + supply.remaining).toBe(all[index]?.credits);
          for (const [place, credits] of supply.flows.entries()) {
            expect(credits ?? 0n).toBeGreaterThanOrEqual(0n);
            if ((credits ?? 0n) > 0n)
              expect(canPay(supply, wanted[place]?.operation ?? null)).toBe(true);
          }
        }
        for (const [place, { credits }] of wanted.entries())
          expect(sum(supplies.map(({ flows }) => flows[place] ?? 0n))).toBeLessThanOrEqual(credits);
      }),
      { numRuns: 1_000 },
    );
  });

  test('that is wanted more of keeps what it paid before, and pays the most of both', () => {
    fc.assert(
      fc.property(sources, demands, demands, (all, first, second) => {
        const { waterfall, supplies } = poured(all, first, 1_000n);
        const paid = (from: number, until: number) =>
          sum(supplies.flatMap(({ flows }) => flows.slice(from, until).map((some) => some ?? 0n)));
        const before = paid(0, first.length);
        waterfall.addDemands(second);
        for (const supply of supplies) waterfall.addSource(supply);
        expect(paid(0, first.length)).toBe(before);
        const both = [...first, ...second];
        expect(paid(0, both.length)).toBe(mostPaid(all, both, 1_000n));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a draw from grants of which some are limited', () => {
  const limited = (grantId: bigint, amount: bigint, ...operations: string[]) =>
    grant(grantId, { amount, operations });
  const takenFor = (
    grants: Parameters<typeof book>[0],
    credits: Parameters<typeof usagesOf>[0] | bigint,
  ) => {
    const of = book(grants);
    const asked = typeof credits === 'bigint' ? { credits } : usagesOf(credits);
    const priced = priceAmount(of, asked, { planId: 'test', rateCardVersion: 1 });
    if (priced instanceof Failure) throw new Error(priced.message);
    const drawn = allocate(of, priced.credits, priced.lines);
    if (!(drawn instanceof Failure)) return drawn.map((a) => `g${a.grantId} ${a.credits}`).join();
    const { required, available, shortfall } = drawn.metadata;
    return `${drawn.reason} ${required} ${available} ${shortfall}`;
  };

  test.each<[string, Parameters<typeof takenFor>[0], Parameters<typeof takenFor>[1], string]>([
    ['takes a grant for its operation', [limited(1n, 9n, 'a'), grant(2n)], { a: 5n }, 'g1 5'],
    ['leaves it alone for another', [limited(1n, 9n, 'a'), grant(2n)], { b: 5n }, 'g2 5'],
    ['leaves it alone for credits alone', [limited(1n, 9n, 'a'), grant(2n)], 5n, 'g2 5'],
    [
      'keeps the burn order where all may pay',
      [grant(1n, { amount: 3n }), limited(2n, 9n, 'a')],
      { a: 5n },
      'g1 3,g2 2',
    ],
    [
      'has what burns first pay what others may not',
      [grant(1n, { amount: 5n }), limited(2n, 5n, 'a')],
      { a: 5n, b: 5n },
      'g1 5,g2 5',
    ],
    [
      'finds the one way there is through many',
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
      'says what could be paid of these usages',
      [limited(1n, 9n, 'a'), grant(2n, { amount: 3n })],
      { a: 4n, b: 6n },
      'INSUFFICIENT_CREDITS 10 7 3',
    ],
    [
      'says what could be paid of credits alone',
      [limited(1n, 9n, 'a'), grant(2n, { amount: 3n })],
      4n,
      'INSUFFICIENT_CREDITS 4 3 1',
    ],
    ['of nothing takes nothing', [limited(1n, 9n, 'a')], 0n, ''],
  ])('%s', (_, grants, credits, taken) => {
    expect(takenFor(grants, credits)).toBe(taken);
  });

  test('never takes one that is reserved, scheduled or expired', () => {
    const grants = [
      grant(1n, { operations: ['a'], reserved: 100n }),
      grant(2n, { operations: ['a'], state: 'SCHEDULED', remaining: 0n }),
      grant(3n, { operations: ['a'], expiresAt: 0 }),
    ];
    expect(takenFor(grants, { a: 1n })).toBe('INSUFFICIENT_CREDITS 1 0 1');
  });

  test('takes of grants and then of overage what the oracle says, and an estimate says the same', () => {
    const grants = fc.array(
      fc.record({
        operations: fc.subarray(['a', 'b', 'c']),
        amount: fc.bigInt(1n, 9n),
        priority: fc.integer({ min: 49, max: 51 }),
      }),
      { maxLength: 6 },
    );
    const asked = fc.record({ a: fc.nat(9), b: fc.nat(9), c: fc.nat(9) }).map((of) =>
      Object.fromEntries(
        Object.entries(of)
          .filter(([, credits]) => credits > 0)
          .map(([name, credits]) => [name, BigInt(credits)]),
      ),
    );
    fc.assert(
      fc.property(grants, asked, fc.bigInt(0n, 9n), (all, wanted, limit) => {
        const of = book(
          all.map((change, index) => grant(BigInt(index + 1), change)),
          {
            plan: plan(limit > 0n ? postpaid(limit) : {}),
            account: account({ overageLimit: limit }),
          },
        );
        const priced = priceAmount(of, usagesOf(wanted), {
          planId: 'test',
          rateCardVersion: 1,
        });
        if (priced instanceof Failure) throw new Error(priced.message);
        const demands = demandsByOperation(priced.lines);
        const sources = [
          ...of.grants.map(({ operations, amount }) => ({ operations, credits: amount })),
          { operations: [], credits: limit },
        ];
        const upTo = (count: number) => mostPaid(sources.slice(0, count), demands, priced.credits);
        const payable = upTo(sources.length);
        const drawn = allocate(of, priced.credits, priced.lines);
        const said = previewAllocation(of, priced.credits, priced.lines);
        expect(said.shortfall).toBe(priced.credits - payable);
        if (drawn instanceof Failure) {
          expect(payable).toBeLessThan(priced.credits);
          expect(drawn.metadata['available']).toBe(String(payable));
          expect(drawn.metadata['shortfall']).toBe(String(said.shortfall));
          expect(said.available).toBe(payable);
          return;
        }
        expect(payable).toBe(priced.credits);
        const useful = sources.filter(
          (source) => canPay(source, null) || demands.some((d) => canPay(source, d.operation)),
        );
        expect(said.available).toBe(sum(useful.map(({ credits }) => credits)));
        const names = [...of.grants.map(({ grantId }) => grantId), OVERAGE];
        const expected = names
          .map((grantId, index) => ({ grantId, credits: upTo(index + 1) - upTo(index) }))
          .filter(({ credits }) => credits > 0n);
        expect(drawn).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
