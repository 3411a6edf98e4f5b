/** Calendar months in UTC. Instants are epoch milliseconds; a month is written "2026-11". */

/** First moment of the calendar month, UTC, that is `offset` months after that of `at`. */
export function monthStart(at: number, offset = 0): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset, 1);
}

/** First moment of a month as people write it. */
export const parseMonth = (name: string): number => Date.parse(`${name}-01T00:00:00Z`);

/** The month as people write it, e.g. "2026-11". */
export const formatMonth = (at: number): string => new Date(at).toISOString().slice(0, 7);
