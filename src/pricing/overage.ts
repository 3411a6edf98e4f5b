/**
 * What overage costs: credits beyond every grant, priced in money by the tiers of a plan. Exact
 * arithmetic throughout; an amount is rounded once, on its line.
 */
import { type Decimal, digitsOf, formatDecimal, parseDecimal, roundHalfEven } from './money.ts';
import type { Money } from './plan.ts';

/** One tier: its price of a credit, for quantities up to `upTo` and above the tier before. */
export type OverageTier = {
  /** Last credit of the tier; null for the last tier, which has no end. */
  readonly upTo: bigint | null;
  /** Exact decimal, 0 or more, at most 9 digits after the point. */
  readonly unitPrice: string;
};

export type OverageRates = {
  /**
   * `graduated`: each tier prices the credits that lie in it. `volume`: the tier that the month's
   * total lies in prices all of them, so a total just above a tier can cost less than one just below.
   */
  readonly mode: 'graduated' | 'volume';
  /** ISO 4217. */
  readonly currency: string;
  /** Ascending; only the last has no end. */
  readonly tiers: readonly OverageTier[];
};

/** What one tier prices. */
export type OverageLine = {
  /** 1 for the first tier. */
  readonly tier: number;
  /** Credits, 1 or more. */
  readonly quantity: bigint;
  readonly unitPrice: string;
  /** In the rates' currency, to its digits. */
  readonly amount: string;
};

/** One line for every tier that prices some of the `quantity`, lowest first. */
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

/** What a quantity costs: the sum of its lines. */
export const overageTotal = (rates: OverageRates, quantity: bigint): Money =>
  sumMoney(
    rates.currency,
    priceOverage(rates, quantity).map(({ amount }) => amount),
  );

/**
 * What is still owed for a closed month of `quantity` credits, of which `refunded` were given back
 * afterwards: what the rest would have cost. A refund never makes a month dearer. Where it takes a
 * volume back across the edge of a cheaper tier, what is owed is the least that the month would have
 * cost at any point on the way; so it only falls, and depends on nothing but the sum of the refunds.
 */
export function owedAfterRefunds(rates: OverageRates, quantity: bigint, refunded: bigint): Money {
  const rest = quantity - refunded;
  const edges = rates.tiers
    .map(({ upTo }) => (upTo === null ? 0n : upTo + 1n))
    .filter((edge) => edge > rest && edge <= quantity);
  const [first, ...others] = [rest, ...edges].map((left) => overageTotal(rates, left));
  return others.reduce(cheaper, first as Money);
}

const cheaper = (a: Money, b: Money): Money => (subtractMoney(a, b).amount.startsWith('-') ? a : b);

/** The sum of amounts, to the currency's digits at least; amounts may be negative. */
export function sumMoney(currency: string, amounts: readonly string[]): Money {
  const all = amounts.map(parseDecimal);
  const scale = Math.max(digitsOf(currency), ...all.map((amount) => amount.scale));
  const units = all.reduce((sum, amount) => sum + scaledTo(amount, scale), 0n);
  return { currency, amount: formatDecimal({ units, scale }) };
}

/** a − b, of one currency; negative where b is more. */
export function subtractMoney(a: Money, b: Money): Money {
  const { units, scale } = parseDecimal(b.amount);
  return sumMoney(a.currency, [a.amount, formatDecimal({ units: -units, scale })]);
}

const scaledTo = ({ units, scale }: Decimal, to: number): bigint =>
  units * 10n ** BigInt(to - scale);
