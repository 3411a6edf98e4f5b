/**
 * The schema of a plan's overage: its limit and the rates that price it, for the YAML of plan files
 * and for stored JSON. A line with only a `limit` is counted and not billed.
 */
import { z } from 'zod';
import type { OverageRates, OverageTier } from '../overage.ts';
import type { Terms } from '../plan.ts';
import type { Json } from './plan-json.ts';
import type { Integers } from './scalar-schemas.ts';
import { asList, asMapping } from './validation-error.ts';

/** The price of a credit may have more digits than its currency: it is often less than a cent. */
const UNIT_PRICE = /^(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$/;

const unitPrice = z
  .string({
    error: ({ input }) =>
      input === undefined
        ? 'missing key'
        : 'must be a decimal in quotes, such as "0.030": without them it is not exact',
  })
  .regex(UNIT_PRICE, 'must be 0 or more, a plain decimal with at most 9 digits after its point')
  .meta({ form: 'a decimal in quotes, such as `"0.030"`' });

const ratesShape = (integers: Integers) => ({
  mode: z.enum(['graduated', 'volume']),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 currency code, such as USD')
    .meta({ form: 'a currency code of ISO 4217, such as `USD`' }),
  tiers: z
    .array(
      z.strictObject({
        up_to: integers(1n).optional().describe('Its end, included. The last tier has none.'),
        price: unitPrice.describe('Of one credit.'),
      }),
    )
    .min(1)
    // Checked even if other parts of a tier are invalid.
    .superRefine(checkTierOrder, { when: ({ value }) => Array.isArray(value) })
    .transform((tiers) =>
      tiers.map(({ up_to, price }): OverageTier => ({ upTo: up_to ?? null, unitPrice: price })),
    ),
});

/** Tiers state only their end, so they leave no gap; the last has none, so every quantity has a tier. */
function checkTierOrder(value: unknown, context: z.RefinementCtx) {
  const tiers = asList(value).map((tier) => asMapping(tier)['up_to']);
  const addIssue = (index: number, message: string) =>
    context.addIssue({ code: 'custom', path: [index, 'up_to'], message });
  for (const [index, end] of tiers.entries()) {
    const last = index === tiers.length - 1;
    if (last && end !== undefined) addIssue(index, 'the last tier has no end: leave it out');
    if (!last && end === undefined) addIssue(index, 'missing key: only the last tier has no end');
    const before = tiers[index - 1];
    if (typeof end !== 'bigint' || typeof before !== 'bigint' || end > before) continue;
    addIssue(index, `overlaps the tier before, which ends at ${before}: tiers must ascend`);
  }
}

const RATE_KEYS = ['mode', 'currency', 'tiers'] as const;

/** Mode, currency and tiers are given together, or none of them. */
export function overageSchema(
  integers: Integers,
  limitMax: bigint,
): z.ZodType<NonNullable<Terms['overage']>> {
  const { mode, currency, tiers } = ratesShape(integers);
  return z
    .strictObject({
      limit: integers(1n, limitMax).describe(
        'Credits of overage in a calendar month, at most, in the time zone of the account.',
      ),
      mode: mode
        .optional()
        .describe(
          'Each tier prices its own part of a month, or the tier of the total prices all of it. ' +
            '`mode`, `currency` and `tiers` are given together; without them overage is counted and not billed.',
        ),
      currency: currency.optional().describe('Of the prices.'),
      tiers: tiers.optional().describe("Prices of a credit by the month's overage, ascending."),
    })
    .superRefine(
      (overage, context) => {
        const given = asMapping(overage);
        if (RATE_KEYS.every((key) => given[key] === undefined)) return;
        for (const key of RATE_KEYS)
          if (given[key] === undefined)
            context.addIssue({
              code: 'custom',
              path: [key],
              message: 'missing key: a line that is billed has a mode, a currency and tiers',
            });
      },
      { when: () => true },
    )
    .transform(({ limit, mode, currency, tiers }) => ({
      limit,
      rates: mode && currency && tiers ? { mode, currency, tiers } : null,
    }));
}

/** Rates as JSON, for a plan's terms and for statements. */
export const overageRatesToJson = ({ mode, currency, tiers }: OverageRates) => ({
  mode,
  currency,
  tiers: tiers.map(({ upTo, unitPrice: price }): { readonly [key: string]: Json } =>
    upTo === null ? { price } : { up_to: `${upTo}`, price },
  ),
});

/** The schema of rates, in YAML or as JSON. */
export const overageRatesSchema = (integers: Integers): z.ZodType<OverageRates> =>
  z.strictObject(ratesShape(integers));
