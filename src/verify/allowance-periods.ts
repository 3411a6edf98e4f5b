/**
 * The periods of allowances, as plans state them: the calendar month, or a length that is counted from the opening
 * of the account.
 */
import type { Account } from '../ledger/account.ts';
import { intervalAt } from './zone-periods.ts';

const LENGTH = /^(\d+) (day|month)s?$/;
const DAY_MS = 86_400_000;

export type Opened = Pick<Account, 'openedAt' | 'timeZones'>;

/** The end of the period that the instant is in. Not a number where one of them is none. */
export function endOfPeriod(every: string, { openedAt, timeZones }: Opened, at: number): number {
  if (every === 'month') return intervalAt(timeZones, 'MONTH', at).until;
  if (timeZones !== null) return endInZones(every, openedAt, timeZones, at);
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

function endInZones(
  every: string,
  openedAt: number,
  timeZones: Account['timeZones'],
  at: number,
): number {
  const [, text, unit] = LENGTH.exec(every) ?? [];
  const length = Number(text);
  if (!(length > 0 && Math.abs(openedAt) < 8e15)) return Number.NaN;
  const period = unit === 'day' ? { days: length, openedAt } : { months: length, openedAt };
  return intervalAt(timeZones, period, at).until;
}

/** In a zone, a turn that is so close to the end of a period that was written is that end. */
const TURN_MS = 6 * 3_600_000;

/** The end of the period that begins when another ended. */
export function endOfPeriodFrom(every: string, account: Opened, from: number): number {
  const end = endOfPeriod(every, account, from);
  const isSame = account.timeZones !== null && end - from < TURN_MS;
  return isSame ? endOfPeriod(every, account, end) : end;
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
