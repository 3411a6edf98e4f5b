/**
 * Which rows of usage rollups a label counts in. Callers choose labels, so that one with the id of a job would make
 * a row per entry. Therefore only the first labels of an account and month, and the first values of each, have rows
 * of their own.
 */
import type { Labels } from '../ledger/entry.ts';
import { formatMonth } from '../ledger/month.ts';

/** Labels of one account in a calendar month (UTC) that have rows. */
export const LABELS_MAX = 20;
/** Values of one label in that month that have rows of their own. All others share a row. */
export const LABEL_VALUES_MAX = 200;

/** The values that have rows of their own, by label, in the order of their first use. */
export type LabelsOfMonth = {
  /** Such as "2026-11". */
  readonly month: string;
  readonly values: Readonly<Record<string, readonly string[]>>;
};

export type LabelPlace = {
  /** Empty: all labels beyond LABELS_MAX. */
  readonly label: string;
  /** Empty where `beyond` is true. */
  readonly labelValue: string;
  /** Whether this is the row of everything beyond a limit. */
  readonly beyond: boolean;
};

/** The place of what has no label at all, and of everything. */
export const UNDIVIDED: LabelPlace = { label: '', labelValue: '', beyond: false };
const OTHER_LABELS: LabelPlace = { label: '', labelValue: '', beyond: true };

/** The limits depend on the order of entries only, so that a rebuild finds the same rows. */
export class LabelPlaces {
  #month: string;
  readonly #values: Map<string, Set<string>>;

  constructor(known: LabelsOfMonth | null) {
    this.#month = known?.month ?? '';
    this.#values = new Map(
      Object.entries(known?.values ?? {}).map(([label, values]) => [label, new Set(values)]),
    );
  }

  /** The rows that an entry of this time counts in. Time never runs backwards. */
  placesOf(at: number, labels: Labels): readonly LabelPlace[] {
    const names = Object.keys(labels);
    if (names.length === 0) return [UNDIVIDED];
    this.#enter(formatMonth(at));
    const places = names.toSorted().map((label) => this.#place(label, labels[label] ?? ''));
    const own = places.filter((place) => place !== OTHER_LABELS);
    return [UNDIVIDED, ...own, ...(own.length < places.length ? [OTHER_LABELS] : [])];
  }

  /** To go on later. Null: no label was used. */
  known(): LabelsOfMonth | null {
    if (this.#values.size === 0) return null;
    const values = Object.fromEntries(
      [...this.#values].map(([label, values]) => [label, [...values]]),
    );
    return { month: this.#month, values };
  }

  #enter(month: string) {
    if (month === this.#month) return;
    this.#month = month;
    this.#values.clear();
  }

  #place(label: string, labelValue: string): LabelPlace {
    const values = this.#values.get(label) ?? new Set<string>();
    if (values.size === 0) {
      if (this.#values.size >= LABELS_MAX) return OTHER_LABELS;
      this.#values.set(label, values);
    }
    if (values.size < LABEL_VALUES_MAX) values.add(labelValue);
    return values.has(labelValue)
      ? { label, labelValue, beyond: false }
      : { label, labelValue: '', beyond: true };
  }
}
