/** What was charged once, priced on another rate card. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { reprice } from '../../src/preview/reprice.ts';
import { type PricedUsage, priceUsage } from '../../src/pricing/price.ts';
import { pages, rateCard } from '../ledger/fixtures.ts';

/** Pages at one credit each, as they were priced. */
const done = (...counts: readonly bigint[]): readonly PricedUsage[] =>
  counts.map((count) => {
    const [usage] = pages(count).usages;
    const line = priceUsage(rateCard(), usage!, '');
    if (line instanceof Failure) throw line;
    return line;
  });

const gone = { ...done(4n)[0]!, usage: { ...done(4n)[0]!.usage, operation: 'page.gone' } };
const free = { ...done(4n)[0]!, unitCredits: 0n, credits: 0n };
const REFUSED = { operation: 'page.gone', reason: 'UNKNOWN_OPERATION' };

describe('on a card of three credits a page', () => {
  test.each([
    ['usages cost what the card says', done(2n, 3n), 5n, 15n],
    ['half of it refunded: half of the price', done(4n), 2n, 6n],
    ['a third of an uneven price is rounded to the nearest credit', done(10n), 3n, 9n],
    ['a commit of no credits stays one', done(4n), 0n, 0n],
    ['a commit that drew more than was reserved is dearer in proportion', done(4n), 6n, 18n],
    ['what cost nothing costs what it says now', [free], 0n, 12n],
  ])('%s', (_, usages, credits, expected) => {
    expect(reprice(rateCard(2, 3n), { credits, usages })).toEqual({
      credits: expected,
      unnamed: 0n,
      refused: [],
    });
  });

  test.each([
    ['credits that name no usage', [], 7n],
    ['credits charged for what cost nothing', [free], 7n],
  ])('%s cost what they did', (_, usages, credits) => {
    expect(reprice(rateCard(2, 3n), { credits, usages })).toEqual({
      credits,
      unnamed: credits,
      refused: [],
    });
  });

  test('a usage without a price counts as not done, and its neighbours are priced', () => {
    const usages = [gone, ...done(2n)];
    expect(reprice(rateCard(2, 3n), { credits: 6n, usages })).toEqual({
      credits: 6n,
      unnamed: 0n,
      refused: [{ ...REFUSED, credits: 4n }],
    });
    expect(reprice(rateCard(2, 3n), { credits: 3n, usages })).toMatchObject({
      credits: 3n,
      refused: [{ ...REFUSED, credits: 2n }],
    });
  });

  test('halves are rounded up', () => {
    expect(reprice(rateCard(2, 3n), { credits: 1n, usages: done(2n) }).credits).toBe(3n);
    expect(reprice(rateCard(2, 1n), { credits: 1n, usages: done(2n) }).credits).toBe(1n);
    expect(reprice(rateCard(2, 5n), { credits: 1n, usages: done(2n, 2n) }).credits).toBe(5n);
    expect(reprice(rateCard(2, 3n), { credits: 3n, usages: done(2n) }).credits).toBe(9n);
  });
});

test('on the card it was charged on everything costs what it did', () => {
  const counts = fc.array(fc.bigInt(1n, 1_000n), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(counts, fc.bigInt(0n, 5_000n), (of, credits) => {
      const usages = done(...of);
      expect(reprice(rateCard(), { credits, usages }).credits).toBe(credits);
    }),
  );
});
