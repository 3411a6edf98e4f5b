/** Prices in words, and what changed between two rate cards. */
import { big, counted, credits, validity } from '../format.ts';
import type { Operation, PriceComponent, RateCard, Terms } from '../messages.ts';

const each = (value: string | undefined): string => credits(value);

/** "1 per page", "2 up to 1,000,000; 3 up to 4,000,000 of output_pixels". */
export function componentText(component: PriceComponent, operation: Operation): string {
  const { flat, perUnit, tier, attribute, cel } = component;
  if (flat !== undefined) return each(flat);
  if (perUnit) {
    const unit = operation.quantities?.find(({ name }) => name === perUnit.quantity)?.unit;
    return `${each(perUnit.credits)} per ${unit ?? perUnit.quantity}`;
  }
  if (tier)
    return (tier.tiers ?? [])
      .map(({ upTo, credits: price }) =>
        upTo === undefined ? `${each(price)} above` : `${each(price)} up to ${credits(upTo)}`,
      )
      .join('; ');
  if (attribute) {
    const { credits: prices = {}, defaultCredits } = attribute;
    const byPrice = Map.groupBy(Object.keys(prices), (value) => prices[value] ?? '0');
    const texts = [...byPrice]
      .toSorted(([a], [b]) => Number(big(a) - big(b)))
      .map(([price, values]) => `${each(price)} for ${values.join(', ')}`);
    return [
      ...texts,
      defaultCredits === undefined ? 'others are refused' : `${each(defaultCredits)} for others`,
    ].join('; ');
  }
  return cel ?? '';
}

export const operationText = (operation: Operation): string =>
  operation.billable === false || (operation.components ?? []).length === 0
    ? 'free of charge'
    : (operation.components ?? [])
        .map((component) => `${component.label}: ${componentText(component, operation)}`)
        .join(' + ');

/** "50 credits every month", "50 credits every 14 days". */
export const allowanceText = ({
  credits: amount,
  period,
  length,
}: NonNullable<Terms['allowance']>): string =>
  `${counted(amount, 'credit')} every ${period === 'PERIOD_MONTH' ? 'month' : validity(length)}`;

export type PriceChange = {
  readonly operation: string;
  readonly kind: 'added' | 'removed' | 'changed';
  readonly before: string;
  readonly after: string;
};

/** Operations whose price, inputs or being free differ. */
export function changesBetween(
  before: RateCard | undefined,
  after: RateCard,
): readonly PriceChange[] {
  const old = new Map(before?.operations?.map((one) => [one.operation ?? '', one]));
  const present = new Map(after.operations?.map((one) => [one.operation ?? '', one]));
  const names = [...new Set([...old.keys(), ...present.keys()])].toSorted();
  return names.flatMap((operation): readonly PriceChange[] => {
    const [was, is] = [old.get(operation), present.get(operation)];
    const texts = { before: was ? termsText(was) : '', after: is ? termsText(is) : '' };
    if (!was) return [{ operation, kind: 'added', ...texts }];
    if (!is) return [{ operation, kind: 'removed', ...texts }];
    if (JSON.stringify(was) === JSON.stringify(is)) return [];
    return [{ operation, kind: 'changed', ...texts }];
  });
}

const termsText = (operation: Operation): string =>
  [operationText(operation), ...inputTexts(operation)].join('; ');

/** "pages: 1 to 10,000". */
export const inputTexts = ({ quantities = [], attributes = [] }: Operation): readonly string[] => [
  ...quantities.map(
    ({ name, unit, min, max, defaultValue }) =>
      `${name}: ${credits(min)} to ${credits(max)} ${unit ?? ''}${defaultValue === undefined ? '' : `, ${credits(defaultValue)} if left out`}`,
  ),
  ...attributes.map(
    ({ name, defaultValue }) =>
      `${name}${defaultValue === undefined ? '' : `: ${defaultValue} if left out`}`,
  ),
];
