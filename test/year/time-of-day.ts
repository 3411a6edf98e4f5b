/** The times of a simulated day at which requests are sent. */
import { DAY_MS, HOUR_MS, MINUTE_MS } from './calendar.ts';

export const TIMES_OF_DAY = ['midnight', 'grace', 'morning', 'afternoon', 'evening'] as const;
export type TimeOfDayName = (typeof TIMES_OF_DAY)[number];

export type TimeOfDay = {
  readonly name: TimeOfDayName;
  readonly at: number;
  /** 0 for the first day of the year. */
  readonly day: number;
  /** 1 to 31. */
  readonly dayOfMonth: number;
  readonly lastOfMonth: boolean;
  /** False after the year, when only expiries and statements are left. */
  readonly inYear: boolean;
};

/**
 * From the start of the day. A reservation of the evening, with the plan's TTL of 15 minutes, is active at
 * `midnight`, and has expired at `grace`, when it can be committed late.
 */
const OFFSET_MS: Record<TimeOfDayName, number> = {
  midnight: 3 * MINUTE_MS,
  grace: 8 * MINUTE_MS,
  morning: 8 * HOUR_MS,
  afternoon: 14 * HOUR_MS,
  evening: 23 * HOUR_MS + 50 * MINUTE_MS,
};

/** The sweeper runs at the end of every day. */
export const SWEEP_OFFSET_MS = 23 * HOUR_MS + 58 * MINUTE_MS;

/** `spreadMs` delays working hours, so that packs are bought at different times. */
export function timeOfDay(
  name: TimeOfDayName,
  day: number,
  dayStart: number,
  yearEnd: number,
  spreadMs: number,
): TimeOfDay {
  const dayOfMonth = new Date(dayStart).getUTCDate();
  const isWorkingHours = name === 'morning' || name === 'afternoon';
  return {
    name,
    at: dayStart + OFFSET_MS[name] + (isWorkingHours ? spreadMs : 0),
    day,
    dayOfMonth,
    lastOfMonth: new Date(dayStart + DAY_MS).getUTCDate() === 1,
    inYear: dayStart < yearEnd,
  };
}
