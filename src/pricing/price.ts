/** The price of usages on a rate card. */
import assert from 'node:assert/strict';
import { Failure } from '../failure.ts';
import { getCelPrice } from './cel-price.ts';
import {
  type AttributeComponent,
  type CelComponent,
  type Component,
  MAX_CREDITS,
  type Operation,
  type RateCard,
  type TierComponent,
} from './plan.ts';
import type { Usage } from './usage.ts';
import {
  countOutOfRange,
  noPrice,
  tooManyCredits,
  unknownOperation,
  valueRefused,
} from './usage-failures.ts';
import { checkInputs, withDefaults } from './usage-inputs.ts';

/** What one component adds to the price of one unit; 0 or more. */
export type PricedComponent = { readonly label: string; readonly credits: bigint };

export type PricedUsage = {
  /** The usage with the defaults filled in. */
  readonly usage: Usage;
  /** Credits for doing the operation once. */
  readonly unitCredits: bigint;
  /** unitCredits × count. */
  readonly credits: bigint;
  readonly billable: boolean;
  /** The parts of unitCredits, in the order of the rate card. */
  readonly components: readonly PricedComponent[];
};

/**
 * Prices one usage. `path` is where it stands in the request, such as `usages.items[3]`, for the field paths of
 * failures. Checks in this order: UNKNOWN_OPERATION; the count (INVALID_FIELD); inputs that the operation
 * does not declare (INVALID_FIELD); MISSING_QUANTITY and QUANTITY_OUT_OF_RANGE; and, all INVALID_FIELD,
 * attributes that are missing or have a value without a price, a CEL expression that gives no credits,
 * and a total above the largest int64.
 */
export function priceUsage(rateCard: RateCard, usage: Usage, path: string): PricedUsage | Failure {
  const operation = rateCard.operations.get(usage.operation);
  if (operation === undefined) return unknownOperation(rateCard, usage.operation, path);
  if (usage.count < 0n || usage.count > MAX_CREDITS) return countOutOfRange(path);
  const failure = checkInputs(operation, usage, path);
  if (failure !== null) return failure;
  const complete = withDefaults(operation, usage);

  let unitCredits = 0n;
  const components: PricedComponent[] = [];
  for (const component of operation.components) {
    const credits = creditsOf(component, operation, complete, path);
    if (credits instanceof Failure) return credits;
    unitCredits += credits;
    components.push({ label: component.label, credits });
  }
  const credits = unitCredits * usage.count;
  if (credits > MAX_CREDITS) return tooManyCredits(`${path}.count`);
  return { usage: complete, unitCredits, credits, billable: operation.billable, components };
}

/**
 * Prices usages in the given order, and sums them up. `path` is where the list stands in the request,
 * such as `usages.items`. If a usage cannot be priced, the first such failure is returned.
 */
export function priceUsages(
  rateCard: RateCard,
  usages: readonly Usage[],
  path: string,
): { readonly lines: readonly PricedUsage[]; readonly credits: bigint } | Failure {
  let credits = 0n;
  const lines: PricedUsage[] = [];
  for (const [index, usage] of usages.entries()) {
    const line = priceUsage(rateCard, usage, `${path}[${index}]`);
    if (line instanceof Failure) return line;
    credits += line.credits;
    lines.push(line);
  }
  return credits > MAX_CREDITS ? tooManyCredits(path) : { lines, credits };
}

function creditsOf(
  component: Component,
  operation: Operation,
  given: Usage,
  path: string,
): bigint | Failure {
  switch (component.kind) {
    case 'flat':
      return component.credits;
    case 'per_unit':
      return component.credits * quantityOf(given, component.quantity);
    case 'tier':
      return creditsOfTier(component, quantityOf(given, component.quantity));
    case 'attribute':
      return creditsOfValue(component, operation, given, path);
    case 'cel':
      return creditsOfExpression(component, operation, given, path);
  }
}

/** A published rate card reads declared quantities only, and by now each of them has a value. */
function quantityOf(given: Usage, name: string): bigint {
  const quantity = given.quantities.get(name);
  assert(quantity !== undefined, `a component reads ${name}, which its operation does not declare`);
  return quantity;
}

function creditsOfTier({ steps, label }: TierComponent, quantity: bigint): bigint {
  for (const step of steps) {
    if (quantity <= step.upTo) return step.credits;
  }
  assert.fail(`the steps of ${label} end below the max of their quantity`);
}

function creditsOfValue(
  component: AttributeComponent,
  operation: Operation,
  given: Usage,
  path: string,
): bigint | Failure {
  const name = component.attribute;
  const value = given.attributes.get(name);
  assert(value !== undefined, `a component reads ${name}, which its operation does not declare`);
  const credits = component.credits.get(value) ?? component.default;
  if (credits !== 'refuse') return credits;
  return valueRefused(operation, name, value, component.credits.keys(), path);
}

function creditsOfExpression(
  component: CelComponent,
  operation: Operation,
  given: Usage,
  path: string,
): bigint | Failure {
  const inputs = Object.fromEntries([...given.quantities, ...given.attributes]);
  const credits = getCelPrice(component).evaluate(inputs);
  if (typeof credits === 'bigint') return credits;
  return noPrice(operation, component.label, credits, path);
}
