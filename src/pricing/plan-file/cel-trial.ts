/**
 * CEL is only typed when it runs, so a plan file's expression is tried before it is believed: with
 * every combination of the ends of its quantities' ranges, the values of its attributes, and the
 * values next to each constant it names, which is where a price changes its course.
 */
import type { CelInputs, CelPrice } from '../cel-price.ts';
import type { Attribute, Quantity } from '../plan.ts';

/** Trials per expression. A file whose expression could need more is tried this often. */
const TRIALS = 4096;

export type Inputs = {
  readonly quantities: ReadonlyMap<string, Quantity | undefined>;
  readonly attributes: ReadonlyMap<string, Attribute | undefined>;
};

/** The first inputs the operation allows that the expression cannot price, and why. */
export function findUnpriceableInputs(price: CelPrice, declared: Inputs): string | null {
  const names = [...price.variables];
  const choices = names.map((name) => worthTrying(name, price, declared));
  const combinations = choices.reduce((product, values) => product * values.length, 1);
  for (let trial = 0; trial < Math.min(combinations, TRIALS); trial += 1) {
    const inputs = combination(names, choices, trial);
    const credits = price.evaluate(inputs);
    if (typeof credits === 'string') return `gives no credits for ${said(inputs)}: ${credits}`;
  }
  return null;
}

function worthTrying(
  name: string,
  price: CelPrice,
  declared: Inputs,
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

/** The combination numbered `trial`: the number's digits, each in the base its choice gives. */
function combination(
  names: readonly string[],
  choices: readonly (readonly (bigint | string)[])[],
  trial: number,
): CelInputs {
  let rest = trial;
  const inputs: Record<string, bigint | string> = {};
  for (const [index, name] of names.entries()) {
    const values = choices[index] ?? [];
    const value = values[rest % values.length];
    if (value !== undefined) inputs[name] = value;
    rest = Math.floor(rest / values.length);
  }
  return inputs;
}

function said(inputs: CelInputs): string {
  const pairs = Object.entries(inputs).map(([name, value]) =>
    typeof value === 'string' ? `${name} = ${JSON.stringify(value)}` : `${name} = ${value}`,
  );
  return pairs.length === 0 ? 'any input' : pairs.join(', ');
}
