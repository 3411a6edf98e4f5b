/** Which packs and custom amounts would cover a shortfall, at what price, and when their credits expire. */

import { findCurrency } from './currencies.ts';
import { type CustomAmount, cheapestAmount } from './custom-amount.ts';
import { compareMoney, multiplyMoney } from './money.ts';
import type { Money, Pack, Validity } from './plan.ts';
import { toProviderAmount } from './provider-amount.ts';

/** A number (1 or more) of one pack that covers a shortfall, and their price together. */
export type PackOffer = {
  readonly pack: Pack;
  readonly quantity: bigint;
  readonly price: Money;
  /** Of a custom amount: how many credits to buy, which are those of the pack. Null: it is a pack. */
  readonly credits: bigint | null;
};

/** What is sold to an account. */
export type Sold = {
  readonly packs: readonly Pack[];
  readonly customAmounts: readonly CustomAmount[];
};

/**
 * For each pack, the smallest number of it that covers `shortfall` credits; for each custom amount, the cheapest number of
 * credits that does, where one purchase can have so many. Best first: by currency code, then by price, then the most
 * credits first, then in the order given, packs first. Empty if the shortfall is 0 or less.
 */
export function coveringOffers(
  { packs, customAmounts }: Sold,
  shortfall: bigint,
): readonly PackOffer[] {
  if (shortfall <= 0n) return [];
  const ofPacks = packs.map((pack) => {
    const quantity = (shortfall + pack.credits - 1n) / pack.credits;
    return { pack, quantity, price: multiplyMoney(pack.price, quantity), credits: null };
  });
  const ofAmounts = customAmounts.flatMap((amount) => {
    const pack = cheapestAmount(amount, shortfall);
    return pack ? [{ pack, quantity: 1n, price: pack.price, credits: pack.credits }] : [];
  });
  return [...ofPacks, ...ofAmounts].toSorted(
    (a, b) => compareMoney(a.price, b.price) || compareCredits(b, a),
  );
}

function compareCredits(a: PackOffer, b: PackOffer): number {
  const difference = a.pack.credits * a.quantity - b.pack.credits * b.quantity;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The most packs of this price that the payment provider can charge in one payment. 1 or more. */
export function maxQuantity(price: Money): bigint {
  const maximum = findCurrency(price.currency)?.provider?.maximum ?? 0n;
  const units = toProviderAmount(price) ?? 0n;
  return units > 0n && maximum > units ? maximum / units : 1n;
}

/**
 * When credits granted at `fromMs` expire, in epoch milliseconds; null: never. Months are calendar months
 * in UTC at the same time of day. A month without that day ends on its last: one month from 31 January
 * ends on 28 or 29 February.
 */
export function expiryOf(validity: Validity, fromMs: number): number | null {
  if (validity === null) return null;
  if ('days' in validity) return fromMs + validity.days * 86_400_000;
  const from = new Date(fromMs);
  const year = from.getUTCFullYear();
  const month = from.getUTCMonth() + validity.months;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const timeOfDayMs = fromMs - Date.UTC(year, from.getUTCMonth(), from.getUTCDate());
  return Date.UTC(year, month, Math.min(from.getUTCDate(), lastDay)) + timeOfDayMs;
}
