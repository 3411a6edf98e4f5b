/** A usage as a person writes it: `image.upscale scale_factor=8 format:png --count 3`. */
import type { Command } from 'commander';
import type { PricedUsage, Usage, Usages } from '../gen/billing/v1/pricing.ts';
import { argumentError } from './command.ts';
import { credits, ordinal } from './options.ts';
import { labelsText } from './print.ts';
import { table } from './table.ts';

export type UsageOptions = { readonly credits?: bigint; readonly count?: bigint };

/** `[operation] [values...]`, and `--count`. */
export const usageArguments = (command: Command): Command =>
  command
    .argument('[operation]')
    .argument('[value...]', 'its quantities and attributes, such as pages=3 or format:png')
    .option('--count <number>', 'how many times', ordinal);

/** The same, or `--credits`. */
export const chargeArguments = (command: Command): Command =>
  usageArguments(command).option('--credits <number>', 'so many credits, without a usage', credits);

/** A usage or a number of credits; undefined where neither is written. */
export function chargeOf(
  operation: string | undefined,
  values: readonly string[],
  { count, credits }: UsageOptions,
): { readonly usages: Usages } | { readonly credits: bigint } | undefined {
  if (operation !== undefined) {
    if (credits !== undefined) throw argumentError('either an operation or --credits');
    return { usages: { items: [usageOf(operation, values, count)] } };
  }
  if (count !== undefined) throw argumentError('--count is of an operation');
  return credits === undefined ? undefined : { credits };
}

/** As `chargeOf`, for calls that need one of the two. */
export function requireCharge(...of: Parameters<typeof chargeOf>) {
  const charge = chargeOf(...of);
  if (!charge) throw argumentError('an operation or --credits is needed');
  return charge;
}

/**
 * `name=3` is a quantity and `name=png` an attribute. An attribute whose value is a number is written `name:3`.
 * What the rate card does not know, the service refuses.
 */
export function usageOf(operation: string, values: readonly string[], count = 1n): Usage {
  const quantities = new Map<string, bigint>();
  const attributes = new Map<string, string>();
  for (const text of values) {
    const [, name, sign, value] = /^([^=:]+)([=:])(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined)
      throw argumentError(`${text} must be such as pages=3 or format:png`);
    if (quantities.has(name) || attributes.has(name)) throw argumentError(`${name} is there twice`);
    if (sign === '=' && /^-?\d{1,18}$/.test(value)) quantities.set(name, BigInt(value));
    else attributes.set(name, value);
  }
  return { operation, quantities, attributes, count };
}

/** A price, line by line. */
export const priceLines = (lines: readonly PricedUsage[]): readonly string[] =>
  lines.length === 0
    ? []
    : table(
        [
          { title: 'operation' },
          { title: 'quantities' },
          { title: 'count', align: 'right' },
          { title: 'each', align: 'right' },
          { title: 'credits', align: 'right' },
          { title: 'components' },
        ],
        lines.map(({ usage, unitCredits, credits, billable, components }) => [
          usage?.operation ?? '',
          [usage?.quantities, usage?.attributes]
            .map((map) => labelsText(map ?? new Map()))
            .filter(Boolean)
            .join(', '),
          String(usage?.count ?? 1n),
          String(unitCredits),
          billable ? String(credits) : 'free',
          components.map((one) => `${one.label} ${one.credits}`).join(' + '),
        ]),
      );
