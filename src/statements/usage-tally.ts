/**
 * Sums what the entries of one account used, by the hour: the rows of usage rollups. An entry counts in the hour in
 * which its usage happened, for ever: that of its own time, or an earlier one.
 */
import assert from 'node:assert/strict';
import type { Labels } from '../ledger/entry.ts';
import {
  type AttributedUsage,
  attributeEntries,
  refundedParts,
  type UsageEntry,
} from './attributions.ts';
import { type LabelPlace, LabelPlaces, type LabelsOfMonth } from './label-places.ts';

/** The fields of an entry that usage rollups read. */
export type CountedEntry = UsageEntry & {
  readonly credits: bigint;
  readonly caller: string;
  readonly planId: string;
  readonly rateCardVersion: number | null;
  readonly labels: Labels;
};

/** The kinds of entries that are counted. The last makes an account's labels be forgotten. */
export const COUNTED_KINDS = ['CHARGE', 'COMMIT', 'REFUND', 'ERASE_ACCOUNT_DATA'] as const;

/** What the entries of a page refer to. */
export type Referred = {
  /** Every RESERVE and COMMIT of the reservations in `reservationsOf`, in the order of their seq. */
  readonly ofReservations: readonly UsageEntry[];
  /** The entries that are refunded. */
  readonly refunded: readonly CountedEntry[];
  /** Every refund of those entries. */
  readonly refunds: readonly Pick<CountedEntry, 'seq' | 'refundedSeq' | 'credits'>[];
};

export const NOTHING_REFERRED: Referred = { ofReservations: [], refunded: [], refunds: [] };

/** A row of usage rollups: what is added to it. */
export type UsageSum = LabelPlace & {
  /** First moment of the hour, in epoch milliseconds. */
  readonly hour: number;
  readonly operation: string;
  readonly caller: string;
  readonly planId: string;
  readonly rateCardVersion: number;
  count: bigint;
  credits: bigint;
  refunded: bigint;
  readonly quantities: Map<string, bigint>;
};

export type UsageOfPage = {
  readonly sums: readonly UsageSum[];
  /** To be given with the next page. */
  readonly labels: LabelsOfMonth | null;
  /** True: the rows of labels there are go first. Personal data were erased, of which labels are a part. */
  readonly forgetsLabels: boolean;
};

const HOUR_MS = 3_600_000;

/** The reservations of commits that have no usages of their own. */
export const reservationsOf = (entries: readonly UsageEntry[]): readonly string[] =>
  [
    ...new Set(entries.flatMap((entry) => (needsReservation(entry) ? entry.reservationId : []))),
  ].filter((id) => id !== null);

const needsReservation = ({ kind, usages }: UsageEntry): boolean =>
  kind === 'COMMIT' && usages.length === 0;

/** The entries that a page gives back. */
export const refundedBy = (page: readonly UsageEntry[]): readonly bigint[] => [
  ...new Set(page.flatMap(({ refundedSeq }) => (refundedSeq === null ? [] : [refundedSeq]))),
];

/** Counts the next entries of the account, in the order of their seq. `labels` is what the page before left. */
export function tallyUsage(
  page: readonly CountedEntry[],
  referred: Referred,
  labels: LabelsOfMonth | null,
): UsageOfPage {
  const erasedUpTo = page.findLast(({ kind }) => kind === 'ERASE_ACCOUNT_DATA')?.seq ?? null;
  const places = new LabelPlaces(erasedUpTo === null ? labels : null);
  const usages = new Usages(referred);
  const sums = new Sums();
  for (const entry of page) {
    const isErased = erasedUpTo !== null && entry.seq < erasedUpTo;
    const charged = usages.of(entry);
    if (charged.parts.length === 0) continue;
    const at = places.placesOf(entry.at, isErased ? {} : entry.labels);
    const usedAt = entry.usedAt ?? entry.at;
    for (const part of charged.parts) sums.add(usedAt, charged.by, part, at);
  }
  return { sums: sums.list(), labels: places.known(), forgetsLabels: erasedUpTo !== null };
}

/** What an entry adds for one operation. */
type Part = AttributedUsage & { readonly refunded: bigint };
/** Who charged, at which prices. */
type Charge = Pick<CountedEntry, 'caller' | 'planId' | 'rateCardVersion'>;

/** What entries add to the rollups. */
class Usages {
  readonly #ofReservations: ReadonlyMap<bigint, readonly AttributedUsage[]>;
  readonly #refunded: ReadonlyMap<bigint, CountedEntry>;
  readonly #refunds: Referred['refunds'];

  constructor({ ofReservations, refunded, refunds }: Referred) {
    this.#ofReservations = attributeEntries(ofReservations);
    this.#refunded = new Map(refunded.map((entry) => [entry.seq, entry]));
    this.#refunds = refunds;
  }

  of(entry: CountedEntry): { readonly by: Charge; readonly parts: readonly Part[] } {
    if (entry.kind === 'REFUND') return this.#ofRefund(entry);
    const parts = this.#usedBy(entry).map((usage) => ({ ...usage, refunded: 0n }));
    return { by: entry, parts: parts.filter(countsFor) };
  }

  /** A refund belongs to whom and to what was charged. */
  #ofRefund({ seq, refundedSeq, credits }: CountedEntry) {
    const original = this.#refunded.get(refundedSeq ?? 0n);
    assert(original, `entry ${refundedSeq}, which entry ${seq} refunds, was not looked up`);
    const before = this.#refunds
      .filter((refund) => refund.refundedSeq === refundedSeq && refund.seq < seq)
      .reduce((sum, refund) => sum + refund.credits, 0n);
    const parts = refundedParts(this.#usedBy(original), before, credits)
      .filter((part) => part.credits > 0n)
      .map((part) => ({
        operation: part.operation,
        count: 0n,
        credits: 0n,
        refunded: part.credits,
      }));
    return { by: original, parts };
  }

  #usedBy(entry: CountedEntry): readonly AttributedUsage[] {
    if (!needsReservation(entry)) return attributeEntries([entry]).get(entry.seq) ?? [];
    const used = this.#ofReservations.get(entry.seq);
    assert(used, `the reservation of entry ${entry.seq} was not looked up`);
    return used;
  }
}

/** Work that was free counts. */
const countsFor = ({ operation, credits }: Part): boolean => operation !== '' || credits > 0n;

/** The rows that were added to. */
class Sums {
  readonly #byKey = new Map<string, UsageSum>();

  add(at: number, by: Charge, part: Part, places: readonly LabelPlace[]) {
    for (const place of places) {
      const sum = this.#row(at - (at % HOUR_MS), by, part.operation, place);
      sum.count += part.count;
      sum.credits += part.credits;
      sum.refunded += part.refunded;
      for (const [quantity, each] of part.quantities ?? []) {
        const total = each * part.count;
        if (total > 0n) sum.quantities.set(quantity, (sum.quantities.get(quantity) ?? 0n) + total);
      }
    }
  }

  list(): readonly UsageSum[] {
    return [...this.#byKey.values()];
  }

  #row(hour: number, by: Charge, operation: string, place: LabelPlace): UsageSum {
    const { caller, planId } = by;
    const rateCardVersion = by.rateCardVersion ?? 0;
    const { label, labelValue, beyond } = place;
    const key = JSON.stringify([
      ...[hour, operation, caller, planId, rateCardVersion],
      ...[label, labelValue, beyond],
    ]);
    const known = this.#byKey.get(key);
    if (known) return known;
    const row: UsageSum = {
      hour,
      operation,
      caller,
      planId,
      rateCardVersion,
      label,
      labelValue,
      beyond,
      count: 0n,
      credits: 0n,
      refunded: 0n,
      quantities: new Map(),
    };
    this.#byKey.set(key, row);
    return row;
  }
}
