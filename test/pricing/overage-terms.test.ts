/** The postpaid line in plan files and in stored JSON. */
import { describe, expect, test } from 'vitest';
import { planTermsFromJson, planTermsToJson } from '../../src/pricing/plan-file/plan-json.ts';
import { containing, EVERYTHING, errorsIn, planIn, withReplaced } from './fixtures.ts';

const LINE = 'overage: { limit: 10000 }';
const withLine = (overage: string) => withReplaced(LINE, `overage: ${overage}`);
const withTiers = (...tiers: readonly string[]) =>
  withLine(`{ limit: 10000, mode: graduated, currency: USD, tiers: [${tiers.join(', ')}] }`);

test('a line with rates has a mode, a currency and tiers, the last without an end', () => {
  const { terms } = planIn(
    withTiers('{ up_to: 1000, price: "0.030" }', '{ up_to: 5000, price: "0" }', '{ price: "1.5" }'),
  );
  expect(terms.overage).toEqual({
    limit: 10_000n,
    rates: {
      mode: 'graduated',
      currency: 'USD',
      tiers: [
        { upTo: 1_000n, unitPrice: '0.030' },
        { upTo: 5_000n, unitPrice: '0' },
        { upTo: null, unitPrice: '1.5' },
      ],
    },
  });
});

test('a line with only a limit is counted and not billed', () => {
  expect(planIn(EVERYTHING).terms.overage).toEqual({ limit: 10_000n, rates: null });
});

describe('rates are read back from JSON unchanged', () => {
  test.each([EVERYTHING, withTiers('{ up_to: 1, price: "0.000000001" }', '{ price: "2" }')])(
    '%#',
    (text) => {
      const plan = planIn(text);
      const stored: unknown = JSON.parse(JSON.stringify(planTermsToJson(plan)));
      expect(planTermsFromJson(stored).terms).toEqual(plan.terms);
    },
  );

  test('and terms stored before rates existed are read without rates', () => {
    const { title, terms } = planIn(EVERYTHING);
    const stored = { title, terms: { overage: { limit: '77' } }, packs: [] };
    expect(planTermsFromJson(stored).terms.overage).toEqual({ limit: 77n, rates: null });
    expect(terms.overage).not.toBeNull();
  });
});

describe('an error has its path:', () => {
  const at = 'terms.overage';
  test.each([
    [
      'a price without quotes',
      withTiers('{ price: 0.030 }'),
      `${at}.tiers[0].price: must be a decimal in quotes, such as "0.030"`,
    ],
    [
      'a price with ten digits after its point',
      withTiers('{ price: "0.0000000001" }'),
      `${at}.tiers[0].price: must be 0 or more, a plain decimal with at most 9 digits`,
    ],
    [
      'a negative price',
      withTiers('{ price: "-1" }'),
      `${at}.tiers[0].price: must be 0 or more, a plain decimal`,
    ],
    ['a missing price', withTiers('{ up_to: 5 }'), `${at}.tiers[0].price: missing key`],
    ['no tier', withTiers(), `${at}.tiers: must not be empty`],
    [
      'a last tier that ends',
      withTiers('{ up_to: 5, price: "1" }'),
      `${at}.tiers[0].up_to: the last tier has no end: leave it out`,
    ],
    [
      'a tier without an end that is not the last',
      withTiers('{ price: "1" }', '{ price: "2" }'),
      `${at}.tiers[0].up_to: missing key: only the last tier has no end`,
    ],
    [
      'tiers that do not ascend, together with an invalid price',
      withTiers('{ up_to: 5, price: x }', '{ up_to: 5, price: "1" }', '{ price: "1" }'),
      `${at}.tiers[1].up_to: overlaps the tier before, which ends at 5: tiers must ascend`,
    ],
    [
      'an unknown key of a tier',
      withTiers('{ price: "1", from: 3 }'),
      `${at}.tiers[0].from: unknown key`,
    ],
    [
      'tiers without a currency',
      withLine('{ limit: 1, mode: volume, tiers: [{ price: "1" }] }'),
      `${at}.currency: missing key: a line that is billed has a mode, a currency and tiers`,
    ],
    [
      'a currency alone',
      withLine('{ limit: 1, currency: USD }'),
      `${at}.tiers: missing key: a line that is billed has a mode, a currency and tiers`,
    ],
    [
      'an invalid currency',
      withLine('{ limit: 1, mode: volume, currency: usd, tiers: [{ price: "1" }] }'),
      `${at}.currency: must be an ISO 4217 currency code`,
    ],
    [
      'an unknown mode',
      withLine('{ limit: 1, mode: stepped, currency: USD, tiers: [{ price: "1" }] }'),
      `${at}.mode: must be graduated or volume`,
    ],
    [
      'no limit',
      withLine('{ mode: volume, currency: USD, tiers: [{ price: "1" }] }'),
      `${at}.limit: missing key`,
    ],
  ])('%s', (_, text, error) => {
    expect(errorsIn(text)).toEqual(containing(error));
  });
});
