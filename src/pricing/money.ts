/**
 * Exact arithmetic on money. A decimal is a whole number and the count of digits after its point, so
 * nothing is rounded unless a function says so, and no float is involved.
 */
import { findCurrency } from './currencies.ts';
import type { Money } from './plan.ts';

const MONEY = /^(-?)([0-9]{1,15})(?:\.([0-9]+))? ([A-Z]{3})$/;

/**
 * Parses a price such as "19.00 USD". The amount gets as many digits as the currency has ("19 USD" is
 * "19.00"), so equal prices have equal text. Returns the reason as text if it is not a price: wrong format,
 * negative, zero, or more digits than the currency has. Whether the currency exists and the price can be
 * paid is `findPriceError`'s to say: stored prices stay readable.
 */
export function parseMoney(text: string): Money | string {
  const match = MONEY.exec(text);
  if (match === null) {
    return 'must be an amount and an ISO 4217 currency code, such as 19.00 USD';
  }
  const [, sign, whole = '', fraction = '', currency = ''] = match;
  const digits = digitsOf(currency);
  if (sign === '-') return 'must not be negative';
  const most = findCurrency(currency) ? digits : SCALE_MAX;
  if (fraction.length > most) return `has more than the ${most} decimals of ${currency}`;
  if (BigInt(whole + fraction) === 0n) return 'must be more than 0';
  const scale = Math.max(digits, fraction.length);
  const money = { units: BigInt(whole + fraction.padEnd(scale, '0')), scale };
  return { currency, amount: formatDecimal(money) };
}

/** The text that `parseMoney` parses. */
export function formatMoney(money: Money): string {
  return `${money.amount} ${money.currency}`;
}

/** `factor` is 0 or more. */
export function multiplyMoney(money: Money, factor: bigint): Money {
  const { units, scale } = parseDecimal(money.amount);
  return { currency: money.currency, amount: formatDecimal({ units: units * factor, scale }) };
}

/** The exact sum of amounts, with at least the currency's digits. Amounts may be negative. */
export function sumMoney(currency: string, amounts: readonly string[]): Money {
  const all = amounts.map(parseDecimal);
  const scale = Math.max(digitsOf(currency), ...all.map((amount) => amount.scale));
  const units = all.reduce((sum, amount) => sum + unitsAtScale(amount, scale), 0n);
  return { currency, amount: formatDecimal({ units, scale }) };
}

/** a − b, in the currency of `a`. */
export function subtractMoney(a: Money, b: Money): Money {
  const { units, scale } = parseDecimal(b.amount);
  return sumMoney(a.currency, [a.amount, formatDecimal({ units: -units, scale })]);
}

/** Compares for `toSorted`: by currency code, then by amount. */
export function compareMoney(a: Money, b: Money): number {
  if (a.currency !== b.currency) return a.currency < b.currency ? -1 : 1;
  const left = parseDecimal(a.amount);
  const right = parseDecimal(b.amount);
  const scale = Math.max(left.scale, right.scale);
  const difference = unitsAtScale(left, scale) - unitsAtScale(right, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** whole × part ÷ of, rounded down; all of `whole` where `part` is `of` or more. Amounts are 0 or more. */
export function shareOf(whole: bigint, part: string, of: string): bigint {
  const [taken, all] = [parseDecimal(part), parseDecimal(of)];
  const scale = Math.max(taken.scale, all.scale);
  const [numerator, denominator] = [unitsAtScale(taken, scale), unitsAtScale(all, scale)];
  if (numerator === 0n) return 0n;
  return numerator >= denominator ? whole : (whole * numerator) / denominator;
}

/** The price of one of `parts` equal parts (1 or more), rounded half to even to 9 digits. */
export function divideMoney(money: Money, parts: bigint): Money {
  const { units, scale } = parseDecimal(money.amount);
  const whole = units * 10n ** BigInt(Math.max(SCALE_MAX - scale, 0));
  const divisor = parts * 10n ** BigInt(Math.max(scale - SCALE_MAX, 0));
  const twiceRest = (whole % divisor) * 2n;
  const floor = whole / divisor;
  const up = twiceRest > divisor || (twiceRest === divisor && floor % 2n === 1n);
  const amount = formatDecimal({ units: up ? floor + 1n : floor, scale: SCALE_MAX });
  return trimZeros({ currency: money.currency, amount });
}

/** The same amount without zeros at its end, and with at least the currency's digits. */
export function trimZeros({ currency, amount }: Money): Money {
  let { units, scale } = parseDecimal(amount);
  const digits = digitsOf(currency);
  for (; scale < digits; scale++) units *= 10n;
  for (; scale > digits && units % 10n === 0n; scale--) units /= 10n;
  return { currency, amount: formatDecimal({ units, scale }) };
}

/** The most digits after the point that an amount has anywhere. */
const SCALE_MAX = 9;

/** The number units / 10^scale. */
export type Decimal = { readonly units: bigint; readonly scale: number };

/** Parses a plain decimal such as "-12.50". */
export function parseDecimal(amount: string): Decimal {
  const [whole = '', fraction = ''] = amount.split('.');
  return { units: BigInt(whole + fraction), scale: fraction.length };
}

/** Rounds to `digits` after the point, half to even. */
export function roundHalfEven({ units, scale }: Decimal, digits: number): Decimal {
  if (scale <= digits) return { units: units * 10n ** BigInt(digits - scale), scale: digits };
  const divisor = 10n ** BigInt(scale - digits);
  const rest = units % divisor;
  const cut = units / divisor;
  const twice = 2n * (rest < 0n ? -rest : rest);
  const away = twice > divisor || (twice === divisor && cut % 2n !== 0n);
  return { units: away ? cut + (units < 0n ? -1n : 1n) : cut, scale: digits };
}

/** The units of the same number at a scale that is not smaller. */
const unitsAtScale = ({ units, scale }: Decimal, to: number): bigint =>
  units * 10n ** BigInt(to - scale);

/** The plain decimal, with `scale` digits after its point. */
export function formatDecimal({ units, scale }: Decimal): string {
  const sign = units < 0n ? '-' : '';
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** The currency's digits after the point (ISO 4217): 2 for USD, 0 for JPY, 3 for KWD, 2 if unknown. */
export const digitsOf = (currency: string): number => findCurrency(currency)?.decimals ?? 2;
