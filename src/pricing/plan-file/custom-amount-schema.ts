/** The schema of custom amounts, for the YAML of plan files and for stored JSON. */
import { z } from 'zod';
import type { CustomAmount } from '../custom-amount.ts';
import { overageRatesSchema, overageRatesToJson } from './overage-schema.ts';
import type { Json } from './plan-json.ts';
import { type Integers, id, text, validity } from './scalar-schemas.ts';
import { formatValidity } from './validity.ts';

/** Far below the largest int64, so that a price is computed exactly and an account can hold many. */
const AMOUNT_MAX = 1_000_000_000_000n;

export const customAmountsSchema = (integers: Integers): z.ZodType<readonly CustomAmount[]> =>
  z.array(
    z
      .strictObject({
        pack_id: id.describe('Its id where purchases name a pack; differs from those of packs.'),
        title: text.describe('For people to read: what one credit is called.'),
        minimum: integers(1n, AMOUNT_MAX).describe('The fewest credits of one purchase.'),
        maximum: integers(1n, AMOUNT_MAX).describe('The most credits of one purchase.'),
        rates: overageRatesSchema(integers).describe(
          "Prices of a credit by the credits of one purchase. `graduated`: each tier prices its own part; `volume`: the tier of all of them prices each. Each tier's amount is rounded half to even to the digits of the currency.",
        ),
        validity: validity.describe('How long the credits last from the time of purchase.'),
      })
      .refine(({ minimum, maximum }) => minimum <= maximum, {
        path: ['maximum'],
        error: 'is less than the minimum',
      })
      .transform(
        ({ pack_id: packId, minimum: min, maximum: max, ...amount }): CustomAmount => ({
          packId,
          ...amount,
          min,
          max,
        }),
      ),
  );

export const customAmountToJson = ({
  packId,
  title,
  min,
  max,
  rates,
  validity: length,
}: CustomAmount): Json => ({
  pack_id: packId,
  title,
  minimum: `${min}`,
  maximum: `${max}`,
  rates: overageRatesToJson(rates),
  validity: formatValidity(length),
});
