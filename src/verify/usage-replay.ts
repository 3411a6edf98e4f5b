/**
 * What the entries of one account say of its usage rollups, independently of src/statements: every entry counts in
 * the hour in which its usage happened, once for all and once for each of its labels.
 */
import type { Entry, Labels } from '../ledger/entry.ts';
import { instant } from './instant.ts';
import { overlap, sharesOf, total, type Usage } from './statement-tally.ts';

/** Limits of an account and calendar month, as the documentation of usage reports states them. */
const LABELS_MAX = 20;
const VALUES_MAX = 200;

export type RollupSums = {
  count: bigint;
  credits: bigint;
  refunded: bigint;
  readonly quantities: Map<string, bigint>;
};

/** What a row is a sum of. */
export type RollupKey = {
  readonly hour: number;
  readonly operation: string;
  readonly caller: string;
  readonly planId: string;
  readonly rateCardVersion: number;
  readonly label: string;
  readonly labelValue: string;
  readonly beyond: boolean;
};

/** Two rows of an account never have the same. */
export const keyOf = (key: RollupKey): string =>
  JSON.stringify([
    ...[key.hour, key.operation, key.caller, key.planId, key.rateCardVersion],
    ...[key.label, key.labelValue, key.beyond],
  ]);

/** The row of a `keyOf`, for people. */
export function keyText(keyOfRow: string): string {
  const [hour, operation, caller, planId, version, label, value, beyond] = JSON.parse(keyOfRow);
  const place = beyond ? 'beyond the limit' : JSON.stringify(value);
  const about = label === '' ? (beyond ? ', other labels' : '') : `, ${label}: ${place}`;
  const by = `by ${caller}, ${planId} version ${version}`;
  return `usage of ${instant(hour)} of ${operation || 'no operation'} ${by}${about}`;
}

type UsedEntry = Pick<
  Entry,
  | 'seq'
  | 'at'
  | 'usedAt'
  | 'kind'
  | 'moves'
  | 'usages'
  | 'reservationId'
  | 'refundedSeq'
  | 'final'
  | 'caller'
  | 'planId'
  | 'rateCardVersion'
  | 'labels'
>;

type Reserved = { readonly usages: readonly Usage[]; committed: bigint | null };
/** A charge that a later entry refunds. */
type Refundable = {
  readonly entry: UsedEntry;
  readonly shares: readonly Usage[];
  refunded: bigint;
};

export class UsageReplay {
  readonly #rows = new Map<string, RollupSums>();
  readonly #ofLabels = new Set<string>();
  readonly #refundedSeqs: ReadonlySet<bigint>;
  readonly #reserved = new Map<string, Reserved>();
  readonly #refundable = new Map<bigint, Refundable>();
  #month = '';
  readonly #values = new Map<string, Set<string>>();

  /** The seqs of the entries that others refund. */
  constructor(refundedSeqs: ReadonlySet<bigint>) {
    this.#refundedSeqs = refundedSeqs;
  }

  /** By `keyOf`. */
  get rows(): ReadonlyMap<string, RollupSums> {
    return this.#rows;
  }

  /** Of the rows that no label divides. */
  undividedKeys(): readonly string[] {
    return [...this.#rows.keys()].filter((key) => !this.#ofLabels.has(key));
  }

  /** What the position states of the labels of its month. */
  get labels() {
    if (this.#values.size === 0) return null;
    const values = [...this.#values].map(([label, values]) => [label, [...values]] as const);
    return { month: this.#month, values: Object.fromEntries(values) };
  }

  /** Counts the account's next entry. */
  apply(entry: UsedEntry) {
    if (!Number.isFinite(entry.at)) return; // replay.ts reports it
    switch (entry.kind) {
      case 'RESERVE':
        if (entry.reservationId !== null)
          this.#reserved.set(entry.reservationId, { usages: usagesOf(entry), committed: null });
        break;
      case 'CHARGE':
      case 'COMMIT':
        this.#charge(entry);
        break;
      case 'REFUND':
        this.#refund(entry);
        break;
      case 'ERASE_ACCOUNT_DATA':
        for (const key of this.#ofLabels) this.#rows.delete(key);
        this.#ofLabels.clear();
        this.#values.clear();
        break;
      default:
    }
    // Nothing more is committed of it, but late, where it has expired.
    const isOver = entry.kind === 'RELEASE' || (entry.kind === 'COMMIT' && entry.final === true);
    if (isOver && entry.reservationId !== null) this.#reserved.delete(entry.reservationId);
  }

  #charge(entry: UsedEntry) {
    const reserved = this.#reserved.get(entry.reservationId ?? '');
    const shares = sharesOf({
      ...entry,
      usages: usagesOf(entry),
      reserved: reserved?.usages ?? [],
      committedBefore: reserved?.committed ?? null,
    });
    if (reserved)
      reserved.committed =
        (reserved.committed ?? 0n) + total(entry.moves.filter(({ to }) => to === 'consumed'));
    if (this.#refundedSeqs.has(entry.seq))
      this.#refundable.set(entry.seq, { entry, shares, refunded: 0n });
    const counting = shares.filter(({ operation, credits }) => operation !== '' || credits > 0n);
    if (counting.length === 0) return;
    const places = this.#placesOf(entry.at, entry.labels);
    for (const { operation, count, credits, quantities = new Map() } of counting)
      for (const { sums } of this.#rowsOf(entry.usedAt ?? entry.at, entry, operation, places)) {
        sums.count += count;
        sums.credits += credits;
        for (const [name, each] of quantities)
          if (each * count > 0n)
            sums.quantities.set(name, (sums.quantities.get(name) ?? 0n) + each * count);
      }
  }

  /** Counted from the end of the refunded credits, a refund is the interval `from` to `to`. */
  #refund({ at, labels, moves, refundedSeq }: UsedEntry) {
    const of = this.#refundable.get(refundedSeq ?? 0n);
    if (!of) return; // refunds.ts reports that the refunded entry is missing
    const from = of.refunded;
    const to = from + total(moves.filter((move) => move.from === 'consumed'));
    of.refunded = to;
    let places: readonly Place[] | null = null;
    let end = 0n;
    for (const { operation, credits } of of.shares.toReversed()) {
      const part = overlap(end, end + credits, from, to);
      end += credits;
      if (part === 0n) continue;
      places ??= this.#placesOf(at, labels);
      for (const { sums } of this.#rowsOf(at, of.entry, operation, places)) sums.refunded += part;
    }
  }

  *#rowsOf(at: number, by: UsedEntry, operation: string, places: readonly Place[]) {
    const { caller, planId, rateCardVersion } = by;
    const hour = Math.floor(at / 3_600_000) * 3_600_000;
    for (const place of places) {
      const of = { hour, operation, caller, planId, rateCardVersion: rateCardVersion ?? 0 };
      const key = keyOf({ ...of, ...place });
      const sums = this.#rows.get(key) ?? {
        count: 0n,
        credits: 0n,
        refunded: 0n,
        quantities: new Map<string, bigint>(),
      };
      this.#rows.set(key, sums);
      if (place !== ALL) this.#ofLabels.add(key);
      yield { sums };
    }
  }

  #placesOf(at: number, labels: Labels): readonly Place[] {
    const places = new Set<Place>([ALL]);
    const month = instant(at).slice(0, 7);
    for (const [label, labelValue] of Object.entries(labels).toSorted(([a], [b]) =>
      a < b ? -1 : 1,
    )) {
      if (month !== this.#month) this.#values.clear();
      this.#month = month;
      let values = this.#values.get(label);
      if (!values && this.#values.size === LABELS_MAX) {
        places.add(OTHER_LABELS);
        continue;
      }
      values ??= new Set();
      this.#values.set(label, values);
      const hasRow = values.has(labelValue) || values.size < VALUES_MAX;
      if (hasRow) values.add(labelValue);
      places.add({ label, labelValue: hasRow ? labelValue : '', beyond: !hasRow });
    }
    return [...places];
  }
}

type Place = Pick<RollupKey, 'label' | 'labelValue' | 'beyond'>;

const ALL: Place = { label: '', labelValue: '', beyond: false };
const OTHER_LABELS: Place = { label: '', labelValue: '', beyond: true };

const usagesOf = ({ usages }: UsedEntry): readonly Usage[] =>
  usages.map(({ usage: { operation, count, quantities }, credits }) => ({
    operation,
    count,
    credits,
    quantities,
  }));
