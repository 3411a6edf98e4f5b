/**
 * Amounts as Stripe writes them: a whole number of its own smallest unit of each currency, which is
 * not always that of ISO 4217 (https://docs.stripe.com/currencies).
 */
import type { Money } from '../pricing/plan.ts';

const WITHOUT_DECIMALS = 'BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' ');
const WITH_THREE = ['BHD', 'JOD', 'KWD', 'OMR', 'TND'];
/** Sent with two decimals, which must be zero. */
const WHOLE_IN_HUNDREDTHS = ['ISK', 'UGX'];

const decimalsOf = (currency: string): number => {
  if (WITHOUT_DECIMALS.includes(currency)) return 0;
  return WITH_THREE.includes(currency) ? 3 : 2;
};

/** The amount as Stripe takes it; null where Stripe has no such amount: nothing here rounds. */
export function stripeAmount({ currency, amount }: Money): number | null {
  const decimals = decimalsOf(currency);
  const [whole = '', fraction = ''] = amount.split('.');
  const kept = fraction.slice(0, decimals).padEnd(decimals, '0');
  if (/[1-9]/.test(fraction.slice(decimals))) return null;
  if (WHOLE_IN_HUNDREDTHS.includes(currency) && /[1-9]/.test(kept)) return null;
  // Of three decimals the last must be zero.
  if (decimals === 3 && !kept.endsWith('0')) return null;
  const units = Number(whole + kept);
  return Number.isSafeInteger(units) ? units : null;
}

/** Exact decimal of an amount that Stripe gave. */
export function decimalOfStripe(currency: string, units: bigint): string {
  const decimals = decimalsOf(currency);
  const digits = units.toString().padStart(decimals + 1, '0');
  return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}
