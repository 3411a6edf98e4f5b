/** Calendar months of the archive, UTC, e.g. "2026-11". */
import { formatMonth, monthStart } from '../ledger/month.ts';

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;

/** The first moment of a month, in epoch milliseconds; null: the text is no month. */
export const startOfMonth = (month: string): number | null =>
  MONTH.test(month) ? Date.parse(`${month}-01T00:00:00.000Z`) : null;

/** The months from the one of an instant to the one before `before`, in their order. */
export function* monthsFrom(at: number, before: number): Generator<{ month: string; end: number }> {
  for (let start = monthStart(at); start < before; start = monthStart(start, 1))
    yield { month: formatMonth(start), end: monthStart(start, 1) };
}
