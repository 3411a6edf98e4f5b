/**
 * The price of overage in money, by the tiers of a plan. The arithmetic is exact; an amount is rounded
 * once, on its line.
 */
import {
  digitsOf,
  formatDecimal,
  parseDecimal,
  roundHalfEven,
  subtractMoney,
  sumMoney,
} from './money.ts';
import type { Money } from './plan.ts';

/** The price of a credit, for quantities up to `upTo` and above the previous tier. */
export type OverageTier = {
  /** Inclusive; null for the last tier, which has no end. */
  readonly upTo: bigint | null;
  /** Exact decimal, 0 or more, at most 9 digits after the point. */
  readonly unitPrice: string;
};

export type OverageRates = {
  /**
   * `graduated`: each tier prices the credits that fall into it. `volume`: the tier of the month's total
   * prices all credits, so a total just above the edge of a tier can cost less than one just below.
   */
  readonly mode: 'graduated' | 'volume';
  /** ISO 4217. */
  readonly currency: string;
  /** Ascending; only the last has no end. */
  readonly tiers: readonly OverageTier[];
};

/** The credits that one tier prices, and their price. */
export type OverageLine = {
  /** 1 for the first tier. */
  readonly tier: number;
  /** Credits, 1 or more. */
  readonly quantity: bigint;
  readonly unitPrice: string;
  /** In the rates' currency, rounded to its digits. */
  readonly amount: string;
};

/** One line for each tier that prices a part of `quantity`, lowest tier first. */
export function priceOverage(rates: OverageRates, quantity: bigint): readonly OverageLine[] {
  const lines: OverageLine[] = [];
  let below = 0n;
  for (const [index, { upTo, unitPrice }] of rates.tiers.entries()) {
    if (quantity <= below) break;
    const last = upTo === null || quantity <= upTo;
    const inTier = (last ? quantity : upTo) - below;
    below += inTier;
    if (rates.mode === 'volume' && !last) continue;
    const priced = rates.mode === 'volume' ? quantity : inTier;
    const amount = lineAmount(priced, unitPrice, rates.currency);
    lines.push({ tier: index + 1, quantity: priced, unitPrice, amount });
  }
  return lines;
}

const lineAmount = (quantity: bigint, unitPrice: string, currency: string): string => {
  const { units, scale } = parseDecimal(unitPrice);
  return formatDecimal(roundHalfEven({ units: units * quantity, scale }, digitsOf(currency)));
};

/** The price of a quantity: the sum of its lines. */
export const overageTotal = (rates: OverageRates, quantity: bigint): Money =>
  sumMoney(
    rates.currency,
    priceOverage(rates, quantity).map(({ amount }) => amount),
  );

/**
 * What is still owed for a closed month of `quantity` credits after `refunded` of them were refunded: the
 * price of the rest. A refund never makes a month more expensive: with volume tiers, where the rest may
 * fall into a more expensive tier, it is the lowest price of any quantity from the rest up to `quantity`.
 * So the amount only falls, and depends only on the sum of the refunds.
 */
export function owedAfterRefunds(rates: OverageRates, quantity: bigint, refunded: bigint): Money {
  const rest = quantity - refunded;
  const edges = rates.tiers
    .map(({ upTo }) => (upTo === null ? 0n : upTo + 1n))
    .filter((edge) => edge > rest && edge <= quantity);
  const [first, ...others] = [rest, ...edges].map((left) => overageTotal(rates, left));
  return others.reduce(lower, first as Money);
}

const lower = (a: Money, b: Money): Money => (subtractMoney(a, b).amount.startsWith('-') ? a : b);
