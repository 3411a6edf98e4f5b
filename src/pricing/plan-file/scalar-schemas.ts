/** The schemas of a plan file's scalars: numbers, texts, names, durations, money, instants. */
import { z } from 'zod';
import { parseMoney } from '../money.ts';
import { MAX_CREDITS, type Money, type Validity } from '../plan.ts';
import { canonicalTimeZone } from '../time-zone.ts';
import { formatDuration, MAX_DURATION_MS, parseDuration } from './duration.ts';
import { asMapping } from './validation-error.ts';
import { parseValidity } from './validity.ts';

/**
 * The schema of whole numbers. YAML has integers of any size. JSON readers turn numbers into doubles, so
 * stored JSON has them as decimal text. Everything else is the same in both.
 */
export type Integers = (min: bigint, max?: bigint) => z.ZodType<bigint>;

/** Whole numbers in YAML. 2.5, 1e3 and quoted numbers are errors. */
export const yamlIntegers: Integers = (min, max = MAX_CREDITS) => {
  const error = ({ input }: { readonly input?: unknown }) => describeIntegerError(input, min, max);
  return z.bigint({ error }).gte(min, { error }).lte(max, { error });
};

/** Whole numbers in JSON: decimal text. */
export const jsonIntegers: Integers = (min, max = MAX_CREDITS) =>
  z
    .string()
    .regex(/^(0|[1-9][0-9]{0,18})$/)
    .transform((digits) => BigInt(digits))
    .refine((value) => value >= min && value <= max);

function describeIntegerError(input: unknown, min: bigint, max: bigint): string {
  if (input === undefined) return 'missing key';
  if (typeof input === 'number') return 'must be a whole number, without a point or an exponent';
  if (typeof input === 'bigint' && input < 0n) return 'must not be negative';
  return `must be a whole number from ${min} to ${max}`;
}

/** One line of text for people. */
export const text = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, 'must be one line of text')
  .refine((value) => value.trim() === value, 'must not begin or end with a space')
  .meta({ form: 'one line of text' });

/** Name of a plan or pack. */
export const id = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter')
  .meta({ form: '1 to 63 of `a-z 0-9 _ -`, beginning with a letter' });

/** Name of an operation: words joined by points, such as image.resize. */
export const operationName = z
  .string()
  .regex(
    /^(?=.{1,128}$)[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/,
    'must be words of a-z, 0-9 and _ joined by points, at most 128 characters',
  )
  .meta({ form: 'words of `a-z 0-9 _` joined by points, such as `image.resize`' });

/**
 * Words that cannot name a quantity or attribute. They are reserved in CEL, except `constructor`: every
 * JavaScript object has that property, so every usage would seem to have the input.
 */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'as break const constructor continue else false for function if import in let loop namespace ' +
    'null package return true var void while'
  ).split(' '),
);

/** Name of a quantity or attribute, which a CEL expression can use as a variable. */
export const inputName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and _, beginning with a letter')
  .refine((name) => !RESERVED.has(name), 'is a reserved word')
  .meta({ form: '1 to 63 of `a-z 0-9 _`, beginning with a letter' });

/** A value of an attribute, exactly as usages give it. */
export const attributeValue = z
  .string()
  .regex(/^[^\p{Cc}]{1,64}$/u, 'must be 1 to 64 characters on one line')
  .meta({ form: '1 to 64 characters on one line' });

/** Milliseconds, from a duration such as 15m. */
export const durationMs = (minMs: number, maxMs = MAX_DURATION_MS) => {
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return z
    .string()
    .transform((value, context) => {
      const lengthMs = parseDuration(value);
      if (lengthMs !== null && lengthMs >= minMs && lengthMs <= maxMs) return lengthMs;
      context.addIssue(`must be a length of time such as 15m or 24h, ${range}`);
      return z.NEVER;
    })
    .meta({ form: `a length of time such as \`15m\`; \`s\`, \`m\`, \`h\` or \`d\`, ${range}` });
};

export const money = z
  .string()
  .transform((value, context): Money => {
    const parsed = parseMoney(value);
    if (typeof parsed !== 'string') return parsed;
    context.addIssue(parsed);
    return z.NEVER;
  })
  .meta({ form: 'an amount and a currency, such as `19.00 USD`' });

export const validity = z
  .string()
  .transform((value, context): Validity => {
    const parsed = parseValidity(value);
    if (parsed !== undefined) return parsed;
    context.addIssue('must be never, or whole months or days such as 12 months');
    return z.NEVER;
  })
  .meta({ form: '`never`, or whole months or days such as `12 months`' });

/**
 * A mapping whose keys are names. Reports an invalid name as well as an invalid value under it; zod's own
 * check of keys would skip the value.
 */
export const keyedBy = <T>(name: z.ZodType<string>, value: z.ZodType<T>) =>
  z.record(z.string(), value).superRefine(
    (record, context) => {
      for (const key of Object.keys(asMapping(record))) {
        const issue = name.safeParse(key).error?.issues[0];
        if (issue === undefined) continue;
        context.addIssue({ code: 'custom', path: [key], message: issue.message });
      }
    },
    { when: () => true },
  );

/** The canonical name of a time zone. */
export const timeZone = z
  .string()
  .transform((value, context): string => {
    const zone = canonicalTimeZone(value);
    if (zone !== null) return zone;
    context.addIssue('must be an IANA time zone such as Europe/Berlin');
    return z.NEVER;
  })
  .meta({ form: 'an IANA time zone such as `Europe/Berlin`' });

const INSTANT_PATTERN = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}:\d{2})(\.\d{1,3})?Z)?$/;

/** Epoch milliseconds, from an instant in UTC or from a date, which means its first moment in UTC. */
export const instant = z
  .string({ error: ({ input }) => (input === undefined ? 'missing key' : INSTANT_REASON) })
  .transform((value, context): number => {
    const [, date, time = '00:00:00', fraction = ''] = INSTANT_PATTERN.exec(value) ?? [];
    const at = Date.parse(`${date}T${time}${fraction}Z`);
    // Date.parse reads a day that does not exist, such as 30 February, as a later one.
    if (!Number.isNaN(at) && new Date(at).toISOString().startsWith(`${date}T${time}`)) return at;
    context.addIssue(INSTANT_REASON);
    return z.NEVER;
  })
  .meta({ form: 'a date such as `2027-01-01`, or an instant such as `2027-01-01T12:00:00Z`' });

const INSTANT_REASON =
  'must be a date such as 2027-01-01 or an instant such as 2027-01-01T12:00:00Z, in UTC';
