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
    title: text.describe('For people to read.'),
    billable: z
      .boolean()
      .describe(
        '`false`: it costs nothing, and has no components. Its use is recorded all the same.',
      ),
    quantities: keyedBy(inputName, quantitySchema(integers))
      .default({})
      .transform(withNames)
      .describe('What is measured, by name.'),
    attributes: keyedBy(inputName, attributeSchema)
      .default({})
      .transform(withNames)
      .describe('What else the price depends on, by name.'),
    components: z
      .array(componentSchema(integers))
      .default([])
      .describe(
        'The parts of the price, which is their sum. An operation that is billable has at least one.',
      ),
  });

export const quantitySchema = (integers: Integers): z.ZodType<NamelessQuantity> =>
  z
    .strictObject({
      title: text.describe('For people to read.'),
      unit: text.describe('For people to read, such as `page`.'),
      min: integers(0n).describe('A usage with less is refused.'),
      max: integers(1n).describe('A usage with more is refused.'),
      default: integers(0n)
        .nullable()
        .default(null)
        .describe('Of a usage that leaves it out. Left out: each usage must give it.'),
    })
    .refine(({ min, max }) => min <= max, { path: ['max'], error: 'is less than min' })
    .refine((of) => of.default === null || (of.default >= of.min && of.default <= of.max), {
      path: ['default'],
      error: 'is not between min and max',
    });

export const attributeSchema: z.ZodType<NamelessAttribute> = z
  .strictObject({
    title: text.describe('For people to read.'),
    values: z
      .array(attributeValue)
      .min(1)
      .refine((values) => new Set(values).size === values.length, 'names a value twice')
      .nullable()
      .default(null)
      .describe('The values that a usage may give. Left out: any text.'),
    default: attributeValue
      .nullable()
      .default(null)
      .describe('Of a usage that leaves it out. Left out: each usage must give it.'),
  })
  .refine((of) => of.default === null || of.values === null || of.values.includes(of.default), {
    path: ['default'],
    error: 'is not one of values',
  });

export const componentSchema = (integers: Integers): z.ZodType<Component> => {
  const label = text.describe('What an estimate calls this part of the price.');
  const credits = integers(0n);
  const quantity = inputName.describe('A quantity of the operation.');
  return z.discriminatedUnion('kind', [
    z
      .strictObject({
        kind: z.literal('flat'),
        label,
        credits: credits.describe('The price.'),
      })
      .describe('The same price whatever is measured.'),
    z
      .strictObject({
        kind: z.literal('per_unit'),
        label,
        quantity,
        credits: credits.describe('The price of one unit.'),
      })
      .describe('A price for each unit of a quantity.'),
    z
      .strictObject({
        kind: z.literal('tier'),
        label,
        quantity,
        steps: stepsSchema(integers).describe(
          'Ascending. The last reaches the `max` of the quantity.',
        ),
      })
      .describe('The price of the step that a quantity lies in.'),
    z
      .strictObject({
        kind: z.literal('attribute'),
        label,
        attribute: inputName.describe('An attribute of the operation.'),
        credits: keyedBy(attributeValue, credits)
          .refine((prices) => Object.keys(prices).length > 0, 'must price at least one value')
          .transform((prices): ReadonlyMap<string, bigint> => new Map(sortedByKey(prices)))
          .describe('The price of each value.'),
        default: z
          .union([z.literal('refuse'), credits], {
            error: ({ input }) =>
              input === undefined
                ? 'missing key: a number of credits, or the word refuse'
                : 'must be a whole number of credits, 0 or more, or the word refuse',
          })
          .describe('The price of any other value, or that a usage with one is refused.'),
      })
      .describe('The price of the value of an attribute.'),
    z
      .strictObject({
        kind: z.literal('cel'),
        label,
        expression: z
          .string()
          .min(1)
          .max(1000)
          .describe(
            'Whole numbers, text, the quantities and attributes of the operation by name, `+ - * / %`, ' +
              'comparison, logic, `? :` and `in`. Division truncates. It gives credits, 0 or more.',
          ),
      })
      .describe(
        'What the others cannot express, in the [Common Expression Language](https://cel.dev). At most one of an operation.',
      ),
  ]);
};

/**
 * A step states only its end, so steps cannot leave a gap. They overlap if one does not end above the
 * previous one. That is checked even if other parts of a step are invalid.
 */
const stepsSchema = (integers: Integers) =>
  z
    .array(
      z.strictObject({
        up_to: integers(0n).describe('Its end, included.'),
        credits: integers(0n).describe('The price.'),
      }),
    )
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
