/**
 * The schema of a rate card, for the YAML of plan files and for stored JSON, with the rules that concern
 * one part only. Rules that concern several parts are in operation-rules.ts. They apply to files and not
 * to stored rate cards, which must stay readable.
 */
import { z } from 'zod';
import type { Attribute, Component, Operation, Quantity, Step } from '../plan.ts';
import {
  attributeValue,
  type Integers,
  inputName,
  keyedBy,
  operationName,
  text,
} from './scalar-schemas.ts';

export type NamelessQuantity = Omit<Quantity, 'name'>;
export type NamelessAttribute = Omit<Attribute, 'name'>;

export const operationsSchema = (integers: Integers): z.ZodType<ReadonlyMap<string, Operation>> =>
  keyedBy(operationName, operationSchema(integers))
    .refine((operations) => Object.keys(operations).length > 0, 'must list at least one operation')
    .transform((operations) => {
      const entries = sortedByKey(operations);
      return new Map(entries.map(([operation, priced]) => [operation, { operation, ...priced }]));
    });

const operationSchema = (integers: Integers) =>
  z.strictObject({
    title: text,
    billable: z.boolean(),
    quantities: keyedBy(inputName, quantitySchema(integers)).default({}).transform(withNames),
    attributes: keyedBy(inputName, attributeSchema).default({}).transform(withNames),
    components: z.array(componentSchema(integers)).default([]),
  });

export const quantitySchema = (integers: Integers): z.ZodType<NamelessQuantity> =>
  z
    .strictObject({
      title: text,
      unit: text,
      min: integers(0n),
      max: integers(1n),
      default: integers(0n).nullable().default(null),
    })
    .refine(({ min, max }) => min <= max, { path: ['max'], error: 'is less than min' })
    .refine((of) => of.default === null || (of.default >= of.min && of.default <= of.max), {
      path: ['default'],
      error: 'is not between min and max',
    });

export const attributeSchema: z.ZodType<NamelessAttribute> = z
  .strictObject({
    title: text,
    values: z
      .array(attributeValue)
      .min(1)
      .refine((values) => new Set(values).size === values.length, 'names a value twice')
      .nullable()
      .default(null),
    default: attributeValue.nullable().default(null),
  })
  .refine((of) => of.default === null || of.values === null || of.values.includes(of.default), {
    path: ['default'],
    error: 'is not one of values',
  });

export const componentSchema = (integers: Integers): z.ZodType<Component> => {
  const label = text;
  const credits = integers(0n);
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('flat'), label, credits }),
    z.strictObject({ kind: z.literal('per_unit'), label, quantity: inputName, credits }),
    z.strictObject({
      kind: z.literal('tier'),
      label,
      quantity: inputName,
      steps: stepsSchema(integers),
    }),
    z.strictObject({
      kind: z.literal('attribute'),
      label,
      attribute: inputName,
      credits: keyedBy(attributeValue, credits)
        .refine((prices) => Object.keys(prices).length > 0, 'must price at least one value')
        .transform((prices): ReadonlyMap<string, bigint> => new Map(sortedByKey(prices))),
      default: z.union([z.literal('refuse'), credits], {
        error: ({ input }) =>
          input === undefined
            ? 'missing key: a number of credits, or the word refuse'
            : 'must be a whole number of credits, 0 or more, or the word refuse',
      }),
    }),
    z.strictObject({
      kind: z.literal('cel'),
      label,
      expression: z.string().min(1).max(1000),
    }),
  ]);
};

/**
 * A step states only its end, so steps cannot leave a gap. They overlap if one does not end above the
 * previous one. That is checked even if other parts of a step are invalid.
 */
const stepsSchema = (integers: Integers) =>
  z
    .array(z.strictObject({ up_to: integers(0n), credits: integers(0n) }))
    .min(1)
    .superRefine(
      (steps, context) => {
        for (const [index, step] of steps.entries()) {
          const before = steps[index - 1]?.up_to;
          if (typeof before !== 'bigint' || typeof step?.up_to !== 'bigint') continue;
          if (step.up_to > before) continue;
          context.addIssue({
            code: 'custom',
            path: [index, 'up_to'],
            message: `overlaps the step before, which ends at ${before}: steps must ascend`,
          });
        }
      },
      { when: ({ value }) => Array.isArray(value) },
    )
    .transform((steps): readonly Step[] =>
      steps.map(({ up_to, credits }) => ({ upTo: up_to, credits })),
    );

/** The entries sorted by key: YAML and jsonb have orders of their own. */
function sortedByKey<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function withNames<T>(
  record: Readonly<Record<string, T>>,
): ReadonlyMap<string, T & { name: string }> {
  return new Map(sortedByKey(record).map(([name, value]) => [name, { ...value, name }]));
}
