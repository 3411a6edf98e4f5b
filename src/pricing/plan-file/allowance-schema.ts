/** The schema of a plan's allowance: its credits, period and rollover. */
import { z } from 'zod';
import type { Allowance } from '../plan.ts';
import type { Integers } from './scalar-schemas.ts';
import { formatValidity, parseValidity } from './validity.ts';

/** "month", or a length such as "30 days", but not "never". */
const every = z
  .string()
  .transform((value, context): Allowance['every'] => {
    if (value === 'month') return value;
    const length = parseValidity(value);
    if (length) return length;
    context.addIssue('must be month, or whole months or days such as 30 days');
    return z.NEVER;
  })
  .meta({ form: '`month`, or whole months or days such as `30 days`' });

const rollover = (integers: Integers, creditsMax: bigint) =>
  z.union(
    [
      z.enum(['none', 'all']),
      z
        .strictObject({
          up_to: integers(1n, creditsMax).describe('Credits of all periods together.'),
        })
        .transform(({ up_to }) => ({ upTo: up_to })),
    ],
    {
      error: ({ input }) =>
        input === undefined
          ? 'missing key'
          : `must be none, all or { up_to: credits }, from 1 to ${creditsMax}`,
    },
  );

export const allowanceSchema = (integers: Integers, creditsMax: bigint) =>
  z.strictObject({
    credits: integers(1n, creditsMax).describe('How many, each period.'),
    every: every.describe(
      'The period: the calendar month, or a length that is counted from the opening; in the time zone of the account.',
    ),
    rollover: rollover(integers, creditsMax).describe(
      'What is left at the end of a period and carried into the next.',
    ),
  });

/** The allowance as JSON that `allowanceSchema` parses. */
export const allowanceToJson = ({ credits, every, rollover }: Allowance) => ({
  credits: `${credits}`,
  every: every === 'month' ? every : formatValidity(every),
  rollover: typeof rollover === 'string' ? rollover : { up_to: `${rollover.upTo}` },
});
