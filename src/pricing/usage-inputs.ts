/** The inputs of a usage: checks them, and fills in the rate card's defaults. */
import type { Failure } from '../failure.ts';
import type { Operation } from './plan.ts';
import type { Usage } from './usage.ts';
import {
  missingAttribute,
  missingQuantity,
  quantityOutOfRange,
  undeclaredInput,
  valueRefused,
} from './usage-failures.ts';

/**
 * The first failure of the usage's inputs, or null: an input that the operation does not declare, a missing
 * input that has no default, or one outside the declared range or values. `path` is where the usage stands
 * in the request.
 */
export function checkInputs(operation: Operation, usage: Usage, path: string): Failure | null {
  for (const name of usage.quantities.keys()) {
    if (!operation.quantities.has(name))
      return undeclaredInput('quantities', name, operation, path);
  }
  for (const name of usage.attributes.keys()) {
    if (!operation.attributes.has(name))
      return undeclaredInput('attributes', name, operation, path);
  }
  for (const quantity of operation.quantities.values()) {
    const given = usage.quantities.get(quantity.name) ?? quantity.default;
    if (given === null) return missingQuantity(operation, quantity, path);
    if (given < quantity.min || given > quantity.max) {
      return quantityOutOfRange(operation, quantity, path);
    }
  }
  for (const attribute of operation.attributes.values()) {
    const given = usage.attributes.get(attribute.name) ?? attribute.default;
    if (given === null) return missingAttribute(operation, attribute, path);
    if (attribute.values?.includes(given) === false) {
      return valueRefused(operation, attribute.name, given, attribute.values, path);
    }
  }
  return null;
}

/** The usage with defaults for the inputs it leaves out; the same object if it leaves out none. */
export function withDefaults(operation: Operation, usage: Usage): Usage {
  const quantities = fillDefaults(operation.quantities, usage.quantities);
  const attributes = fillDefaults(operation.attributes, usage.attributes);
  if (quantities === usage.quantities && attributes === usage.attributes) return usage;
  return { operation: usage.operation, count: usage.count, quantities, attributes };
}

function fillDefaults<T>(
  declared: ReadonlyMap<string, { readonly default: T | null }>,
  given: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  let copy: Map<string, T> | null = null;
  for (const [name, { default: otherwise }] of declared) {
    if (otherwise === null || given.has(name)) continue;
    copy ??= new Map(given);
    copy.set(name, otherwise);
  }
  return copy ?? given;
}
