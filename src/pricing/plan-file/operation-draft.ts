/**
 * An operation of a plan file as far as it can be read. A piece with an error of its own is
 * undefined: that error is told elsewhere, and the rules go on with the pieces that are left, so
 * that one reading of a file tells all that is wrong with it.
 */

import type { Attribute, Component, Quantity } from '../plan.ts';
import { attributeSchema, componentSchema, quantitySchema } from './rate-card-schema.ts';
import { yamlIntegers } from './scalar-schemas.ts';
import { asList, asMapping, parseOrUndefined } from './validation-error.ts';

export type OperationDraft = {
  readonly billable: boolean | undefined;
  readonly quantities: ReadonlyMap<string, Quantity | undefined>;
  readonly attributes: ReadonlyMap<string, Attribute | undefined>;
  readonly components: readonly (Component | undefined)[];
};

const quantity = quantitySchema(yamlIntegers);
const component = componentSchema(yamlIntegers);

/** Stands for what no rule reads, so that an error there does not hide the rest of a piece. */
const PLACEHOLDER = 'unread';

export function readOperationDraft(operation: unknown): OperationDraft {
  const { billable, quantities, attributes, components } = asMapping(operation);
  return {
    billable: typeof billable === 'boolean' ? billable : undefined,
    quantities: eachNamed(quantities, (of) =>
      parseOrUndefined(quantity, { ...asMapping(of), title: PLACEHOLDER, unit: PLACEHOLDER }),
    ),
    attributes: eachNamed(attributes, (of) =>
      parseOrUndefined(attributeSchema, { ...asMapping(of), title: PLACEHOLDER }),
    ),
    components: asList(components).map(readComponent),
  };
}

function readComponent(value: unknown): Component | undefined {
  const of = asMapping(value);
  const unread =
    of.kind === 'per_unit' ? { label: PLACEHOLDER, credits: 0n } : { label: PLACEHOLDER };
  return parseOrUndefined(component, { ...of, ...unread });
}

function eachNamed<T>(
  section: unknown,
  read: (value: unknown) => T | undefined,
): ReadonlyMap<string, (T & { readonly name: string }) | undefined> {
  return new Map(
    Object.entries(asMapping(section)).map(([name, value]) => {
      const piece = read(value);
      return [name, piece === undefined ? undefined : { ...piece, name }];
    }),
  );
}
