/** Which operations an entry's credits were used for. */
import type { EntryKind, Move } from '../ledger/entry.ts';

/** Usages of one operation, and credits for them. The empty operation: none was named. */
export type AttributedUsage = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
};

/** What a statement reads of an entry. */
export type UsageEntry = {
  readonly seq: bigint;
  readonly at: number;
  readonly kind: EntryKind;
  readonly moves: readonly Move[];
  /** Its own usages, in their order. */
  readonly usages: readonly AttributedUsage[];
  readonly reservationId: string | null;
  readonly refundedSeq: bigint | null;
};

export const consumedCredits = ({ moves }: UsageEntry): bigint =>
  moves.reduce((sum, { to, credits }) => (to === 'consumed' ? sum + credits : sum), 0n);

/** Credits that are still set aside, as this entry changes them. */
const heldBy = ({ moves }: UsageEntry): bigint =>
  moves.reduce((sum, { from, to, credits }) => {
    if (to === 'reserved' || to === 'overage_reserved') return sum + credits;
    return from === 'reserved' || from === 'overage_reserved' ? sum - credits : sum;
  }, 0n);

type Running = { readonly reserved: Coverage; held: bigint };

/**
 * Tells what each charge and commit was used for. Entries are shown in the order of their seq; of a
 * commit that names no usages itself, its reservation's entries must have been shown before.
 */
export class Attributions {
  readonly #running = new Map<string, Running>();
  readonly #ended = new Set<string>();

  hasReservation(reservationId: string): boolean {
    return this.#running.has(reservationId);
  }

  attribute(entry: UsageEntry): readonly AttributedUsage[] {
    const { kind, reservationId } = entry;
    if (kind === 'CHARGE') return ownUsages(entry);
    if (reservationId === null) return [];
    const known = this.#running.get(reservationId);
    if (kind === 'RESERVE' && known) known.reserved.add(entry.usages);
    if (kind === 'RESERVE' && !known)
      this.#running.set(reservationId, { reserved: new Coverage(entry.usages), held: 0n });
    const running = this.#running.get(reservationId);
    if (running) running.held += heldBy(entry);
    if (kind === 'RELEASE' || kind === 'EXPIRE') this.#ended.add(reservationId);
    if (kind !== 'COMMIT') return [];

    if (running?.held === 0n) this.#ended.add(reservationId);
    const covered = (running?.reserved ?? new Coverage([])).cover(consumedCredits(entry));
    return entry.usages.length > 0 ? ownUsages(entry) : covered;
  }

  /** Lets go of reservations that have ended. Few are heard of again: they can be shown again. */
  forgetEnded() {
    for (const reservationId of this.#ended) this.#running.delete(reservationId);
    this.#ended.clear();
  }
}

/** The entry's own usages, counted whole; charged in order where a reservation capped them. */
function ownUsages(entry: UsageEntry): readonly AttributedUsage[] {
  let left = consumedCredits(entry);
  const used = entry.usages.map(({ operation, count, credits }) => {
    const charged = credits < left ? credits : left;
    left -= charged;
    return { operation, count, credits: charged };
  });
  return left > 0n ? [...used, unnamed(left)] : used;
}

const unnamed = (credits: bigint): AttributedUsage => ({ operation: '', count: 0n, credits });

/** The usages of a reservation, and how far its commits have covered them. */
class Coverage {
  readonly #usages: AttributedUsage[];
  #next = 0;
  /** Credits of the next usage that are covered already. */
  #into = 0n;

  constructor(usages: readonly AttributedUsage[]) {
    this.#usages = [...usages];
  }

  add(usages: readonly AttributedUsage[]) {
    this.#usages.push(...usages);
  }

  /** What the next `credits` cover. What costs nothing is covered as soon as it is reached. */
  cover(credits: bigint): readonly AttributedUsage[] {
    const covered: AttributedUsage[] = [];
    let left = credits;
    for (; ; this.#next++, this.#into = 0n) {
      const usage = this.#usages[this.#next];
      if (!usage || (usage.credits > 0n && left === 0n)) break;
      const rest = usage.credits - this.#into;
      const here = rest < left ? rest : left;
      const count = begun(usage, this.#into + here) - begun(usage, this.#into);
      covered.push({
        operation: usage.operation,
        count: usage.credits === 0n ? usage.count : count,
        credits: here,
      });
      left -= here;
      if (here === rest) continue;
      this.#into += here;
      break;
    }
    if (left > 0n) covered.push(unnamed(left));
    return covered;
  }
}

/** How many of a usage's count its first `credits` have begun to pay. */
const begun = ({ count, credits: all }: AttributedUsage, credits: bigint): bigint =>
  all === 0n ? 0n : (credits * count + all - 1n) / all;
