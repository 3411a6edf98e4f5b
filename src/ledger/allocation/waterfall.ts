/**
 * Who can pay for what, where grants are limited to operations. Supplies pour in burn order, and each
 * gives the most that is still possible: what the ones before it give is led to other operations
 * where that makes room, and never lessened. So nothing that could be paid is refused, and no
 * credit is taken that one which burns earlier could have paid instead.
 */
import type { PricedUsage } from '../../pricing/price.ts';

/** Credits wanted for an operation; null: for credits alone, which no limited supply pays. */
export type Demand = { readonly operation: string | null; readonly credits: bigint };

export type Source = {
  /** Operations it may pay for; empty: all. */
  readonly operations: readonly string[];
  /** Credits it could give beside those it gives. */
  remaining: bigint;
  /** What it gives to each demand, by the demand's place. */
  readonly flows: bigint[];
};

export const toSource = (operations: readonly string[], credits: bigint): Source => ({
  operations,
  remaining: credits,
  flows: [],
});

/** What usages cost, by operation, in the order they come; what costs nothing is no demand. */
export function demandsByOperation(lines: readonly PricedUsage[]): readonly Demand[] {
  const credits = new Map<string, bigint>();
  for (const { usage, credits: cost } of lines)
    if (cost > 0n) credits.set(usage.operation, (credits.get(usage.operation) ?? 0n) + cost);
  return [...credits].map(([operation, cost]) => ({ operation, credits: cost }));
}

/** What is asked for: usages, or without them credits alone. */
export const toDemands = (credits: bigint, lines: readonly PricedUsage[]): readonly Demand[] =>
  lines.length > 0 ? demandsByOperation(lines) : [{ operation: null, credits }];

/** A way for more credits, from its end: `payer` gives to the demand at `place`, and less to the one before. */
type Step = { readonly payer: Source; readonly place: number; readonly before: Step | null };

export class Waterfall {
  readonly #demands: { readonly operation: string | null; missing: bigint }[] = [];
  readonly #payers = new Set<Source>();
  /** Credits that are wanted and that nothing gives yet. */
  unmet = 0n;

  /** Adds demands, of which `atMost` credits are wanted; all of them if that is left out. */
  addDemands(demands: readonly Demand[], atMost?: bigint) {
    let wanted = 0n;
    for (const { operation, credits } of demands) {
      this.#demands.push({ operation, missing: credits });
      wanted += credits;
    }
    this.unmet += atMost === undefined ? wanted : least(wanted, atMost);
  }

  /** Has a supply give what it can; answers how much more it gives than before. */
  addSource(supply: Source): bigint {
    const before = supply.remaining;
    while (supply.remaining > 0n && this.unmet > 0n) {
      const end = this.#wayFrom(supply);
      if (!end) break;
      this.#lead(supply, end);
      this.#payers.add(supply);
    }
    return before - supply.remaining;
  }

  /** The shortest way from a supply to a demand that is not covered; null where there is none. */
  #wayFrom(supply: Source): Step | null {
    const seen = new Set<number>();
    const steps: Step[] = [];
    const reach = (payer: Source, before: Step | null) => {
      for (const [place, { operation }] of this.#demands.entries()) {
        if (seen.has(place) || !canPay(payer, operation)) continue;
        seen.add(place);
        steps.push({ payer, place, before });
      }
    };
    reach(supply, null);
    for (const step of steps) {
      if (this.#missingAt(step.place) > 0n) return step;
      for (const other of this.#payers) if (flowTo(other, step.place) > 0n) reach(other, step);
    }
    return null;
  }

  /** Leads as much along a way as fits through it. */
  #lead(supply: Source, end: Step) {
    let credits = least(supply.remaining, least(this.unmet, this.#missingAt(end.place)));
    for (const { payer, before } of stepsTo(end))
      if (before) credits = least(credits, flowTo(payer, before.place));
    for (const { payer, place, before } of stepsTo(end)) {
      payer.flows[place] = flowTo(payer, place) + credits;
      if (before) payer.flows[before.place] = flowTo(payer, before.place) - credits;
    }
    const demand = this.#demands[end.place];
    if (demand) demand.missing -= credits;
    supply.remaining -= credits;
    this.unmet -= credits;
  }

  #missingAt(place: number): bigint {
    return this.#demands[place]?.missing ?? 0n;
  }
}

/** What a supply gives to the demand at a place. */
export const flowTo = ({ flows }: Source, place: number): bigint => flows[place] ?? 0n;

/** Whether a grant of these operations may pay for one; null stands for credits alone. */
export const canPay = (
  { operations }: { readonly operations: readonly string[] },
  operation: string | null,
): boolean => operations.length === 0 || (operation !== null && operations.includes(operation));

function* stepsTo(end: Step): Generator<Step, void, void> {
  for (let step: Step | null = end; step; step = step.before) yield step;
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
