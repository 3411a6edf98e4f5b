/** What usages cost. */
import type { PricedUsage, Usages } from '../../../src/gen/billing/v1/pricing.ts';
import { OPERATIONS, type PriceComponent } from '../plans.ts';
import { Refusal } from './refusal.ts';
import { type Need, sum } from './state.ts';

export type Priced = { readonly credits: bigint; readonly lines: readonly PricedUsage[] };

/** The price of usages, or why there is none. */
export function priceOf(usages: Usages): Priced | Refusal {
  const lines: PricedUsage[] = [];
  for (const usage of usages.items) {
    const operation = OPERATIONS[usage.operation];
    if (!operation) return new Refusal('UNKNOWN_OPERATION', { operation: usage.operation });
    for (const name of usage.quantities.keys())
      if (!operation.quantities[name]) return new Refusal('INVALID_FIELD', {});
    for (const [name, [min, max]] of Object.entries(operation.quantities)) {
      const quantity = usage.quantities.get(name);
      if (quantity === undefined) return new Refusal('MISSING_QUANTITY', { quantity: name });
      if (quantity < min || quantity > max)
        return new Refusal('QUANTITY_OUT_OF_RANGE', { quantity: name });
    }
    const unitCredits = sum(operation.components, (component) =>
      partOf(component, usage.quantities),
    );
    const count = usage.count ?? 1n;
    const { billable } = operation;
    const credits = unitCredits * count;
    lines.push({ usage: { ...usage, count }, unitCredits, credits, billable, components: [] });
  }
  return { lines, credits: sum(lines, ({ credits }) => credits) };
}

function partOf(component: PriceComponent, quantities: ReadonlyMap<string, bigint>): bigint {
  switch (component.kind) {
    case 'flat':
      return BigInt(component.credits);
    case 'per_unit':
      return BigInt(component.credits) * (quantities.get(component.quantity) ?? 0n);
    case 'tier': {
      const quantity = quantities.get(component.quantity) ?? 0n;
      const step = component.steps.find(({ upTo }) => quantity <= upTo);
      return BigInt(step?.credits ?? 0);
    }
  }
}

/** The components of a line's price, as an estimate shows them. */
export const componentsOf = ({ usage }: PricedUsage) =>
  (OPERATIONS[usage?.operation ?? '']?.components ?? []).map((component) => ({
    label: component.kind,
    credits: partOf(component, usage?.quantities ?? new Map()),
  }));

/** What the lines cost by operation. */
export function needsOf(lines: readonly PricedUsage[]): readonly Need[] {
  const byOperation = new Map<string, bigint>();
  for (const { usage, credits } of lines) {
    const name = usage?.operation ?? '';
    if (credits > 0n) byOperation.set(name, (byOperation.get(name) ?? 0n) + credits);
  }
  return [...byOperation].map(([operation, credits]) => ({ operation, credits }));
}
