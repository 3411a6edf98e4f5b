/** A month's overage and bill on other terms: examples, and properties of all months. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addOverage, NO_OVERAGE, repriceOverage } from '../../src/preview/overage.ts';
import type { OverageRates } from '../../src/pricing/overage.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import { planIn } from '../pricing/fixtures.ts';

const TIERS =
  'mode: graduated, currency: USD, tiers: [{ up_to: 100, price: "0.02" }, { price: "0.01" }]';

function termsOf(allowance: number, overage: string | null = TIERS): Terms {
  const given = `allowance: { credits: ${allowance}, every: month, rollover: none }`;
  const line = overage === null ? '' : `overage: { limit: 100000, ${overage} }`;
  return planIn(`
plan_id: metered
title: Metered
terms:
  ${allowance === 0 ? '' : given}
  ${line}
packs: []
operations: { job.flat: { title: Flat, billable: true, components: [{ kind: flat, label: Job, credits: 1 }] } }
`).terms;
}

const ratesOf = (terms: Terms): OverageRates | null => terms.overage?.rates ?? null;

const fifty = termsOf(50);
const credits = (then: bigint, now: bigint) => ({ creditsThen: then, creditsNow: now });

describe('overage now', () => {
  test.each([
    ['is the same at the same prices', 30n, 0n, credits(80n, 80n), fifty, 30n, false],
    ['grows by what the month costs more', 30n, 0n, credits(80n, 95n), fifty, 45n, false],
    ['is never below 0', 30n, 0n, credits(80n, 40n), fifty, 0n, false],
    [
      'ignores available credits if there was overage',
      30n,
      7n,
      credits(80n, 95n),
      fifty,
      45n,
      false,
    ],
    [
      'uses available credits first if there was none',
      0n,
      20n,
      credits(30n, 45n),
      fifty,
      0n,
      false,
    ],
    ['is an estimate beyond the available credits', 0n, 20n, credits(30n, 60n), fifty, 10n, true],
    ['grows by what the allowance gives less', 30n, 0n, credits(80n, 80n), termsOf(30), 50n, false],
    [
      'shrinks by what the allowance gives more',
      30n,
      0n,
      credits(80n, 80n),
      termsOf(70),
      10n,
      false,
    ],
    ['is 0 for an account without charges', 0n, 0n, credits(0n, 0n), termsOf(0), 0n, false],
    ['is at most what the month costs', 0n, 0n, credits(5n, 6n), termsOf(0), 6n, true],
    ['includes what was refunded after the statement', 30n, 0n, credits(0n, 0n), fifty, 30n, false],
    ['is 0 on a prepaid plan', 30n, 0n, credits(80n, 80n), termsOf(50, null), 0n, false],
  ])('%s', (_, overage, availableAtEnd, month, after, overageNow, estimated) => {
    const rates = ratesOf(fifty);
    expect(repriceOverage({ overage, rates, availableAtEnd }, month, fifty, after)).toMatchObject({
      overageThen: overage,
      overageNow,
      estimated,
    });
  });
});

test('each bill is priced by the tiers of its plan, and there is none without tiers', () => {
  const rates = ratesOf(fifty);
  const month = { overage: 150n, rates, availableAtEnd: 0n };
  const yen = termsOf(50, 'mode: volume, currency: JPY, tiers: [{ price: "3.5" }]');
  expect(repriceOverage(month, credits(200n, 201n), fifty, yen)).toMatchObject({
    billThen: { currency: 'USD', amount: '2.50' },
    // 528.5, half to even
    billNow: { currency: 'JPY', amount: '528' },
  });
  expect(
    repriceOverage({ ...month, rates: null }, credits(200n, 200n), fifty, termsOf(50, null)),
  ).toMatchObject({ billThen: null, billNow: null });
});

test('totals are summed by currency and sorted by it', () => {
  const yen = termsOf(50, 'mode: volume, currency: JPY, tiers: [{ price: "3" }]');
  const month = { overage: 10n, rates: ratesOf(fifty), availableAtEnd: 0n };
  const accounts = [
    repriceOverage(month, credits(60n, 60n), fifty, yen),
    repriceOverage({ ...month, overage: 0n }, credits(50n, 54n), fifty, yen),
    repriceOverage({ ...month, rates: null }, credits(60n, 60n), fifty, fifty),
  ];
  expect(accounts.reduce(addOverage, NO_OVERAGE)).toEqual({
    overageThen: 20n,
    overageNow: 24n,
    estimated: 1n,
    bills: [
      {
        currency: 'JPY',
        billThen: { currency: 'JPY', amount: '0' },
        billNow: { currency: 'JPY', amount: '42' },
      },
      {
        currency: 'USD',
        billThen: { currency: 'USD', amount: '0.20' },
        billNow: { currency: 'USD', amount: '0.20' },
      },
    ],
  });
});

test('the same terms and prices give the same bill for any month', () => {
  const amount = fc.bigInt(0n, 10_000n);
  fc.assert(
    fc.property(amount, amount, amount, (overage, availableAtEnd, charged) => {
      const rates = ratesOf(fifty);
      const same = repriceOverage(
        { overage, rates, availableAtEnd },
        credits(charged, charged),
        fifty,
        fifty,
      );
      expect(same.overageNow).toBe(overage);
      expect(same.billNow).toEqual(same.billThen);
      expect(same.estimated).toBe(false);
    }),
  );
});

test('higher prices never give less overage, and neither does a smaller allowance', () => {
  const amount = fc.bigInt(0n, 1_000n);
  fc.assert(
    fc.property(
      amount,
      amount,
      amount,
      amount,
      amount,
      (overage, availableAtEnd, then, now, more) => {
        const month = { overage, rates: null, availableAtEnd };
        const base = repriceOverage(month, credits(then, now), fifty, fifty).overageNow;
        const higherPrices = repriceOverage(
          month,
          credits(then, now + more),
          fifty,
          fifty,
        ).overageNow;
        const smallerAllowance = repriceOverage(
          month,
          credits(then, now),
          fifty,
          termsOf(20),
        ).overageNow;
        expect(higherPrices).toBeGreaterThanOrEqual(base);
        expect(smallerAllowance).toBeGreaterThanOrEqual(base);
      },
    ),
  );
});
