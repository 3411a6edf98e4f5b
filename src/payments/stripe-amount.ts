/**
 * Amounts in Stripe's form: a whole number of the smallest unit of the currency. Stripe's smallest unit
 * differs from that of ISO 4217 for some currencies (https://docs.stripe.com/currencies).
 */
import type { Money } from '../pricing/plan.ts';

const WITHOUT_DECIMALS = 'BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' ');
/** The last decimal must be zero. */
const WITH_THREE_DECIMALS = ['BHD', 'JOD', 'KWD', 'OMR', 'TND'];
/** Sent with two decimals, which must be zero. */
const WHOLE_IN_HUNDREDTHS = ['ISK', 'UGX'];

const decimalsOf = (currency: string): number => {
  if (WITHOUT_DECIMALS.includes(currency)) return 0;
  return WITH_THREE_DECIMALS.includes(currency) ? 3 : 2;
};

/** Null where Stripe cannot represent the amount exactly: it is never rounded. */
export function toStripeAmount({ currency, amount }: Money): number | null {
  const decimals = decimalsOf(currency);
  const [whole = '', fraction = ''] = amount.split('.');
  const digits = fraction.slice(0, decimals).padEnd(decimals, '0');
  if (/[1-9]/.test(fraction.slice(decimals))) return null;
  if (WHOLE_IN_HUNDREDTHS.includes(currency) && /[1-9]/.test(digits)) return null;
  if (decimals === 3 && !digits.endsWith('0')) return null;
  const units = Number(whole + digits);
  return Number.isSafeInteger(units) ? units : null;
}

/** The exact decimal of an amount from Stripe. */
export function fromStripeAmount(currency: string, units: bigint): string {
  const decimals = decimalsOf(currency);
  const digits = units.toString().padStart(decimals + 1, '0');
  return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}
