/** The shape of a plan's allowance, and how its period and rollover are written. */
import { z } from 'zod';
import type { Allowance } from '../plan.ts';
import type { Integers } from './scalar-schemas.ts';
import { formatValidity, parseValidity } from './validity.ts';

/** "month", or a length as validity writes it; there is no allowance that never comes again. */
const every = z.string().transform((written, context): Allowance['every'] => {
  if (written === 'month') return written;
  const length = parseValidity(written);
  if (length) return length;
  context.addIssue('must be month, or whole months or days such as 30 days');
  return z.NEVER;
});

const rollover = (integers: Integers, creditsMax: bigint) =>
  z.union(
    [
      z.enum(['none', 'all']),
      z
        .strictObject({ up_to: integers(1n, creditsMax) })
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
    credits: integers(1n, creditsMax),
    every,
    rollover: rollover(integers, creditsMax),
  });

/** The allowance as `allowanceSchema` reads it from JSON. */
export const allowanceToJson = ({ credits, every, rollover }: Allowance) => ({
  credits: `${credits}`,
  every: every === 'month' ? every : formatValidity(every),
  rollover: typeof rollover === 'string' ? rollover : { up_to: `${rollover.upTo}` },
});
