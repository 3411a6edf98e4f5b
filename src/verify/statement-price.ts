/**
 * What a quantity of overage costs, computed for the audit: in integers of 10⁻⁹, tier by tier, and
 * never by the code that wrote the statement.
 */
export type Tier = { readonly upTo: bigint | null; readonly unitPrice: string };
export type Rates = {
  readonly mode: string;
  readonly currency: string;
  readonly tiers: readonly Tier[];
};

const NANO = 9;

/** A decimal in 10⁻⁹; null where the text is none. */
export function nano(amount: string): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(amount);
  if (!match) return null;
  const [, sign, whole = '', fraction = ''] = match;
  const units = BigInt(whole + fraction.padEnd(NANO, '0'));
  return sign === '-' ? -units : units;
}

/** [tier, quantity, amount in 10⁻⁹] of every tier that prices some of the quantity. */
export function linesFor(rates: Rates, quantity: bigint): readonly [number, bigint, bigint][] {
  const coin = 10n ** BigInt(NANO - digitsOf(rates.currency));
  return rates.tiers.flatMap(({ upTo, unitPrice }, index): [number, bigint, bigint][] => {
    const from = index === 0 ? 0n : (rates.tiers[index - 1]?.upTo ?? 0n);
    const to = upTo === null || upTo > quantity ? quantity : upTo;
    const here = to > from ? to - from : 0n;
    const whole = here > 0n && to === quantity ? quantity : 0n;
    const priced = rates.mode === 'volume' ? whole : here;
    if (priced === 0n) return [];
    return [[index + 1, priced, toCoins(priced * (nano(unitPrice) ?? 0n), coin)]];
  });
}

const costOf = (rates: Rates, quantity: bigint): bigint =>
  linesFor(rates, quantity).reduce((sum, [, , amount]) => sum + amount, 0n);

/**
 * What is owed for a month of which so much was refunded later: the least of what it would have cost
 * with any part of that refunded. InRange a tier less costs less, so the bottoms of tiers suffice.
 */
export function owed(rates: Rates, quantity: bigint, refunded: bigint): bigint {
  const left = quantity - refunded;
  let least = costOf(rates, left);
  for (const { upTo } of rates.tiers) {
    if (upTo === null || upTo < left || upTo >= quantity) continue;
    const cost = costOf(rates, upTo + 1n);
    if (cost < least) least = cost;
  }
  return least;
}

/** Half to even, in the smallest coin of the currency; amounts here are 0 or more. */
function toCoins(amount: bigint, coin: bigint): bigint {
  const down = amount - (amount % coin);
  const twice = 2n * (amount - down);
  const up = twice > coin || (twice === coin && (down / coin) % 2n === 1n);
  return up ? down + coin : down;
}

function digitsOf(currency: string): number {
  const { maximumFractionDigits } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  return maximumFractionDigits ?? 2;
}
