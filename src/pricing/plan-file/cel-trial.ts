/**
 * Tries the CEL expression of a plan file. CEL checks types only when it runs, so the expression is
 * evaluated with combinations of the ends of its quantities' ranges, the values of its attributes, and the
 * values next to each of its constants, where the price may change.
 */
import type { CelInputs, CelPrice } from '../cel-price.ts';
import type { Attribute, Quantity } from '../plan.ts';

/** Most combinations tried per expression. */
const TRIALS_MAX = 4096;

/** The inputs an operation declares; undefined: declared, but invalid. */
export type DeclaredInputs = {
  readonly quantities: ReadonlyMap<string, Quantity | undefined>;
  readonly attributes: ReadonlyMap<string, Attribute | undefined>;
};

/** The first allowed inputs that the expression cannot price, and why; null if none was found. */
export function findUnpriceableInputs(price: CelPrice, declared: DeclaredInputs): string | null {
  const names = [...price.variables];
  const valuesOf = names.map((name) => trialValues(name, price, declared));
  const combinations = valuesOf.reduce((product, values) => product * values.length, 1);
  for (let trial = 0; trial < Math.min(combinations, TRIALS_MAX); trial += 1) {
    const inputs = combination(names, valuesOf, trial);
    const credits = price.evaluate(inputs);
    if (typeof credits === 'string')
      return `gives no credits for ${describeInputs(inputs)}: ${credits}`;
  }
  return null;
}

/** The values of an input to try: ends of its range and values next to constants, or its known values. */
function trialValues(
  name: string,
  price: CelPrice,
  declared: DeclaredInputs,
): readonly (bigint | string)[] {
  const quantity = declared.quantities.get(name);
  if (quantity !== undefined) {
    const near = [...price.constants].flatMap((constant) =>
      typeof constant === 'bigint' ? [constant - 1n, constant, constant + 1n] : [],
    );
    const values = new Set([quantity.min, quantity.max, ...near]);
    return [...values].filter((value) => value >= quantity.min && value <= quantity.max);
  }
  const attribute = declared.attributes.get(name);
  if (attribute?.values) return attribute.values;
  const named = [...price.constants].filter((constant) => typeof constant === 'string');
  return [...new Set(['any other value', attribute?.default ?? 'any other value', ...named])];
}

/** The combination with this number: its digits, in a mixed-radix system, index the values of each name. */
function combination(
  names: readonly string[],
  valuesOf: readonly (readonly (bigint | string)[])[],
  trial: number,
): CelInputs {
  let rest = trial;
  const inputs: Record<string, bigint | string> = {};
  for (const [index, name] of names.entries()) {
    const values = valuesOf[index] ?? [];
    const value = values[rest % values.length];
    if (value !== undefined) inputs[name] = value;
    rest = Math.floor(rest / values.length);
  }
  return inputs;
}

function describeInputs(inputs: CelInputs): string {
  const pairs = Object.entries(inputs).map(([name, value]) =>
    typeof value === 'string' ? `${name} = ${JSON.stringify(value)}` : `${name} = ${value}`,
  );
  return pairs.length === 0 ? 'any input' : pairs.join(', ');
}
