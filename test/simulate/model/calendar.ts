/**
 * Months and periods. The rules of a few zones are written here, and periods are found by walking from one to the next:
 * nothing is shared with the service.
 */
import type { Validity } from '../plans.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The first moment in UTC of the month that is `months` after that of `at`. */
function monthStart(at: number, months = 0): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months);
}

/** The same time of day on the same day some months later, or on the last day of that month. */
function laterByMonths(at: number, months: number): number {
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

/** Hours that clocks are ahead of UTC. New York's change at 2 o'clock of a Sunday. */
const ZONES: Readonly<Record<string, (at: number) => number>> = {
  UTC: () => 0,
  'Asia/Kolkata': () => 5.5,
  'Pacific/Kiritimati': () => 14,
  'Etc/GMT+12': () => -12,
  'America/New_York': (at) => {
    const year = new Date(at).getUTCFullYear();
    const begins = sundayOf(year, 2, 2) + 7 * HOUR_MS;
    const ends = sundayOf(year, 10, 1) + 6 * HOUR_MS;
    return at >= begins && at < ends ? -4 : -5;
  },
};
export const ZONE_NAMES = Object.keys(ZONES);

/** The nth Sunday of a month. */
function sundayOf(year: number, month: number, nth: number): number {
  const first = new Date(Date.UTC(year, month));
  return first.getTime() + (((7 - first.getUTCDay()) % 7) + 7 * (nth - 1)) * DAY_MS;
}

const offsetAt = (zone: string, at: number): number => (ZONES[zone]?.(at) ?? 0) * HOUR_MS;

/** Days since 1970, by the clocks of the zone. */
const dayAt = (zone: string, at: number): number => Math.floor((at + offsetAt(zone, at)) / DAY_MS);

/** Midnight. No zone here changes its clocks within five hours of it. */
const midnight = (zone: string, day: number): number =>
  day * DAY_MS - offsetAt(zone, day * DAY_MS + (zone === 'America/New_York' ? 5 * HOUR_MS : 0));

export type ModelEvery =
  | 'day'
  | 'week'
  | 'month'
  | { readonly days: number; readonly since: number };

/** Whether a period begins with this day. */
function isFirstDay(zone: string, every: ModelEvery, day: number): boolean {
  if (every === 'day') return true;
  // Day 4 was a Monday.
  if (every === 'week') return (day - 4) % 7 === 0;
  if (every === 'month') return new Date(day * DAY_MS).getUTCDate() === 1;
  return (day - dayAt(zone, every.since)) % every.days === 0;
}

/** The next moment at which a period of the zone begins. */
function turnAfter(zone: string, every: ModelEvery, at: number): number {
  let day = dayAt(zone, at) + 1;
  while (!isFirstDay(zone, every, day)) day += 1;
  return midnight(zone, day);
}

/** The last moment at which one began. */
function turnUpTo(zone: string, every: ModelEvery, at: number): number {
  let day = dayAt(zone, at);
  while (!isFirstDay(zone, every, day)) day -= 1;
  return midnight(zone, day);
}

export type ModelZones = readonly { readonly zone: string; readonly at: number }[] | null;
type Walked = { readonly from: number; readonly until: number };

/** The period that contains `at`. */
export function periodAt(zones: ModelZones, every: ModelEvery, at: number): Walked {
  if (zones === null && typeof every === 'object') return countedFrom(every, at);
  const [first = { zone: 'UTC', at: 0 }, ...changes] = zones ?? [];
  let { zone } = first;
  let from = turnUpTo(zone, every, Math.min(at, changes[0]?.at ?? at));
  let until = turnAfter(zone, every, from);
  while (until <= at) {
    const end = until;
    const wanted = changes.findLast((change) => change.at < end)?.zone ?? zone;
    const planned = turnAfter(zone, every, end);
    from = end;
    until = wanted === zone ? planned : nearest(wanted, every, planned);
    zone = wanted;
  }
  return typeof every === 'object' && from < every.since
    ? { from: every.since, until }
    : { from, until };
}

function nearest(zone: string, every: ModelEvery, at: number): number {
  const [before, after] = [turnUpTo(zone, every, at), turnAfter(zone, every, at)];
  return at - before < after - at ? before : after;
}

/** Without a zone, days of 24 hours from the opening on. */
function countedFrom({ days, since }: { days: number; since: number }, at: number): Walked {
  const length = days * DAY_MS;
  const from = since + Math.max(0, Math.floor((at - since) / length)) * length;
  return { from, until: from + length };
}

/** The period after one that ended at `from`, which is that of another plan: none has less than 6 hours. */
export function periodFrom(zones: ModelZones, every: ModelEvery, from: number): Walked {
  const { until } = periodAt(zones, every, from);
  if (zones === null || until - from >= 6 * HOUR_MS) return { from, until };
  return { from, until: periodAt(zones, every, until).until };
}

/** E.g. "2031-02": the month in which most of the period lies. */
const nameOf = ({ from, until }: Walked): string =>
  new Date((from + until) / 2).toISOString().slice(0, 7);

export const monthOf = (zones: ModelZones, at: number): string =>
  nameOf(periodAt(zones, 'month', at));
