/**
 * Rules on a plan file's money: packs and custom amounts have prices that the payment provider can process, and
 * overage has a currency that exists. They apply to files and not to stored plans, which must stay readable.
 */
import { findCurrency } from '../currencies.ts';
import { findAmountError } from '../custom-amount.ts';
import { findPriceError } from '../provider-amount.ts';
import { customAmountsSchema } from './custom-amount-schema.ts';
import { money, yamlIntegers } from './scalar-schemas.ts';
import { asList, asMapping, parseOrUndefined, type ValidationError } from './validation-error.ts';

/** Errors of prices that have the right shape. Others are reported by the schema. */
export function priceErrors(content: unknown): readonly ValidationError[] {
  const { packs, terms, custom_amounts: amounts } = asMapping(content);
  return [
    ...asList(packs).flatMap((pack, index) => packPriceErrors(pack, index)),
    ...asList(amounts).flatMap((amount, index) => amountErrors(asList(packs), amount, index)),
    ...sameIdErrors(asList(amounts)),
    ...overageCurrencyErrors(asMapping(terms).overage),
  ];
}

function packPriceErrors(pack: unknown, index: number): readonly ValidationError[] {
  const price = parseOrUndefined(money, asMapping(pack).price);
  const reason = price && findPriceError(price);
  return reason ? [{ path: ['packs', index, 'price'], reason }] : [];
}

/** What cannot be paid, and an id that a pack has. */
function amountErrors(
  packs: readonly unknown[],
  amount: unknown,
  index: number,
): readonly ValidationError[] {
  const { pack_id: packId } = asMapping(amount);
  const errors: ValidationError[] = [];
  const taken = packs.findIndex((pack) => asMapping(pack).pack_id === packId);
  if (typeof packId === 'string' && taken >= 0)
    errors.push({
      path: ['custom_amounts', index, 'pack_id'],
      reason: `is the same as that of packs[${taken}]`,
    });
  const [parsed] = parseOrUndefined(customAmountsSchema(yamlIntegers), [amount]) ?? [];
  const reason = parsed && findAmountError(parsed);
  if (reason) errors.push({ path: ['custom_amounts', index, 'rates'], reason });
  return errors;
}

function sameIdErrors(amounts: readonly unknown[]): readonly ValidationError[] {
  const ids = amounts.map((amount) => asMapping(amount).pack_id);
  return ids.flatMap((id, index) => {
    const first = ids.indexOf(id);
    if (typeof id !== 'string' || first === index) return [];
    const reason = `is the same as that of custom_amounts[${first}]`;
    return [{ path: ['custom_amounts', index, 'pack_id'], reason }];
  });
}

function overageCurrencyErrors(overage: unknown): readonly ValidationError[] {
  const { currency } = asMapping(overage);
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) return [];
  if (findCurrency(currency)) return [];
  const reason = `${currency} is not a currency of ISO 4217`;
  return [{ path: ['terms', 'overage', 'currency'], reason }];
}
