import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { mapOf } from '../../src/map-of.ts';
import { knownValues, MAX_CREDITS } from '../../src/pricing/plan.ts';
import { priceUsage, priceUsages } from '../../src/pricing/price.ts';
import type { Usage } from '../../src/pricing/usage.ts';
import { EVERYTHING, planIn, usage } from './fixtures.ts';

const { rateCard } = planIn(EVERYTHING);

function priced(of: Usage) {
  const price = priceUsage(rateCard, of, 'usages[3]');
  if (price instanceof Failure) throw new Error(price.message);
  return price;
}

describe('a price is the sum of its components', () => {
  test.each<[string, Usage, bigint, readonly bigint[]]>([
    ['flat', usage('job.flat'), 7n, [7n]],
    ['flat and per page', usage('job.pages', { pages: 500n }), 1502n, [2n, 1500n]],
    ['the first tier, which costs 0', usage('job.tier', { size: 10n }), 0n, [0n]],
    ['the lower end of the second tier', usage('job.tier', { size: 11n }), 4n, [4n]],
    ['the upper end of the second tier', usage('job.tier', { size: 100n }), 4n, [4n]],
    ['the upper end of the last tier', usage('job.tier', { size: 300n }), 9n, [9n]],
    ['two attributes', usage('job.format', {}, { format: 'pdf', quality: 'final' }), 8n, [6n, 2n]],
    ['an unlisted value', usage('job.format', {}, { format: 'x', quality: 'draft' }), 4n, [4n, 0n]],
    ['an expression', usage('job.cel', { pages: 21n }, { mode: 'deep' }), 9n, [9n]],
    ['0 for an operation that is not billable', usage('job.free', { pages: 9n }), 0n, []],
  ])('%s', (_name, of, unitCredits, parts) => {
    const price = priced(of);
    expect(price.unitCredits).toBe(unitCredits);
    expect(price.components.map(({ credits }) => credits)).toEqual(parts);
  });

  test('each part has the label of its component', () => {
    const { components } = priced(usage('job.pages', { pages: 1n }));
    expect(components.map(({ label }) => label)).toEqual(['Base', 'Pages']);
  });

  test('a count of n costs n times as much, for every usage', () => {
    const anyUsage = fc.oneof(
      fc.bigInt(1n, 500n).map((pages) => usage('job.pages', { pages })),
      fc.bigInt(1n, 300n).map((size) => usage('job.tier', { size })),
      fc.bigInt(1n, 1000n).map((pages) => usage('job.cel', { pages }, { mode: 'deep' })),
      fc
        .string({ minLength: 1 })
        .map((format) => usage('job.format', {}, { format, quality: 'final' })),
    );
    fc.assert(
      fc.property(anyUsage, fc.bigInt(1n, 1_000_000_000n), (of, count) => {
        const price = priced({ ...of, count });
        const sum = price.components.reduce((total, { credits }) => total + credits, 0n);
        expect(price.unitCredits).toBe(sum);
        expect(price.credits).toBe(priced(of).credits * count);
      }),
    );
  });
});

describe('a usage gets the rate card’s defaults for inputs it leaves out', () => {
  test('and the priced usage contains them', () => {
    expect(priced(usage('job.tier')).usage.quantities).toEqual(mapOf({ size: 10n }));
    const { usage: filled, credits } = priced(usage('job.cel', { pages: 20n }));
    expect(filled.attributes).toEqual(mapOf({ mode: 'fast' }));
    expect(credits).toBe(2n);
  });

  test('and a complete usage is returned unchanged', () => {
    const complete = usage('job.tier', { size: 1n });
    expect(priced(complete).usage).toBe(complete);
  });
});

describe('usages are priced line by line', () => {
  const some = [
    usage('job.flat', {}, {}, 3n),
    usage('job.free'),
    usage('job.pages', { pages: 1n }),
  ];

  test('in the given order, with their sum', () => {
    const price = priceUsages(rateCard, some, 'usages');
    if (price instanceof Failure) throw new Error(price.message);
    expect(price.lines.map(({ credits }) => credits)).toEqual([21n, 0n, 5n]);
    expect(price.credits).toBe(26n);
  });

  test('and an empty list costs 0', () => {
    expect(priceUsages(rateCard, [], 'usages')).toEqual({ lines: [], credits: 0n });
  });

  test('one usage without a price fails them all, with its path', () => {
    const price = priceUsages(rateCard, [...some, usage('job.pages')], 'usages');
    expect(price).toMatchObject({ metadata: { field: 'usages[3].quantities["pages"]' } });
  });

  test('the sum fails if it is above the largest int64, although each line is not', () => {
    const large = usage('job.flat', {}, {}, MAX_CREDITS / 7n);
    const price = priceUsages(rateCard, [large, large], 'usages');
    expect(price).toMatchObject({ reason: 'INVALID_FIELD', metadata: { field: 'usages' } });
  });

  test('the sum does not depend on their order', () => {
    const pages = fc.bigInt(1n, 500n).map((number) => usage('job.pages', { pages: number }));
    const total = (usages: readonly Usage[]) => {
      const price = priceUsages(rateCard, usages, 'usages');
      return price instanceof Failure ? price.reason : price.credits;
    };
    fc.assert(
      fc.property(fc.array(pages), (usages) => {
        expect(total(usages)).toBe(total(usages.toReversed()));
      }),
    );
  });
});

test('an attribute’s known values are those declared or, without any, those that have a price', () => {
  const named = (operation: string, attribute: string) => {
    const of = rateCard.operations.get(operation);
    const declared = of?.attributes.get(attribute);
    return of && declared && knownValues(of, declared);
  };
  expect(named('job.cel', 'mode')).toEqual(['fast', 'deep']);
  expect(named('job.format', 'format')).toEqual(['pdf', 'png']);
});
