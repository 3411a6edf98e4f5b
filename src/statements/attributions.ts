/**
 * Attributes the credits of charges and commits to operations. A commit without usages of its own is
 * attributed to the usages that its reservation was made for.
 */
import type { EntryKind, Move } from '../ledger/entry.ts';
import { min } from '../min.ts';

/** Credits charged for an operation. The operation is empty for credits charged without usages. */
export type AttributedUsage = {
  readonly operation: string;
  readonly count: bigint;
  readonly credits: bigint;
  /** What one of it measured, such as its pages. Left out where nobody asks for it. */
  readonly quantities?: ReadonlyMap<string, bigint>;
};

/** The fields of an entry that a statement reads. */
export type UsageEntry = {
  readonly seq: bigint;
  readonly at: number;
  /** When its usage counts, where that is another time. */
  readonly usedAt: number | null;
  readonly kind: EntryKind;
  readonly moves: readonly Move[];
  /** The entry's own usages, in their order. */
  readonly usages: readonly AttributedUsage[];
  readonly reservationId: string | null;
  readonly refundedSeq: bigint | null;
};

export const consumedCredits = ({ moves }: UsageEntry): bigint =>
  moves.reduce((sum, { to, credits }) => (to === 'consumed' ? sum + credits : sum), 0n);

/** By how much an entry changes what its reservation holds. */
const heldDelta = ({ moves }: UsageEntry): bigint =>
  moves.reduce((sum, { from, to, credits }) => {
    if (to === 'reserved' || to === 'overage_reserved') return sum + credits;
    return from === 'reserved' || from === 'overage_reserved' ? sum - credits : sum;
  }, 0n);

type OpenReservation = { readonly usages: UsageQueue; held: bigint };

/**
 * Attributes entries one by one, in the order of their seq. Before a commit without usages, all earlier
 * entries of its reservation must have been attributed.
 */
export class Attributions {
  readonly #reservations = new Map<string, OpenReservation>();
  readonly #ended = new Set<string>();

  hasReservation(reservationId: string): boolean {
    return this.#reservations.has(reservationId);
  }

  /** The usages that an entry charges; none for entries other than charges and commits. */
  attribute(entry: UsageEntry): readonly AttributedUsage[] {
    const { kind, reservationId } = entry;
    if (kind === 'CHARGE' || kind === 'IMPORT') return ownUsages(entry);
    if (reservationId === null) return [];
    if (kind === 'RESERVE') this.#reserve(reservationId, entry.usages);
    const reservation = this.#reservations.get(reservationId);
    if (reservation) reservation.held += heldDelta(entry);
    if (kind === 'RELEASE' || kind === 'EXPIRE') this.#ended.add(reservationId);
    if (kind !== 'COMMIT') return [];

    if (reservation?.held === 0n) this.#ended.add(reservationId);
    const covered = (reservation?.usages ?? new UsageQueue([])).cover(consumedCredits(entry));
    return entry.usages.length > 0 ? ownUsages(entry) : covered;
  }

  #reserve(reservationId: string, usages: readonly AttributedUsage[]) {
    const known = this.#reservations.get(reservationId);
    if (known) known.usages.add(usages);
    else this.#reservations.set(reservationId, { usages: new UsageQueue(usages), held: 0n });
  }

  /** Frees the memory of reservations that have ended. A late commit needs their entries again. */
  forgetEnded() {
    for (const reservationId of this.#ended) this.#reservations.delete(reservationId);
    this.#ended.clear();
  }
}

/** The entry's own usages with their full counts. If the commit was capped, credits are used up in order. */
function ownUsages(entry: UsageEntry): readonly AttributedUsage[] {
  let left = consumedCredits(entry);
  const attributed = entry.usages.map((usage) => {
    const charged = min(usage.credits, left);
    left -= charged;
    return { ...usage, credits: charged };
  });
  return left > 0n ? [...attributed, withoutOperation(left)] : attributed;
}

const withoutOperation = (credits: bigint): AttributedUsage => ({
  operation: '',
  count: 0n,
  credits,
});

/** The usages of a reservation in their order, and how many of their credits commits have covered. */
class UsageQueue {
  readonly #usages: AttributedUsage[];
  /** Index of the first usage that is not fully covered. */
  #current = 0;
  /** Covered credits of that usage. */
  #covered = 0n;

  constructor(usages: readonly AttributedUsage[]) {
    this.#usages = [...usages];
  }

  add(usages: readonly AttributedUsage[]) {
    this.#usages.push(...usages);
  }

  /** Covers the next `credits`. Usages that cost 0 are covered as soon as they are reached. */
  cover(credits: bigint): readonly AttributedUsage[] {
    const attributed: AttributedUsage[] = [];
    let left = credits;
    for (; ; this.#current++, this.#covered = 0n) {
      const usage = this.#usages[this.#current];
      if (!usage || (usage.credits > 0n && left === 0n)) break;
      const uncovered = usage.credits - this.#covered;
      const charged = min(uncovered, left);
      const count =
        startedCount(usage, this.#covered + charged) - startedCount(usage, this.#covered);
      attributed.push({
        ...usage,
        count: usage.credits === 0n ? usage.count : count,
        credits: charged,
      });
      left -= charged;
      if (charged === uncovered) continue;
      this.#covered += charged;
      break;
    }
    if (left > 0n) attributed.push(withoutOperation(left));
    return attributed;
  }
}

/** How many of a usage's count its first `credits` pay at least in part. */
const startedCount = ({ count, credits: total }: AttributedUsage, credits: bigint): bigint =>
  total === 0n ? 0n : (credits * count + total - 1n) / total;

/**
 * The parts of an entry's usages that a refund gives back: last operation first, as the ledger gives back the
 * credits that were used last, after the credits that were refunded `before`.
 */
export function refundedParts(
  used: readonly AttributedUsage[],
  before: bigint,
  credits: bigint,
): readonly { readonly operation: string; readonly credits: bigint }[] {
  let skip = before;
  let left = credits;
  return used.toReversed().map(({ operation, credits: charged }) => {
    const skipped = min(charged, skip);
    const part = min(charged - skipped, left);
    skip -= skipped;
    left -= part;
    return { operation, credits: part };
  });
}

/** The usages of some entries, by seq. The entries must be in the order of their seq. */
export function attributeEntries(
  entries: readonly UsageEntry[],
): ReadonlyMap<bigint, readonly AttributedUsage[]> {
  const attributions = new Attributions();
  return new Map(entries.map((entry) => [entry.seq, attributions.attribute(entry)]));
}
