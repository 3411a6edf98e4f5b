/**
 * What a reservation that holds limited credits is held for: the cost of its usages by operation, less what was
 * committed. It decides which operations those credits may still pay for.
 */
import { canonicalJson } from '../canonical.ts';
import type { Entry } from '../ledger/entry.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { Report } from './findings.ts';
import type { GrantTerms } from './grant-terms.ts';

type HeldForEntry = Pick<Entry, 'seq' | 'kind' | 'moves' | 'usages' | 'final'>;
type Costs = readonly (readonly [operation: string, credits: bigint])[];

export class HeldFor {
  readonly #terms: GrantTerms;
  #costs: Costs | null = null;

  constructor(terms: GrantTerms) {
    this.#terms = terms;
  }

  /** Applies the reservation's next entry. */
  apply({ seq, kind, moves, usages, final }: HeldForEntry) {
    if (kind === 'RELEASE' || final) this.#costs = null;
    else if (kind === 'COMMIT')
      this.#costs = this.#costs && less(this.#costs, new Map(costsOf(usages)));
    else if (kind === 'RESERVE' || kind === 'RAISE') {
      const isLimited = moves.some(({ grantId }) => this.#terms.wasLimited(grantId, seq));
      if (this.#costs || isLimited) this.#costs = [...(this.#costs ?? []), ...costsOf(usages)];
    }
  }

  compare({ heldFor }: Reservation, report: Report) {
    const costs = heldFor?.map(({ operation, credits }) => [operation, credits]) ?? null;
    const [stated, said] = [costs, this.#costs].map(canonicalJson);
    if (stated !== said) report(`held_for is ${stated}, the entries say ${said}`);
  }
}

function costsOf(usages: Entry['usages']): Costs {
  const costs = new Map<string, bigint>();
  for (const { usage, credits } of usages)
    if (credits > 0n) costs.set(usage.operation, (costs.get(usage.operation) ?? 0n) + credits);
  return [...costs];
}

/** What was committed of an operation is taken from the first costs of it. */
const less = (costs: Costs, committed: Map<string, bigint>): Costs =>
  costs.flatMap(([operation, credits]) => {
    const used = committed.get(operation) ?? 0n;
    committed.set(operation, used > credits ? used - credits : 0n);
    return used < credits ? [[operation, credits - used] as const] : [];
  });
