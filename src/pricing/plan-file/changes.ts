/**
 * The `changes` of a plan file: dated changes of its prices. Each names the operations that it replaces,
 * adds or ends; all other operations stay as they are.
 */
import { z } from 'zod';
import { type Operation, type PriceChange, type RateCard, UNPUBLISHED } from '../plan.ts';
import { operationsSchema } from './rate-card-schema.ts';
import { type Integers, instant, operationName } from './scalar-schemas.ts';
import {
  asList,
  asMapping,
  type Path,
  parseOrUndefined,
  type ValidationError,
} from './validation-error.ts';

type Change = {
  readonly from: number;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly ends: readonly string[];
};

export const changesSchema = (integers: Integers): z.ZodType<readonly Change[]> =>
  z
    .array(
      z
        .strictObject({
          from: instant.describe('When it comes into force: a date means its first moment in UTC.'),
          operations: operationsSchema(integers)
            .optional()
            .describe('Each replaces the operation of its name, or adds one; written out in full.'),
          ends: z
            .array(operationName)
            .min(1)
            .optional()
            .describe('Operations that have no price from then on.'),
        })
        .refine(({ operations, ends }) => operations !== undefined || ends !== undefined, {
          error: 'changes nothing: it has neither operations nor ends',
        })
        .transform(({ from, operations, ends }) => ({
          from,
          operations: operations ?? new Map<string, Operation>(),
          ends: ends ?? [],
        })),
    )
    .default([]);

/** The whole rate card from each change on. */
export function priceChanges(first: RateCard, changes: readonly Change[]): readonly PriceChange[] {
  let { operations } = first;
  return changes.map(({ from, operations: changed, ends }) => {
    const continuing = [...operations].filter(([operation]) => !ends.includes(operation));
    const entries = [...new Map([...continuing, ...changed])].toSorted(([a], [b]) =>
      a < b ? -1 : 1,
    );
    operations = new Map(entries);
    return { from, rateCard: { version: UNPUBLISHED, operations } };
  });
}

/**
 * Errors of changes in relation to each other and to the operations before them. Parts that are invalid by
 * themselves are reported by the schema.
 */
export function changeErrors(
  operations: unknown,
  changes: unknown,
  operationsErrors: (operations: unknown, at: Path) => readonly ValidationError[],
): readonly ValidationError[] {
  let known = new Set(Object.keys(asMapping(operations)));
  return asList(changes).flatMap((change, index) => {
    const at = ['changes', index];
    const { operations: changed, ends } = asMapping(change);
    const ended = asList(ends).map(String);
    const errors = [
      ...orderErrors(asList(changes), index),
      ...operationsErrors(changed, at),
      ...endErrors(ended, known, new Set(Object.keys(asMapping(changed)))).map(
        ({ path, reason }) => ({ path: [...at, ...path], reason }),
      ),
    ];
    known = new Set([
      ...[...known].filter((operation) => !ended.includes(operation)),
      ...Object.keys(asMapping(changed)),
    ]);
    if (known.size > 0) return errors;
    return [...errors, { path: [...at, 'ends'], reason: 'leaves the plan without an operation' }];
  });
}

/** Changes must be in order of their dates. */
function orderErrors(changes: readonly unknown[], index: number): readonly ValidationError[] {
  const fromOf = (place: number) => parseOrUndefined(instant, asMapping(changes[place]).from);
  const [from, before] = [fromOf(index), fromOf(index - 1)];
  if (from === undefined || before === undefined || from > before) return [];
  const path = ['changes', index, 'from'];
  if (from === before)
    return [{ path, reason: `is the same instant as that of changes[${index - 1}]` }];
  return [{ path, reason: `is before that of changes[${index - 1}]: dates must ascend` }];
}

function endErrors(
  ended: readonly string[],
  known: ReadonlySet<string>,
  changed: ReadonlySet<string>,
): readonly ValidationError[] {
  return ended.flatMap((operation, index): readonly ValidationError[] => {
    const path = ['ends', index];
    if (ended.indexOf(operation) < index) return [{ path, reason: `names ${operation} twice` }];
    if (changed.has(operation))
      return [{ path, reason: `ends ${operation}, which the same change prices` }];
    if (known.has(operation)) return [];
    return [{ path, reason: `ends ${operation}, which is not an operation at that date` }];
  });
}
