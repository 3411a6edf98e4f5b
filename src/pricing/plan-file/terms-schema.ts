/** The schema of a plan's terms and packs, for the YAML of plan files and for stored JSON. */
import { z } from 'zod';
import type { LowBalanceLevel } from '../low-balance-level.ts';
import { LATE_USAGE_MAX_MS, type Pack, type Terms } from '../plan.ts';
import { allowanceSchema } from './allowance-schema.ts';
import { levelsSchema } from './level-schema.ts';
import { overageSchema } from './overage-schema.ts';
import {
  durationMs,
  type Integers,
  id,
  money,
  text,
  timeZone,
  validity,
} from './scalar-schemas.ts';

/** Amounts in terms are far below the largest int64, so that sums over an account fit as well. */
const TERM_CREDITS_MAX = 1_000_000_000_000_000n;

const DAY_MS = 86_400_000;

export const termsSchema = (integers: Integers): z.ZodType<Terms> =>
  z
    .strictObject({
      welcome: z
        .strictObject({
          credits: integers(1n, TERM_CREDITS_MAX).describe('How many.'),
          validity: validity.describe('How long they last.'),
        })
        .nullable()
        .default(null)
        .describe('Credits that each new account is given, once. Left out: none.'),
      allowance: allowanceSchema(integers, TERM_CREDITS_MAX)
        .nullable()
        .default(null)
        .describe('Credits that each account is given every period. Left out: none.'),
      overage: overageSchema(integers, TERM_CREDITS_MAX)
        .nullable()
        .default(null)
        .describe(
          'Usage that no grant covers, as on a postpaid plan. Left out: none; the plan is prepaid.',
        ),
      low_balance_levels: levelsSchema(integers)
        .optional()
        .describe('Below each of these a balance is low, and the event `balance.low` is written.'),
      low_balance_threshold: integers(0n)
        .optional()
        .describe('Short for one low-balance level, in credits. 0: no level.'),
      pause_floor: integers(0n)
        .default(0n)
        .describe(
          'Below so many available credits, work that is SHEDDABLE is refused. 0: none is.',
        ),
      reservation: reservationSchema.prefault({}).describe('How long reservations last.'),
      refund_expired: z
        .enum(['breakage', 'new_grant'])
        .default('breakage')
        .describe('What becomes of refunded credits whose grant has expired since.'),
      pay_owed: z
        .boolean()
        .default(false)
        .describe(
          'Whether later credits first pay what the account owes: usage beyond a reservation of the policy TAKE, and spent credits whose money was taken back. false: it is shown, and stays.',
        ),
      // A window of less than a day could not be told from a change of zone data.
      late_usage: durationMs(DAY_MS, LATE_USAGE_MAX_MS)
        .default(0)
        .describe(
          'How long after its use usage can be charged with `used_at`, to the month in which it happened, from 1d to 25d. Statements close so much later. Left out: not at all.',
        ),
      expiring_notice: durationMs(0)
        .default(7 * 24 * 3_600_000)
        .describe(
          'How long before a grant expires the event `grant.expiring` is written. 0s: never.',
        ),
      time_zone: timeZone
        .nullable()
        .default(null)
        .describe(
          'IANA name of the time zone of accounts that are opened without one of their own. Left out: UTC.',
        ),
    })
    .refine((terms) => !(terms.low_balance_levels && terms.low_balance_threshold !== undefined), {
      path: ['low_balance_threshold'],
      error: 'is short for one level: give it or low_balance_levels',
    })
    .transform(
      ({
        low_balance_levels,
        low_balance_threshold,
        pause_floor,
        refund_expired,
        pay_owed,
        late_usage,
        expiring_notice,
        time_zone,
        ...terms
      }) => ({
        ...terms,
        lowBalanceLevels: low_balance_levels ?? oneLevel(low_balance_threshold ?? 500n),
        pauseFloor: pause_floor,
        refundExpired: refund_expired,
        payOwed: pay_owed,
        lateUsageMs: late_usage,
        expiringNoticeMs: expiring_notice,
        timeZone: time_zone,
      }),
    );

/** A threshold of 0 is no level. */
const oneLevel = (credits: bigint): readonly LowBalanceLevel[] =>
  credits > 0n ? [{ credits }] : [];

const reservationSchema = z
  .strictObject({
    ttl: durationMs(1000)
      .default(15 * 60_000)
      .describe('Of a reservation that asks for no other time. At most `max_ttl`.'),
    max_ttl: durationMs(1000)
      .default(24 * 3_600_000)
      .describe('The longest time that a reservation may ask for, and be extended by.'),
    grace: durationMs(0)
      .default(5 * 60_000)
      .describe('How long after its expiry a reservation can still be committed.'),
  })
  .refine(({ ttl, max_ttl }) => ttl <= max_ttl, { path: ['ttl'], error: 'is longer than max_ttl' })
  .transform(({ ttl, max_ttl, grace }) => ({ ttlMs: ttl, maxTtlMs: max_ttl, graceMs: grace }));

export const packsSchema = (integers: Integers): z.ZodType<readonly Pack[]> =>
  z
    .array(
      z.strictObject({
        pack_id: id.describe('Id of the pack, unique within the plan.'),
        title: text.describe('For people to read.'),
        credits: integers(1n).describe('Credits that it grants.'),
        price: money.describe(
          'Its price: in a currency, and of an amount, that the payment provider takes.',
        ),
        validity: validity.describe('How long the credits last from the time of purchase.'),
      }),
    )
    .superRefine(
      (packs, context) => {
        for (const [index, pack] of packs.entries()) {
          const first = packs.findIndex((other) => other?.pack_id === pack?.pack_id);
          if (typeof pack?.pack_id !== 'string' || first === index) continue;
          context.addIssue({
            code: 'custom',
            path: [index, 'pack_id'],
            message: `is the same as that of packs[${first}]`,
          });
        }
      },
      // Checked even if other parts of a pack are invalid.
      { when: ({ value }) => Array.isArray(value) },
    )
    .transform((packs) => packs.map(({ pack_id: packId, ...pack }) => ({ packId, ...pack })));
