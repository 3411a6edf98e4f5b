/**
 * Assigns sources (grants, and overage) to demands (operations) where some grants pay only
 * for certain operations: a maximum-flow assignment by augmenting paths (Edmonds-Karp, shortest path
 * first).
 *
 * Sources are assigned in burn order, and each pays the most that is still possible. An augmenting
 * path redirects what earlier sources pay to other demands, and never reduces how much they pay. So
 * the burn order holds, and an amount is refused only if no assignment could pay it.
 */
import { min } from '../../min.ts';
import type { PricedUsage } from '../../pricing/price.ts';

/** Credits to pay for an operation. Null: an amount without usages, which no limited grant pays. */
export type Demand = { readonly operation: string | null; readonly credits: bigint };

export type Source = {
  /** Operations it may pay for; empty: all. */
  readonly operations: readonly string[];
  /** Credits it has left to assign. */
  remaining: bigint;
  /** Credits it pays, by the index of the demand. Sparse: read it with `flowTo`. */
  readonly flows: bigint[];
};

export const toSource = (operations: readonly string[], credits: bigint): Source => ({
  operations,
  remaining: credits,
  flows: [],
});

/** The cost of usages by operation, in the order of the usages. Operations that cost 0 are left out. */
export function demandsByOperation(lines: readonly PricedUsage[]): readonly Demand[] {
  const credits = new Map<string, bigint>();
  for (const { usage, credits: cost } of lines)
    if (cost > 0n) credits.set(usage.operation, (credits.get(usage.operation) ?? 0n) + cost);
  return [...credits].map(([operation, cost]) => ({ operation, credits: cost }));
}

/** The demands of priced usages or, without usages, of an amount of credits. */
export const toDemands = (credits: bigint, lines: readonly PricedUsage[]): readonly Demand[] =>
  lines.length > 0 ? demandsByOperation(lines) : [{ operation: null, credits }];

/**
 * The last edge of an augmenting path: `source` pays more to the demand at `demand`, and pays as much
 * less to the demand of the `previous` edge, which the previous edge's source pays instead.
 */
type Edge = { readonly source: Source; readonly demand: number; readonly previous: Edge | null };

export class Waterfall {
  readonly #demands: { readonly operation: string | null; unmet: bigint }[] = [];
  /** Sources that pay something. */
  readonly #sources = new Set<Source>();
  /** Credits that are to be paid and that no source pays yet. */
  unmet = 0n;

  /** Adds demands. At most `limit` credits of them are to be paid; by default all. */
  addDemands(demands: readonly Demand[], limit?: bigint) {
    let added = 0n;
    for (const { operation, credits } of demands) {
      this.#demands.push({ operation, unmet: credits });
      added += credits;
    }
    this.unmet += limit === undefined ? added : min(added, limit);
  }

  /**
   * Has a source pay as much as possible. Returns how many credits more it pays than before: a source
   * can be assigned again when demands were added.
   */
  assign(source: Source): bigint {
    const before = source.remaining;
    while (source.remaining > 0n && this.unmet > 0n) {
      const path = this.#findAugmentingPath(source);
      if (!path) break;
      this.#augment(source, path);
      this.#sources.add(source);
    }
    return before - source.remaining;
  }

  /** Searches breadth first for the shortest path from a source to an unmet demand. */
  #findAugmentingPath(source: Source): Edge | null {
    const reached = new Set<number>();
    const queue: Edge[] = [];
    const enqueueEdgesOf = (from: Source, previous: Edge | null) => {
      for (const [demand, { operation }] of this.#demands.entries()) {
        if (reached.has(demand) || !canPay(from, operation)) continue;
        reached.add(demand);
        queue.push({ source: from, demand, previous });
      }
    };
    enqueueEdgesOf(source, null);
    for (const edge of queue) {
      if (this.#unmetOf(edge.demand) > 0n) return edge;
      for (const other of this.#sources)
        if (flowTo(other, edge.demand) > 0n) enqueueEdgesOf(other, edge);
    }
    return null;
  }

  /** Sends as many credits along a path as its narrowest edge allows. */
  #augment(source: Source, path: Edge) {
    let credits = min(source.remaining, min(this.unmet, this.#unmetOf(path.demand)));
    for (const { source: payer, previous } of edgesBackFrom(path))
      if (previous) credits = min(credits, flowTo(payer, previous.demand));
    for (const { source: payer, demand, previous } of edgesBackFrom(path)) {
      payer.flows[demand] = flowTo(payer, demand) + credits;
      if (previous) payer.flows[previous.demand] = flowTo(payer, previous.demand) - credits;
    }
    const end = this.#demands[path.demand];
    if (end) end.unmet -= credits;
    source.remaining -= credits;
    this.unmet -= credits;
  }

  #unmetOf(demand: number): bigint {
    return this.#demands[demand]?.unmet ?? 0n;
  }
}

/** Credits that a source pays to the demand at an index. */
export const flowTo = ({ flows }: Source, demand: number): bigint => flows[demand] ?? 0n;

/** Whether a grant of these operations may pay for one; null stands for an amount without usages. */
export const canPay = (
  { operations }: { readonly operations: readonly string[] },
  operation: string | null,
): boolean => operations.length === 0 || (operation !== null && operations.includes(operation));

function* edgesBackFrom(path: Edge): Generator<Edge, void, void> {
  for (let edge: Edge | null = path; edge; edge = edge.previous) yield edge;
}
