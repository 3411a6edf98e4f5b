/**
 * Exact arithmetic on money. An amount is held as a whole number and the count of digits after its
 * point, so nothing here rounds and nothing passes through a float.
 */
import type { Money } from './plan.ts';

const MONEY = /^(-?)([0-9]{1,15})(?:\.([0-9]+))? ([A-Z]{3})$/;

/**
 * Reads a price such as "19.00 USD". The amount is written out to as many digits as the currency
 * has ("19 USD" is "19.00"), so that equal prices have equal text. Returns why not, as text, where
 * it is no price: wrong shape, negative, zero, or more digits than the currency has.
 */
export function parseMoney(text: string): Money | string {
  const match = MONEY.exec(text);
  if (match === null) {
    return 'must be an amount and an ISO 4217 currency code, such as 19.00 USD';
  }
  const [, sign, whole = '', fraction = '', currency = ''] = match;
  const digits = digitsOf(currency);
  if (sign === '-') return 'must not be negative';
  if (fraction.length > digits) return `has more than the ${digits} decimals of ${currency}`;
  if (BigInt(whole + fraction) === 0n) return 'must be more than 0';
  const money = { units: BigInt(whole + fraction.padEnd(digits, '0')), scale: digits };
  return { currency, amount: formatDecimal(money) };
}

/** The text `parseMoney` reads. */
export function formatMoney(money: Money): string {
  return `${money.amount} ${money.currency}`;
}

/** `money` taken `times` times; `times` is 0 or more. */
export function multiplyMoney(money: Money, times: bigint): Money {
  const { units, scale } = parseDecimal(money.amount);
  return { currency: money.currency, amount: formatDecimal({ units: units * times, scale }) };
}

/**
 * Orders by currency code first, then by amount: amounts of two currencies have no order of their
 * own. Negative, zero or positive, as `toSorted` wants it.
 */
export function compareMoney(a: Money, b: Money): number {
  if (a.currency !== b.currency) return a.currency < b.currency ? -1 : 1;
  const left = parseDecimal(a.amount);
  const right = parseDecimal(b.amount);
  const scale = Math.max(left.scale, right.scale);
  const difference = scaled(left, scale) - scaled(right, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/**
 * The price of one of `parts` equal parts: exact where 9 digits after the point suffice, else rounded
 * to 9, half to even. `parts` is 1 or more.
 */
export function divideMoney(money: Money, parts: bigint): Money {
  const { units, scale } = parseDecimal(money.amount);
  const whole = units * 10n ** BigInt(Math.max(SCALE_MAX - scale, 0));
  const by = parts * 10n ** BigInt(Math.max(scale - SCALE_MAX, 0));
  const twiceRest = (whole % by) * 2n;
  const floor = whole / by;
  const up = twiceRest > by || (twiceRest === by && floor % 2n === 1n);
  const amount = formatDecimal({ units: up ? floor + 1n : floor, scale: SCALE_MAX });
  return trimZeros({ currency: money.currency, amount });
}

/** The same amount with the currency's digits after the point, or as many more as it needs. */
export function trimZeros({ currency, amount }: Money): Money {
  let { units, scale } = parseDecimal(amount);
  const digits = digitsOf(currency);
  for (; scale < digits; scale++) units *= 10n;
  for (; scale > digits && units % 10n === 0n; scale--) units /= 10n;
  return { currency, amount: formatDecimal({ units, scale }) };
}

/** Most digits after the point that money has anywhere. */
const SCALE_MAX = 9;

/** units / 10^scale. */
export type Decimal = { readonly units: bigint; readonly scale: number };

/** A plain decimal, exactly. */
export function parseDecimal(amount: string): Decimal {
  const [whole = '', fraction = ''] = amount.split('.');
  return { units: BigInt(whole + fraction), scale: fraction.length };
}

/** To `digits` after the point; where two are equally near, the even one. */
export function roundHalfEven({ units, scale }: Decimal, digits: number): Decimal {
  if (scale <= digits) return { units: units * 10n ** BigInt(digits - scale), scale: digits };
  const divisor = 10n ** BigInt(scale - digits);
  const rest = units % divisor;
  const cut = units / divisor;
  const twice = 2n * (rest < 0n ? -rest : rest);
  const away = twice > divisor || (twice === divisor && cut % 2n !== 0n);
  return { units: away ? cut + (units < 0n ? -1n : 1n) : cut, scale: digits };
}

function scaled(amount: Decimal, scale: number): bigint {
  return amount.units * 10n ** BigInt(scale - amount.scale);
}

/** The plain decimal, with as many digits after its point as the scale. */
export function formatDecimal({ units, scale }: Decimal): string {
  const sign = units < 0n ? '-' : '';
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const DIGITS = new Map<string, number>();

/** Digits after the point in ISO 4217: 2 for USD, 0 for JPY, 3 for KWD; 2 for unknown codes. */
export function digitsOf(currency: string): number {
  const known = DIGITS.get(currency);
  if (known !== undefined) return known;
  const format = new Intl.NumberFormat('en', { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  DIGITS.set(currency, digits);
  return digits;
}
