/** What packs would cover a shortfall, what that costs, and how long bought credits last. */
import { compareMoney, multiplyMoney } from './money.ts';
import type { Money, Pack, Validity } from './plan.ts';

/** How many of one pack cover a shortfall (1 or more), and what they cost together. */
export type PackOffer = {
  readonly pack: Pack;
  readonly quantity: bigint;
  readonly price: Money;
};

/**
 * For each pack, the fewest of it that cover `shortfall` credits: cheapest total first, equal
 * totals in the order of the plan file. Packs in several currencies stand currency by currency,
 * in the order of their codes. Nothing where the shortfall is 0 or less.
 */
export function coveringPacks(packs: readonly Pack[], shortfall: bigint): readonly PackOffer[] {
  if (shortfall <= 0n) return [];
  return packs
    .map((pack) => {
      const quantity = (shortfall + pack.credits - 1n) / pack.credits;
      return { pack, quantity, price: multiplyMoney(pack.price, quantity) };
    })
    .toSorted((a, b) => compareMoney(a.price, b.price));
}

/**
 * The instant, in epoch milliseconds, at which credits granted at `fromMs` expire; null for never.
 * Months are calendar months in UTC at the same time of day; where the month reached has no such
 * day its last day is taken, so a grant of 31 January for one month ends on 28 or 29 February.
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
