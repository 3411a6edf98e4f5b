/** Calendar months in UTC. Instants are epoch milliseconds; text is of the form "2026-11". */

/** First moment of the month that is `offset` months after the month of `at`. */
export function monthStart(at: number, offset = 0): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset, 1);
}

/** First moment of a month given as text. */
export const parseMonth = (month: string): number => Date.parse(`${month}-01T00:00:00Z`);

/** The month of `at` as text. */
export const formatMonth = (at: number): string => new Date(at).toISOString().slice(0, 7);
