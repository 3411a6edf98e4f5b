/**
 * Amounts in the payment provider's form, a whole number of the smallest unit of the currency, and which
 * prices it can process. Nothing is rounded.
 */
import { findCurrency, type ProviderTerms } from './currencies.ts';
import { formatDecimal, formatMoney, parseDecimal } from './money.ts';
import type { Money } from './plan.ts';

/** Null where the provider cannot represent the amount exactly. */
export function toProviderAmount({ currency, amount }: Money): bigint | null {
  const { decimals, step } = unitOf(currency);
  const { units, scale } = parseDecimal(amount);
  const surplus = 10n ** BigInt(Math.max(scale - decimals, 0));
  if (units % surplus !== 0n) return null;
  const smallest = (units * 10n ** BigInt(Math.max(decimals - scale, 0))) / surplus;
  return smallest % step === 0n ? smallest : null;
}

/** The exact decimal of an amount from the provider. */
export const fromProviderAmount = (currency: string, units: bigint): string =>
  formatDecimal({ units, scale: unitOf(currency).decimals });

/** Why nobody could pay this price at the provider; null: it can be paid. */
export function findPriceError(price: Money): string | null {
  const { currency } = price;
  const known = findCurrency(currency);
  if (!known) return `${currency} is not a currency of ISO 4217`;
  if (!known.provider) return `the payment provider does not take ${currency}`;
  const { step, minimum, maximum } = known.provider;
  const format = (units: bigint) =>
    formatMoney({ currency, amount: fromProviderAmount(currency, units) });
  const units = toProviderAmount(price);
  if (units === null) return `the payment provider takes ${currency} in steps of ${format(step)}`;
  if (units < minimum) return `is below the payment provider's minimum of ${format(minimum)}`;
  if (units > maximum) return `is above the payment provider's maximum of ${format(maximum)}`;
  return null;
}

/** A currency that the provider does not take may still be in the database. */
const unitOf = (currency: string): Pick<ProviderTerms, 'decimals' | 'step'> =>
  findCurrency(currency)?.provider ?? {
    decimals: findCurrency(currency)?.decimals ?? 2,
    step: 1n,
  };
