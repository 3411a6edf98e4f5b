/**
 * Custom amounts: credits in a number that the buyer chooses, at rates per credit, beside packs. The price is the
 * sum of the lines of its tiers, each rounded half to even to the digits of the currency, as on a statement. So it is
 * a whole number of the currency's smallest unit, which the payment provider charges.
 */
import { findCurrency } from './currencies.ts';
import { compareMoney } from './money.ts';
import { type OverageRates, overageTotal } from './overage.ts';
import type { Money, Pack, Validity } from './plan.ts';
import { findPriceError } from './provider-amount.ts';

export type CustomAmount = {
  /** Unique among the plan's packs and custom amounts. */
  readonly packId: string;
  readonly title: string;
  /** The fewest and the most credits of one purchase. */
  readonly min: bigint;
  readonly max: bigint;
  /** Prices of a credit by the credits of one purchase. */
  readonly rates: OverageRates;
  readonly validity: Validity;
};

/** `credits` are within the minimum and the maximum. */
export const priceOfAmount = ({ rates }: CustomAmount, credits: bigint): Money =>
  overageTotal(rates, credits);

/** What a purchase of so many credits buys. Its title says how many. */
export const packOfAmount = (amount: CustomAmount, credits: bigint): Pack => ({
  packId: amount.packId,
  title: `${credits} × ${amount.title}`,
  credits,
  price: priceOfAmount(amount, credits),
  validity: amount.validity,
});

/**
 * The cheapest number that is at least `credits`, of equal prices the largest: with volume tiers the first of a tier can
 * cost less than a smaller one. Null: so many cannot be bought at once.
 */
export function cheapestAmount(amount: CustomAmount, credits: bigint): Pack | null {
  const least = credits > amount.min ? credits : amount.min;
  const [cheapest] = [least, ...edges(amount)]
    .filter((count) => count >= least && count <= amount.max)
    .map((count) => packOfAmount(amount, count))
    .toSorted((a, b) => compareMoney(a.price, b.price) || Number(b.credits - a.credits));
  return cheapest ?? null;
}

/** Why some number of credits from the minimum to the maximum could not be paid; null: all can. */
export function findAmountError(amount: CustomAmount): string | null {
  const { rates, min, max } = amount;
  const { currency } = rates;
  const known = findCurrency(currency);
  const provider = known?.provider;
  // Otherwise a rounded price may be one that cannot be paid.
  if (provider && (provider.decimals !== known.decimals || provider.step !== 1n))
    return `the payment provider does not take every amount of ${currency}: sell packs in it`;
  for (const credits of edges(amount)) {
    if (credits < min || credits > max) continue;
    const error = findPriceError(priceOfAmount(amount, credits));
    if (error) return `the price of ${credits} credits ${error}`;
  }
  return null;
}

/** Between two of these the price rises with every credit, or stays. */
const edges = ({ rates, min, max }: CustomAmount): readonly bigint[] => [
  min,
  ...rates.tiers.flatMap(({ upTo }) => (upTo === null ? [] : [upTo, upTo + 1n])),
  max,
];
