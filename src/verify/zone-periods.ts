/**
 * Days, weeks and months of accounts, independently of src/ledger/periods: where a zone's dates begin is found by
 * asking `Intl` for the date at one moment after another.
 */
import type { Account } from '../ledger/account.ts';
import type { BudgetPeriod } from '../ledger/budget-period.ts';

type Zones = Account['timeZones'];
/** So many days or months each, counted from the day of the opening. */
type Counted = { readonly days?: number; readonly months?: number; readonly openedAt: number };
type Repeated = Exclude<BudgetPeriod, 'TOTAL'> | Counted;
export type Interval = { readonly from: number; readonly until: number };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** The furthest that a `Date` reaches, less a year. */
const FURTHEST_MS = 8.6e15;

/** The interval that contains `at`. Of a falsified instant it is none. */
export function intervalAt(zones: Zones, period: Repeated, at: number): Interval {
  if (!(Math.abs(at) < FURTHEST_MS)) return { from: Number.NaN, until: Number.NaN };
  let reign: Reign = { zone: zones?.[0]?.zone ?? 'UTC', begins: null, ends: null };
  for (const change of zones?.slice(1) ?? []) reign = follow(reign, change, period);
  while (reign.begins !== null && at < reign.begins) reign = reign.before;
  return within(reign, period, at);
}

/** The name of a month, such as "2026-11": two weeks after it begins, everywhere on earth it is that month. */
export function monthNamed(zones: Zones, at: number): string {
  const { from } = intervalAt(zones, 'MONTH', at);
  return Number.isNaN(from) ? 'none' : new Date(from + 14 * DAY_MS).toISOString().slice(0, 7);
}

/** The first moment after a month. */
export function monthEnd(zones: Zones, name: string): number {
  const [year, month] = name.split('-').map(Number);
  return intervalAt(zones, 'MONTH', Date.UTC(year ?? 0, (month ?? 1) - 1, 15)).until;
}

/** The time in which periods follow one zone. The first period of a later one ends where it says. */
type Reign =
  | { readonly zone: string; readonly begins: null; readonly ends: null }
  | {
      readonly zone: string;
      readonly begins: number;
      readonly ends: number;
      readonly before: Reign;
    };

/** What an account's periods follow once its zone was changed. */
function follow(
  now: Reign,
  change: { readonly zone: string; readonly at: number },
  period: Repeated,
): Reign {
  // The change before it has not come into force: it never will.
  if (now.begins !== null && now.begins > change.at) return follow(now.before, change, period);
  if (now.zone === change.zone) return now;
  const begins = within(now, period, change.at).until;
  const wouldEnd = within(now, period, begins).until;
  const { from, until } = inZone(change.zone, period, wouldEnd);
  const ends = until - wouldEnd > wouldEnd - from ? from : until;
  return { zone: change.zone, begins, ends, before: now };
}

const within = ({ zone, begins, ends }: Reign, period: Repeated, at: number): Interval =>
  begins !== null && at < ends ? { from: begins, until: ends } : inZone(zone, period, at);

function inZone(zone: string, period: Repeated, at: number): Interval {
  if (typeof period === 'object') return countedInZone(zone, period, at);
  let first = firstDayOf(period, dayAt(zone, at));
  while (beginning(zone, nextOf(period, first)) <= at) first = nextOf(period, first);
  return { from: beginning(zone, first), until: beginning(zone, nextOf(period, first)) };
}

function countedInZone(zone: string, { days, months, openedAt }: Counted, at: number): Interval {
  const opened = dayAt(zone, openedAt);
  const dayOf = (index: number) =>
    months === undefined ? opened + (days ?? 1) * index : addMonths(opened, months * index);
  const longest = months === undefined ? (days ?? 1) : months * 31;
  let index = Math.max(0, Math.floor((dayAt(zone, at) - opened) / longest) - 1);
  while (beginning(zone, dayOf(index + 1)) <= at) index += 1;
  return { from: beginning(zone, dayOf(index)), until: beginning(zone, dayOf(index + 1)) };
}

/** The same day of another month, or the last one of a month that is shorter. */
function addMonths(day: number, months: number): number {
  const date = new Date(day * DAY_MS);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + months];
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return Date.UTC(year, month, Math.min(date.getUTCDate(), lastDay)) / DAY_MS;
}

/** Days are counted from 1970-01-01, which was a Thursday. */
function firstDayOf(period: Exclude<Repeated, Counted>, day: number): number {
  if (period === 'DAY') return day;
  if (period === 'WEEK') return day - ((((day + 3) % 7) + 7) % 7);
  const date = new Date(day * DAY_MS);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / DAY_MS;
}

function nextOf(period: Exclude<Repeated, Counted>, day: number): number {
  if (period !== 'MONTH') return day + (period === 'DAY' ? 1 : 7);
  const date = new Date(day * DAY_MS);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) / DAY_MS;
}

const beginnings = new Map<string, number>();
/** More than a year of days, of every zone. */
const BEGINNINGS_MAX = 200_000;

/** The first moment at which the zone's date is this one, or a later one. */
function beginning(zone: string, day: number): number {
  if (zone === 'UTC') return day * DAY_MS;
  const key = `${zone} ${day}`;
  const known = beginnings.get(key);
  if (known !== undefined) return known;
  const found = findBeginning(zone, day);
  if (beginnings.size >= BEGINNINGS_MAX) beginnings.clear();
  beginnings.set(key, found);
  return found;
}

/** Clocks are at most 16 hours from UTC, and change by whole quarters of an hour since 1972. */
function findBeginning(zone: string, day: number): number {
  const step = 15 * MINUTE_MS;
  let at = day * DAY_MS - 16 * HOUR_MS;
  while (dayAt(zone, at) < day) at += step;
  let [before, since] = [at - step, at];
  while (since - before > 1) {
    const middle = Math.floor((before + since) / 2);
    if (dayAt(zone, middle) < day) before = middle;
    else since = middle;
  }
  return since;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** The zone's date at an instant. */
function dayAt(zone: string, at: number): number {
  if (zone === 'UTC') return Math.floor(at / DAY_MS);
  const text = clockOf(zone).format(at);
  const [, month, day, year] = /^(\d+)\/(\d+)\/(\d+)/.exec(text)?.map(Number) ?? [];
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day) / DAY_MS;
}

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone);
  if (known) return known;
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: isZone(zone) ? zone : 'UTC',
    calendar: 'gregory',
    numberingSystem: 'latn',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
  });
  clocks.set(zone, clock);
  return clock;
}

/** Whether there is a zone of this name; a falsified row may have any. */
function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
