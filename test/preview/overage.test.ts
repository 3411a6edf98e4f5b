/** A month's overage and bill on other terms: figures by hand, and what holds for all of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addOverage, NO_OVERAGE, repriceOverage } from '../../src/preview/overage.ts';
import type { OverageRates } from '../../src/pricing/overage.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import { planIn } from '../pricing/fixtures.ts';

const PRICED =
  'mode: graduated, currency: USD, tiers: [{ up_to: 100, price: "0.02" }, { price: "0.01" }]';

function termsOf(allowance: number, overage: string | null = PRICED): Terms {
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
const of = (then: bigint, now: bigint) => ({ creditsThen: then, creditsNow: now });

describe('overage now', () => {
  test.each([
    ['is the same at the same prices', 30n, 0n, of(80n, 80n), fifty, 30n, false],
    ['grows by what the month costs more', 30n, 0n, of(80n, 95n), fifty, 45n, false],
    ['is never below nothing', 30n, 0n, of(80n, 40n), fifty, 0n, false],
    ['ignores what was left where there was some', 30n, 7n, of(80n, 95n), fifty, 45n, false],
    ['takes first what was left', 0n, 20n, of(30n, 45n), fifty, 0n, false],
    ['is an estimate beyond what was left', 0n, 20n, of(30n, 60n), fifty, 10n, true],
    ['takes over what the allowance gives less', 30n, 0n, of(80n, 80n), termsOf(30), 50n, false],
    ['gives back what the allowance gives more', 30n, 0n, of(80n, 80n), termsOf(70), 10n, false],
    ['is nothing for an account that did nothing', 0n, 0n, of(0n, 0n), termsOf(0), 0n, false],
    ['is no more than the month costs', 0n, 0n, of(5n, 6n), termsOf(0), 6n, true],
    ['keeps what was refunded after the statement', 30n, 0n, of(0n, 0n), fifty, 30n, false],
    ['is nothing on a prepaid plan', 30n, 0n, of(80n, 80n), termsOf(50, null), 0n, false],
  ])('%s', (_, overage, left, credits, after, overageNow, estimated) => {
    const rates = ratesOf(fifty);
    expect(repriceOverage({ overage, rates, left }, credits, fifty, after)).toMatchObject({
      overageThen: overage,
      overageNow,
      estimated,
    });
  });
});

test('each side is billed by its own tiers, or not at all', () => {
  const rates = ratesOf(fifty);
  const month = { overage: 150n, rates, left: 0n };
  const yen = termsOf(50, 'mode: volume, currency: JPY, tiers: [{ price: "3.5" }]');
  expect(repriceOverage(month, of(200n, 201n), fifty, yen)).toMatchObject({
    billThen: { currency: 'USD', amount: '2.50' },
    // 528.5, half to even
    billNow: { currency: 'JPY', amount: '528' },
  });
  expect(
    repriceOverage({ ...month, rates: null }, of(200n, 200n), fifty, termsOf(50, null)),
  ).toMatchObject({ billThen: null, billNow: null });
});

test('totals are told for each currency, ordered by it', () => {
  const yen = termsOf(50, 'mode: volume, currency: JPY, tiers: [{ price: "3" }]');
  const month = { overage: 10n, rates: ratesOf(fifty), left: 0n };
  const accounts = [
    repriceOverage(month, of(60n, 60n), fifty, yen),
    repriceOverage({ ...month, overage: 0n }, of(50n, 54n), fifty, yen),
    repriceOverage({ ...month, rates: null }, of(60n, 60n), fifty, fifty),
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

test('the same terms and prices bill the same, whatever the month was', () => {
  const amount = fc.bigInt(0n, 10_000n);
  fc.assert(
    fc.property(amount, amount, amount, (overage, left, credits) => {
      const rates = ratesOf(fifty);
      const told = repriceOverage({ overage, rates, left }, of(credits, credits), fifty, fifty);
      expect(told.overageNow).toBe(overage);
      expect(told.billNow).toEqual(told.billThen);
      expect(told.estimated).toBe(false);
    }),
  );
});

test('a dearer month never has less overage, nor does one with a smaller allowance', () => {
  const amount = fc.bigInt(0n, 1_000n);
  fc.assert(
    fc.property(amount, amount, amount, amount, amount, (overage, left, then, now, more) => {
      const month = { overage, rates: null, left };
      const told = repriceOverage(month, of(then, now), fifty, fifty).overageNow;
      const dearer = repriceOverage(month, of(then, now + more), fifty, fifty).overageNow;
      const smaller = repriceOverage(month, of(then, now), fifty, termsOf(20)).overageNow;
      expect(dearer).toBeGreaterThanOrEqual(told);
      expect(smaller).toBeGreaterThanOrEqual(told);
    }),
  );
});
