/**
 * Rules on a plan file's money: packs have prices that the payment provider can process, and overage has a
 * currency that exists. They apply to files and not to stored plans, which must stay readable.
 */
import { findCurrency } from '../currencies.ts';
import { findPriceError } from '../provider-amount.ts';
import { money } from './scalar-schemas.ts';
import { asList, asMapping, parseOrUndefined, type ValidationError } from './validation-error.ts';

/** Errors of prices that have the right shape. Others are reported by the schema. */
export function priceErrors(content: unknown): readonly ValidationError[] {
  const { packs, terms } = asMapping(content);
  return [
    ...asList(packs).flatMap((pack, index) => packPriceErrors(pack, index)),
    ...overageCurrencyErrors(asMapping(terms).overage),
  ];
}

function packPriceErrors(pack: unknown, index: number): readonly ValidationError[] {
  const price = parseOrUndefined(money, asMapping(pack).price);
  const reason = price && findPriceError(price);
  return reason ? [{ path: ['packs', index, 'price'], reason }] : [];
}

function overageCurrencyErrors(overage: unknown): readonly ValidationError[] {
  const { currency } = asMapping(overage);
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) return [];
  if (findCurrency(currency)) return [];
  const reason = `${currency} is not a currency of ISO 4217`;
  return [{ path: ['terms', 'overage', 'currency'], reason }];
}
