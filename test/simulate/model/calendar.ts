/** Months and periods, by UTC. */
import type { Validity } from '../plans.ts';

const DAY_MS = 86_400_000;

/** E.g. "2031-02". */
export const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** The first moment of the month that is `months` after that of `at`. */
export function monthStart(at: number, months = 0): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months);
}

/** The same time of day on the same day some months later, or on the last day of that month. */
export function laterByMonths(at: number, months: number): number {
  const date = new Date(at);
  const first = monthStart(at, months);
  const lastDay = new Date(monthStart(at, months + 1) - DAY_MS).getUTCDate();
  const day = Math.min(date.getUTCDate(), lastDay);
  return first + (day - 1) * DAY_MS + (at % DAY_MS);
}

export function endOf(validity: Validity, at: number): number | null {
  if (validity === null) return null;
  return 'days' in validity ? at + validity.days * DAY_MS : laterByMonths(at, validity.months);
}

/** The period that contains `at`: a month, or one of so many days from the opening on. */
export function periodAt(every: 'month' | { readonly days: number }, openedAt: number, at: number) {
  if (every === 'month') return { from: monthStart(at), until: monthStart(at, 1) };
  const length = every.days * DAY_MS;
  const from = openedAt + Math.max(0, Math.floor((at - openedAt) / length)) * length;
  return { from, until: from + length };
}
