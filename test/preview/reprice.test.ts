/** Recorded charges, priced on another rate card. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { type PricedUsage, priceUsage } from '../../src/pricing/price.ts';
import { reprice } from '../../src/pricing/reprice.ts';
import { pages, rateCard } from '../ledger/fixtures.ts';

/** Usages of pages, priced at one credit a page. */
const priced = (...counts: readonly bigint[]): readonly PricedUsage[] =>
  counts.map((count) => {
    const [usage] = pages(count).usages;
    const line = priceUsage(rateCard(), usage!, '');
    if (line instanceof Failure) throw line;
    return line;
  });

const removed = {
  ...priced(4n)[0]!,
  usage: { ...priced(4n)[0]!.usage, operation: 'page.removed' },
};
const free = { ...priced(4n)[0]!, unitCredits: 0n, credits: 0n };
const REFUSED = { operation: 'page.removed', reason: 'UNKNOWN_OPERATION' };

describe('on a rate card with three credits a page', () => {
  test.each([
    ['usages cost what the rate card says', priced(2n, 3n), 5n, 15n],
    ['a charge of which half was refunded costs half of the new price', priced(4n), 2n, 6n],
    ['a part of the price is rounded to the nearest credit', priced(10n), 3n, 9n],
    ['a commit of 0 credits still costs 0', priced(4n), 0n, 0n],
    ['a commit of more than was reserved costs more in proportion', priced(4n), 6n, 18n],
    ['a usage that cost 0 costs the new price', [free], 0n, 12n],
  ])('%s', (_, usages, credits, expected) => {
    expect(reprice(rateCard(2, 3n), { credits, usages })).toEqual({
      credits: expected,
      unnamed: 0n,
      refused: [],
    });
  });

  test.each([
    ['credits charged without usages', [], 7n],
    ['credits charged for usages that cost 0', [free], 7n],
  ])('%s cost the same as before', (_, usages, credits) => {
    expect(reprice(rateCard(2, 3n), { credits, usages })).toEqual({
      credits,
      unnamed: credits,
      refused: [],
    });
  });

  test('a usage without a price counts as not done, and the other usages are priced', () => {
    const usages = [removed, ...priced(2n)];
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
    expect(reprice(rateCard(2, 3n), { credits: 1n, usages: priced(2n) }).credits).toBe(3n);
    expect(reprice(rateCard(2, 1n), { credits: 1n, usages: priced(2n) }).credits).toBe(1n);
    expect(reprice(rateCard(2, 5n), { credits: 1n, usages: priced(2n, 2n) }).credits).toBe(5n);
    expect(reprice(rateCard(2, 3n), { credits: 3n, usages: priced(2n) }).credits).toBe(9n);
  });
});

test('on the original rate card every charge costs the same as before', () => {
  const counts = fc.array(fc.bigInt(1n, 1_000n), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(counts, fc.bigInt(0n, 5_000n), (all, credits) => {
      const usages = priced(...all);
      expect(reprice(rateCard(), { credits, usages }).credits).toBe(credits);
    }),
  );
});
