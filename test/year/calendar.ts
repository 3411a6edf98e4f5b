/** Days and months in UTC, computed independently of the service. */
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** E.g. "2028-02-29". */
export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** E.g. "2028-02". */
export const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** The start of a month such as "2028-02". */
export const beginOf = (month: string): number => Date.parse(`${month}-01T00:00:00.000Z`);

/** The month `months` after a month. */
export function monthAfter(month: string, months: number): string {
  const count = Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1 + months;
  return `${Math.floor(count / 12)}-${String((count % 12) + 1).padStart(2, '0')}`;
}

/** The months from first to last, both included. */
export function monthsBetween(first: string, last: string): readonly string[] {
  const months: string[] = [];
  for (let month = first; month <= last; month = monthAfter(month, 1)) months.push(month);
  return months;
}

/** Adds calendar months. In a shorter month the result is its last day. */
export function laterByMonths(at: number, months: number): number {
  const later = new Date(at);
  const day = later.getUTCDate();
  later.setUTCMonth(later.getUTCMonth() + months);
  // The month is shorter: go back to its last day.
  if (later.getUTCDate() !== day) later.setUTCDate(0);
  return later.getTime();
}
