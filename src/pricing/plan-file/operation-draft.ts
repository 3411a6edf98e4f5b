/**
 * An operation of a plan file as far as it can be read. A piece with a mistake of its own is
 * undefined: that mistake is told elsewhere, and the rules go on with the pieces that are left, so
 * that one reading of a file tells all that is wrong with it.
 */

import type { Attribute, Component, Quantity } from '../plan.ts';
import { yamlIntegers } from './leaf-schema.ts';
import { list, mapping, readable } from './mistake.ts';
import { attributeSchema, componentSchema, quantitySchema } from './rate-card-schema.ts';

export type OperationDraft = {
  readonly billable: boolean | undefined;
  readonly quantities: ReadonlyMap<string, Quantity | undefined>;
  readonly attributes: ReadonlyMap<string, Attribute | undefined>;
  readonly components: readonly (Component | undefined)[];
};

const quantity = quantitySchema(yamlIntegers);
const component = componentSchema(yamlIntegers);

/** Stands for what no rule reads, so that a mistake there does not hide the rest of a piece. */
const CACHE_MISS = 'unread';

export function draftOf(operation: unknown): OperationDraft {
  const { billable, quantities, attributes, components } = mapping(operation);
  return {
    billable: typeof billable === 'boolean' ? billable : undefined,
    quantities: eachNamed(quantities, (of) =>
      readable(quantity, { ...mapping(of), title: CACHE_MISS, unit: CACHE_MISS }),
    ),
    attributes: eachNamed(attributes, (of) =>
      readable(attributeSchema, { ...mapping(of), title: CACHE_MISS }),
    ),
    components: list(components).map(readComponent),
  };
}

function readComponent(value: unknown): Component | undefined {
  const of = mapping(value);
  const unread =
    of.kind === 'per_unit' ? { label: CACHE_MISS, credits: 0n } : { label: CACHE_MISS };
  return readable(component, { ...of, ...unread });
}

function eachNamed<T>(
  section: unknown,
  read: (value: unknown) => T | undefined,
): ReadonlyMap<string, (T & { readonly name: string }) | undefined> {
  return new Map(
    Object.entries(mapping(section)).map(([name, value]) => {
      const piece = read(value);
      return [name, piece === undefined ? undefined : { ...piece, name }];
    }),
  );
}
