/** The schema of a plan's low-balance levels. */
import { z } from 'zod';
import {
  LEVELS_MAX,
  type LowBalanceLevel,
  levelName,
  parseLevelName,
} from '../low-balance-level.ts';
import type { Integers } from './scalar-schemas.ts';

/** A whole number of credits, or a percentage such as 10%. */
const levelSchema = (integers: Integers) =>
  z
    .unknown()
    .transform((value, context): LowBalanceLevel => {
      const percent = typeof value === 'string' && value.endsWith('%') && parseLevelName(value);
      if (percent) return percent;
      const credits = integers(1n).safeParse(value);
      if (credits.success) return { credits: credits.data };
      context.addIssue('must be a whole number of credits from 1, or a percentage from 1% to 100%');
      return z.NEVER;
    })
    .meta({ form: 'usable credits, or a percentage of what was granted, such as `10%`' });

export const levelsSchema = (integers: Integers): z.ZodType<readonly LowBalanceLevel[]> =>
  z
    .array(levelSchema(integers))
    .max(LEVELS_MAX)
    .superRefine((levels, context) => {
      const names = levels.map(levelName);
      for (const [index, name] of names.entries()) {
        const first = names.indexOf(name);
        if (first < index)
          context.addIssue({
            code: 'custom',
            path: [index],
            message: `is the same as low_balance_levels[${first}]`,
          });
      }
    });
