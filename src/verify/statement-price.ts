/**
 * The price of overage, computed for the audit in integers of 10⁻⁹, independently of the code that writes
 * statements.
 */
export type Tier = { readonly upTo: bigint | null; readonly unitPrice: string };
export type Rates = {
  readonly mode: string;
  readonly currency: string;
  readonly tiers: readonly Tier[];
};

export type PricedLine = {
  /** 1 for the first tier. */
  readonly tier: number;
  readonly quantity: bigint;
  /** In 10⁻⁹. */
  readonly amount: bigint;
};

const DECIMALS = 9;

/** A decimal in 10⁻⁹; null if the text is not one. */
export function toNano(amount: string): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(amount);
  if (!match) return null;
  const [, sign, whole = '', fraction = ''] = match;
  const units = BigInt(whole + fraction.padEnd(DECIMALS, '0'));
  return sign === '-' ? -units : units;
}

/** 10⁻⁹ as a decimal without trailing zeros. */
export function formatNano(amount: bigint): string {
  const sign = amount < 0n ? '-' : '';
  const digits = (amount < 0n ? -amount : amount).toString().padStart(DECIMALS + 1, '0');
  return `${sign}${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`.replace(/\.?0+$/, '');
}

/** A line for each tier that prices some of the quantity. */
export function priceOverage(rates: Rates, quantity: bigint): readonly PricedLine[] {
  const minorUnit = 10n ** BigInt(DECIMALS - fractionDigits(rates.currency));
  return rates.tiers.flatMap(({ upTo, unitPrice }, index) => {
    const from = index === 0 ? 0n : (rates.tiers[index - 1]?.upTo ?? 0n);
    const to = upTo === null || upTo > quantity ? quantity : upTo;
    const inTier = to > from ? to - from : 0n;
    // Volume: the tier that the quantity reaches prices all of it.
    const priced =
      rates.mode === 'volume' ? (inTier > 0n && to === quantity ? quantity : 0n) : inTier;
    if (priced === 0n) return [];
    const amount = roundHalfEven(priced * (toNano(unitPrice) ?? 0n), minorUnit);
    return [{ tier: index + 1, quantity: priced, amount }];
  });
}

export const sumOfLines = (lines: readonly PricedLine[]): bigint =>
  lines.reduce((sum, { amount }) => sum + amount, 0n);

/**
 * The amount due for a month of which `refunded` credits were refunded later: the least that any
 * quantity from `quantity - refunded` to `quantity` costs. Within a tier a smaller quantity costs less,
 * so only the lowest quantity of each tier is tried.
 */
export function amountDue(rates: Rates, quantity: bigint, refunded: bigint): bigint {
  const costOf = (some: bigint) => sumOfLines(priceOverage(rates, some));
  const remaining = quantity - refunded;
  let least = costOf(remaining);
  for (const { upTo } of rates.tiers) {
    if (upTo === null || upTo < remaining || upTo >= quantity) continue;
    const cost = costOf(upTo + 1n);
    if (cost < least) least = cost;
  }
  return least;
}

/** Rounds an amount of 0 or more to the currency's minor unit, half to even. */
function roundHalfEven(amount: bigint, minorUnit: bigint): bigint {
  const down = amount - (amount % minorUnit);
  const twice = 2n * (amount - down);
  const isUp = twice > minorUnit || (twice === minorUnit && (down / minorUnit) % 2n === 1n);
  return isUp ? down + minorUnit : down;
}

function fractionDigits(currency: string): number {
  const { maximumFractionDigits } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  return maximumFractionDigits ?? 2;
}
