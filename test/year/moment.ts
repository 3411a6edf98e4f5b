/** The moments of a simulated day at which something is asked for. */
import { DAY_MS, HOUR_MS, MINUTE_MS } from './calendar.ts';

export const MOMENTS = ['turn', 'grace', 'morning', 'afternoon', 'evening'] as const;
export type MomentName = (typeof MOMENTS)[number];

export type Moment = {
  readonly name: MomentName;
  readonly at: number;
  /** 0 for the first day of the year. */
  readonly day: number;
  /** 1 to 31. */
  readonly dayOfMonth: number;
  readonly lastOfMonth: boolean;
  /** The year itself; afterwards time only runs on. */
  readonly inYear: boolean;
};

/**
 * From the start of the day. What is reserved in the evening for the plan's 15 minutes still runs at
 * the turn, and has expired by the grace, when it can be committed late.
 */
const FROM: Record<MomentName, number> = {
  turn: 3 * MINUTE_MS,
  grace: 8 * MINUTE_MS,
  morning: 8 * HOUR_MS,
  afternoon: 14 * HOUR_MS,
  evening: 23 * HOUR_MS + 50 * MINUTE_MS,
};

/** Every account is settled at the end of every day. */
export const SWEEP_FROM_MS = 23 * HOUR_MS + 58 * MINUTE_MS;

/** `spreadMs` moves working hours a little: packs are bought at all sorts of times. */
export function momentOf(
  name: MomentName,
  day: number,
  dayStart: number,
  yearEnd: number,
  spreadMs: number,
): Moment {
  const dayOfMonth = new Date(dayStart).getUTCDate();
  const working = name === 'morning' || name === 'afternoon';
  return {
    name,
    at: dayStart + FROM[name] + (working ? spreadMs : 0),
    day,
    dayOfMonth,
    lastOfMonth: new Date(dayStart + DAY_MS).getUTCDate() === 1,
    inYear: dayStart < yearEnd,
  };
}
