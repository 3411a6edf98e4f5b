/** Periods in UTC, by arithmetic alone. */
import assert from 'node:assert/strict';
import { expiryOf } from '../../pricing/packs.ts';
import { monthStart } from '../month.ts';
import type { Every, Period } from './period.ts';

const DAY_MS = 86_400_000;
/** 1970-01-05 was the first Monday. */
const FIRST_MONDAY = 4 * DAY_MS;

/** The period that contains `at`. */
export function utcPeriodAt(every: Every, at: number): Period {
  switch (every) {
    case 'day':
      return ofLength(DAY_MS, 0, at);
    case 'week':
      return ofLength(7 * DAY_MS, FIRST_MONDAY, at);
    case 'month':
      return { from: monthStart(at), until: monthStart(at, 1) };
    default:
      return countedFrom(every, at);
  }
}

/** Periods of a fixed length, of which one begins at `origin`. */
function ofLength(lengthMs: number, origin: number, at: number): Period {
  const from = origin + Math.floor((at - origin) / lengthMs) * lengthMs;
  return { from, until: from + lengthMs };
}

/** With months from the 31st, a period starts on the last day of February and the next one on 31 March. */
function countedFrom(every: Exclude<Every, string>, at: number): Period {
  const longestMs = 'days' in every ? every.days * DAY_MS : every.months * 31 * DAY_MS;
  let index = Math.max(0, Math.floor((at - every.since) / longestMs));
  while (startOf(every, index + 1) <= at) index += 1;
  return { from: startOf(every, index), until: startOf(every, index + 1) };
}

function startOf(every: Exclude<Every, string>, index: number): number {
  if (index === 0) return every.since;
  const length = 'days' in every ? { days: every.days * index } : { months: every.months * index };
  const at = expiryOf(length, every.since);
  assert(at !== null, 'a length of time ends');
  return at;
}
