/**
 * An operation of a plan file, as far as it is valid. Parts that are invalid by themselves are undefined:
 * the schema reports them, and the rules check what is left. So one run reports all errors of a file.
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

/** Replaces texts that no rule reads, so that an error in them does not make the whole part invalid. */
const PLACEHOLDER = 'placeholder';

export function readOperationDraft(operation: unknown): OperationDraft {
  const { billable, quantities, attributes, components } = asMapping(operation);
  return {
    billable: typeof billable === 'boolean' ? billable : undefined,
    quantities: readNamed(quantities, (value) =>
      parseOrUndefined(quantity, { ...asMapping(value), title: PLACEHOLDER, unit: PLACEHOLDER }),
    ),
    attributes: readNamed(attributes, (value) =>
      parseOrUndefined(attributeSchema, { ...asMapping(value), title: PLACEHOLDER }),
    ),
    components: asList(components).map(readComponent),
  };
}

function readComponent(value: unknown): Component | undefined {
  const fields = asMapping(value);
  const placeholders =
    fields['kind'] === 'per_unit' ? { label: PLACEHOLDER, credits: 0n } : { label: PLACEHOLDER };
  return parseOrUndefined(component, { ...fields, ...placeholders });
}

/** Reads the parts of a section, and gives each its key as its name. */
function readNamed<T>(
  section: unknown,
  read: (value: unknown) => T | undefined,
): ReadonlyMap<string, (T & { readonly name: string }) | undefined> {
  return new Map(
    Object.entries(asMapping(section)).map(([name, value]) => {
      const part = read(value);
      return [name, part === undefined ? undefined : { ...part, name }];
    }),
  );
}
