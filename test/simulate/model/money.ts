/** Exact decimals of money, as the model computes them. */

const NANO = 1_000_000_000n;

/** "12.5" in billionths. */
export function toNanos(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.');
  return BigInt(whole) * NANO + BigInt(fraction.padEnd(9, '0'));
}

/** Billionths of a dollar as a decimal without zeros at its end, but with its cents. */
export function fromNanos(nanos: bigint): string {
  const whole = nanos / NANO;
  const fraction = `${nanos % NANO}`.padStart(9, '0').replace(/0+$/, '');
  return `${whole}.${fraction.padEnd(2, '0')}`;
}

export const multipliedPrice = (price: string, times: bigint): string =>
  fromNanos(toNanos(price) * times);

/** price ÷ parts, to 9 digits after the point, half to even. */
export function dividedPrice(price: string, parts: bigint): string {
  const nanos = toNanos(price);
  const down = nanos / parts;
  const twice = (nanos % parts) * 2n;
  const isUp = twice > parts || (twice === parts && down % 2n === 1n);
  return fromNanos(isUp ? down + 1n : down);
}
