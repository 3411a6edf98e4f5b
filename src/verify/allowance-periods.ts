/**
 * The periods of allowances, as plans state them: the calendar month, or a length that is counted from the opening
 * of the account.
 */
import { monthEnd, monthNamed } from './statement-tally.ts';

const LENGTH = /^(\d+) (day|month)s?$/;
const DAY_MS = 86_400_000;

/** The end of the period that the instant is in. Not a number where one of them is none. */
export function endOfPeriod(every: string, openedAt: number, at: number): number {
  if (every === 'month') return monthEnd(monthNamed(at));
  const [, text, unit] = LENGTH.exec(every) ?? [];
  const length = Number(text);
  if (unit === 'day') {
    const ms = length * DAY_MS;
    return openedAt + (Math.floor((at - openedAt) / ms) + 1) * ms;
  }
  const months = monthsOf(at) - monthsOf(openedAt);
  let periods = Math.floor(months / length);
  while (addMonths(openedAt, periods * length) <= at) periods += 1;
  return addMonths(openedAt, periods * length);
}

/** Counted from 1970. */
const monthsOf = (at: number): number =>
  (new Date(at).getUTCFullYear() - 1970) * 12 + new Date(at).getUTCMonth();

/** The same day and time so many months later, or the last day of a month that is shorter. */
function addMonths(from: number, months: number): number {
  const month = monthsOf(from) + months;
  const lastDay = new Date(Date.UTC(1970, month + 1, 0)).getUTCDate();
  const day = Math.min(new Date(from).getUTCDate(), lastDay);
  const timeOfDay = ((from % DAY_MS) + DAY_MS) % DAY_MS;
  return Date.UTC(1970, month, day) + timeOfDay;
}
