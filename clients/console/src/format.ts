/** How the pages write credits, money, instants, lengths of time and names. */
import type { Money, Validity } from './messages.ts';

/** An amount of a message; 0 where it was left out. */
export const big = (value: string | number | bigint | undefined): bigint => BigInt(value ?? 0);

const GROUPED = new Intl.NumberFormat('en-US');

/** Grouped by thousands: "12,345". The sign is a real minus. */
export const credits = (value: string | number | bigint | undefined): string =>
  GROUPED.format(big(value)).replace('-', '−');

/** With its sign, as of a change: "+50", "−10", "0". */
export const change = (value: bigint): string =>
  value > 0n ? `+${credits(value)}` : credits(value);

export const counted = (
  count: string | number | bigint | undefined,
  noun: string,
  plural = `${noun}s`,
) => `${credits(count)} ${big(count) === 1n ? noun : plural}`;

/** "1,299.00 USD". The digits after the point stay as the service says them. */
export function money(value: Money | undefined): string {
  if (!value?.amount) return '';
  const [whole = '0', digits] = value.amount.split('.');
  const sign = whole.startsWith('-') ? '−' : '';
  const grouped = GROUPED.format(BigInt(whole.replace('-', '')));
  return `${sign}${grouped}${digits === undefined ? '' : `.${digits}`} ${value.currency ?? ''}`.trim();
}

export type Zone = 'utc' | 'local';

const two = (value: number): string => String(value).padStart(2, '0');

/** "2026-11-30 02:05:12". */
export function instant(ms: number, zone: Zone): string {
  const at = new Date(ms);
  if (zone === 'utc') return at.toISOString().slice(0, 19).replace('T', ' ');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** "UTC", or the zone of this browser: "UTC+01:00". */
export function zoneName(zone: Zone, ms: number): string {
  if (zone === 'utc') return 'UTC';
  const minutes = -new Date(ms).getTimezoneOffset();
  if (minutes === 0) return 'UTC+00:00';
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? '−' : '+'}${two(Math.trunc(size / 60))}:${two(size % 60)}`;
}

const UNITS = [
  ['y', 365 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** Two units at most: "3 d 4 h", "12 min", "850 ms". */
export function lengthOf(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const first = UNITS.findIndex(([, size]) => ms >= size);
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const count = Math.trunc(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(' ');
}

/** "3 d ago", "in 12 min", "now": one unit. */
export function relative(ms: number, now: number): string {
  const size = Math.abs(ms - now);
  if (size < 1_000) return 'now';
  // "In 1 y" would tell too little of the expiry of a pack.
  const units = size < 2 * UNITS[0][1] ? UNITS.slice(1) : UNITS;
  const [unit, unitMs] = units.find(([, one]) => size >= one) ?? UNITS[4];
  const text = `${Math.trunc(size / unitMs)} ${unit}`;
  return ms > now ? `in ${text}` : `${text} ago`;
}

/** The milliseconds of a google.protobuf.Duration: "3.5s". */
export const durationMs = (text: string | undefined): number =>
  text === undefined ? 0 : Number(text.replace(/s$/, '')) * 1_000;

/** "KIND_GRANT_EXPIRED" without its prefix, for people: "grant expired". */
export const words = (member: string | undefined, prefix: string): string =>
  (member ?? '').replace(`${prefix}_`, '').replaceAll('_', ' ').toLowerCase();

export function validity(value: Validity | undefined): string {
  if (value?.months) return counted(value.months, 'month');
  if (value?.days) return counted(value.days, 'day');
  return 'never expires';
}

export const percentOf = (part: bigint, whole: bigint): number =>
  whole <= 0n ? 0 : Number((part * 100_000n) / whole) / 1_000;

/** "pages=12 output_format=pdf". */
export const inputs = (
  ...all: readonly (Readonly<Record<string, string>> | undefined)[]
): readonly string[] =>
  all.flatMap((one) => Object.entries(one ?? {}).map(([name, value]) => `${name}=${value}`));

/** The month of an instant, in UTC: "2026-11". */
export const monthOf = (ms: number): string => new Date(ms).toISOString().slice(0, 7);

/** The same in a time zone. */
export const monthIn = (timeZone: string, ms: number): string =>
  new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit' }).format(ms);

/** Every month from the first to the last, newest first. */
export function monthsBetween(first: string, last: string): readonly string[] {
  const months: string[] = [];
  for (let at = new Date(`${last}-01T00:00:00Z`); monthOf(at.getTime()) >= first; ) {
    months.push(monthOf(at.getTime()));
    at = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - 1));
  }
  return months;
}
