import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { MAX_CREDITS, type RateCard } from '../../src/pricing/plan.ts';
import { priceUsage } from '../../src/pricing/price.ts';
import type { Usage } from '../../src/pricing/usage.ts';
import { EVERYTHING, planIn, usage } from './fixtures.ts';

const { rateCard } = planIn(EVERYTHING);

function failureOf(of: Usage, card: RateCard = rateCard): Failure {
  const price = priceUsage(card, of, 'usages[3]');
  if (price instanceof Failure) return price;
  throw new Error(`priced at ${price.credits}`);
}

/** A rate card with one operation, `job`, whose section is `text`. */
function cardOf(text: string): RateCard {
  const head = 'plan_id: a\ntitle: A\nterms: {}\npacks: []\noperations:\n  job:\n    title: Job\n';
  return planIn(head + text.replaceAll(/^/gm, '    ')).rateCard;
}

describe('a usage that cannot be priced is a failure that names its field', () => {
  const field = (name: string) => `usages[3].${name}`;
  test.each<[string, Usage, string, Record<string, string>]>([
    [
      'an operation that the rate card does not list',
      usage('job.unknown'),
      'UNKNOWN_OPERATION',
      { operation: 'job.unknown', field: field('operation') },
    ],
    [
      'an operation named like a property of every object',
      usage('constructor'),
      'UNKNOWN_OPERATION',
      { operation: 'constructor', field: field('operation') },
    ],
    [
      'a missing quantity without a default',
      usage('job.pages'),
      'MISSING_QUANTITY',
      { operation: 'job.pages', quantity: 'pages', field: field('quantities["pages"]') },
    ],
    [
      'a quantity below its min',
      usage('job.pages', { pages: 0n }),
      'QUANTITY_OUT_OF_RANGE',
      {
        operation: 'job.pages',
        quantity: 'pages',
        allowed: '1..500',
        field: field('quantities["pages"]'),
      },
    ],
    [
      'a quantity above its max',
      usage('job.pages', { pages: 501n }),
      'QUANTITY_OUT_OF_RANGE',
      {
        operation: 'job.pages',
        quantity: 'pages',
        allowed: '1..500',
        field: field('quantities["pages"]'),
      },
    ],
    [
      'a quantity that the operation does not declare',
      usage('job.flat', { pages: 1n }),
      'INVALID_FIELD',
      { operation: 'job.flat', field: field('quantities["pages"]') },
    ],
    [
      'an attribute that the operation does not declare',
      usage('job.flat', {}, { toString: 'x' }),
      'INVALID_FIELD',
      { operation: 'job.flat', field: field('attributes["toString"]') },
    ],
    [
      'a missing attribute without a default',
      usage('job.strict'),
      'INVALID_FIELD',
      { operation: 'job.strict', field: field('attributes["format"]') },
    ],
    [
      'a value that the price refuses',
      usage('job.strict', {}, { format: 'pdf' }),
      'INVALID_FIELD',
      { operation: 'job.strict', allowed: 'png', field: field('attributes["format"]') },
    ],
    [
      'a value that the attribute does not allow',
      usage('job.cel', { pages: 1n }, { mode: 'slow' }),
      'INVALID_FIELD',
      { operation: 'job.cel', allowed: 'fast, deep', field: field('attributes["mode"]') },
    ],
    [
      'a negative count',
      usage('job.flat', {}, {}, -1n),
      'INVALID_FIELD',
      { field: field('count') },
    ],
    [
      'a count above the largest int64, although it costs 0',
      usage('job.free', {}, {}, MAX_CREDITS + 1n),
      'INVALID_FIELD',
      { field: field('count') },
    ],
    [
      'a price above the largest int64',
      usage('job.flat', {}, {}, MAX_CREDITS / 7n + 1n),
      'INVALID_FIELD',
      { field: field('count') },
    ],
  ])('%s', (_name, of, reason, metadata) => {
    const failure = failureOf(of);
    expect(failure.reason).toBe(reason);
    expect(failure.metadata).toEqual(metadata);
    expect(failure.violations.map((violation) => violation.field)).toEqual([metadata.field]);
  });

  test('the largest int64 is a valid price', () => {
    const count = MAX_CREDITS / 7n;
    const price = priceUsage(rateCard, usage('job.flat', {}, {}, count), 'usages[3]');
    expect(price).toMatchObject({ credits: count * 7n });
  });

  test('text from the caller is shortened, because a failure is sent in a trailer', () => {
    const long = 'x'.repeat(100_000);
    const failures = [
      failureOf(usage(long)),
      failureOf(usage('job.flat', { [long]: 1n })),
      failureOf(usage('job.flat', {}, { [long]: 'x' })),
      failureOf(usage('job.strict', {}, { format: long })),
    ];
    for (const failure of failures) expect(JSON.stringify(failure).length).toBeLessThan(2000);
  });
});

describe('an expression that gives no credits for some inputs', () => {
  // Divides by 0 at 5, 12, 19 …: none of the values that are tried when a file is loaded.
  const card = cardOf(`billable: true
quantities:
  n: { title: N, unit: one, min: 0, max: 1000 }
components:
  - { kind: cel, label: Odd price, expression: '896 / ((n % 7 - 10 / 2) * (n % 7 - 10 / 2))' }`);

  test('is a failure that names the operation, and no exception', () => {
    const failure = failureOf(usage('job', { n: 12n }), card);
    expect(failure.reason).toBe('INVALID_FIELD');
    expect(failure.metadata).toEqual({ operation: 'job', field: 'usages[3].operation' });
    expect(failure.message).toContain('Odd price gives no credits for these inputs');
  });

  test('has a price for other inputs', () => {
    expect(priceUsage(card, usage('job', { n: 13n }), '')).toMatchObject({ credits: 896n });
  });

  test('never gives negative credits', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 1000n), (n) => {
        const price = priceUsage(card, usage('job', { n }), 'usages[0]');
        expect(price instanceof Failure || price.credits >= 0n).toBe(true);
      }),
    );
  });
});
