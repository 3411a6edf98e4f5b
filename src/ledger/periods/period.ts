/**
 * The period of an instant, for an account: nothing else knows where one begins. Days, weeks from Monday and calendar
 * months turn at midnight of the account's time zone. Without a zone that is UTC, which needs no library.
 */
import { monthStart } from '../month.ts';
import { utcPeriodAt } from './utc-period.ts';
import { zonedPeriodAt } from './zoned-period.ts';

/** The half-open interval [from, until) in epoch milliseconds. */
export type Period = { readonly from: number; readonly until: number };

/** How often a period begins. Lengths are counted from `since`, not from the period before. */
export type Every =
  | 'day'
  | 'week'
  | 'month'
  | { readonly days: number; readonly since: number }
  | { readonly months: number; readonly since: number };

/** A time zone by its canonical name, and when the account was given it. */
export type ZoneChange = { readonly zone: string; readonly at: number };

/** The time zones of an account, oldest first; the first holds for all time before it, too. Null: always UTC. */
export type Zones = readonly ZoneChange[] | null;

/** The period that contains `at`. */
export const periodAt = (zones: Zones, every: Every, at: number): Period =>
  zones === null ? utcPeriodAt(every, at) : zonedPeriodAt(zones, every, at);

/** Shorter than any period, and longer than new zone data moves a turn. */
const SHORTEST_MS = 6 * 3_600_000;

/**
 * The period that follows one whose end was written. Zone data can have changed since, so that the turn is now a
 * little later. What was written stays, and counts as that turn.
 */
export function periodFrom(zones: Zones, every: Every, from: number): Period {
  const { until } = periodAt(zones, every, from);
  if (zones === null || until - from >= SHORTEST_MS) return { from, until };
  return { from, until: periodAt(zones, every, until).until };
}

export const monthAt = (zones: Zones, at: number): Period => periodAt(zones, 'month', at);

/** Whether two instants are in one calendar month. */
export function isSameMonth(zones: Zones, one: number, other: number): boolean {
  if (zones === null) return monthStart(one) === monthStart(other);
  const { from, until } = monthAt(zones, one);
  return from <= other && other < until;
}

/** The name of a month, such as "2026-11": in every zone, its middle is in the month of that name in UTC. */
export const nameOfMonth = ({ from, until }: Period): string =>
  new Date((from + until) / 2).toISOString().slice(0, 7);

/** The month of `at` as text. */
export const monthNameAt = (zones: Zones, at: number): string => nameOfMonth(monthAt(zones, at));

/** The month of a name. */
export const monthNamed = (zones: Zones, name: string): Period =>
  monthAt(zones, Date.parse(`${name}-15T12:00:00Z`));

/** The newest beginning of a month that is not later than `at`, which may be one that was written. */
export function newestMonthBy(zones: Zones, at: number): number {
  const { from } = monthAt(zones, at + SHORTEST_MS);
  return Math.abs(from - at) < SHORTEST_MS ? at : from;
}

/** The month that ends at `end`, as it was written. */
export const monthEndingAt = (zones: Zones, end: number): Period => ({
  from: monthAt(zones, end - SHORTEST_MS).from,
  until: end,
});
