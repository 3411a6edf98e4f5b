/**
 * Periods of an account with a time zone, also across changes of zone. The period that runs when the zone is
 * changed ends as it was. The one after it is longer or shorter: it ends at the new zone's midnight that is nearest to
 * where it would have ended. So a month keeps its name, and a day has at least 10 hours.
 */
import { Calendar } from './calendar.ts';
import type { Every, Period, ZoneChange } from './period.ts';

/** A part of an account's time that has one zone. */
type Stretch = {
  readonly calendar: Calendar;
  readonly from: number;
  /** End of its first period. */
  readonly firstUntil: number;
};

export function zonedPeriodAt(zones: readonly ZoneChange[], every: Every, at: number): Period {
  const [{ zone }, ...changes] = zones as [ZoneChange, ...ZoneChange[]];
  if (changes.length === 0) return Calendar.of(zone).periodAt(every, at);
  const stretches = stretchesOf(zones, every);
  const index = stretches.findLastIndex(({ from }) => from <= at);
  return periodIn(stretches[index] as Stretch, every, at);
}

function periodIn({ calendar, from, firstUntil }: Stretch, every: Every, at: number): Period {
  return at < firstUntil ? { from, until: firstUntil } : calendar.periodAt(every, at);
}

function computeStretches(zones: readonly ZoneChange[], every: Every): readonly Stretch[] {
  const [{ zone: firstZone }, ...changes] = zones as [ZoneChange, ...ZoneChange[]];
  const unbegun = Number.NEGATIVE_INFINITY;
  const stretches: Stretch[] = [
    { calendar: Calendar.of(firstZone), from: unbegun, firstUntil: unbegun },
  ];
  for (const { zone, at } of changes) {
    // Of several changes in one period the last counts.
    while ((stretches.at(-1) as Stretch).from > at) stretches.pop();
    const running = stretches.at(-1) as Stretch;
    const calendar = Calendar.of(zone);
    if (calendar === running.calendar) continue;
    const from = periodIn(running, every, at).until;
    const planned = periodIn(running, every, from).until;
    stretches.push({ calendar, from, firstUntil: calendar.turnNear(every, planned) });
  }
  return stretches;
}

/** Histories of zones that are remembered. Those that were not used for the longest time are forgotten. */
const REMEMBERED = 10_000;
const known = new Map<string, readonly Stretch[]>();

/** Remembered by what they follow from: the accounts that units of work load are always new objects. */
function stretchesOf(zones: readonly ZoneChange[], every: Every): readonly Stretch[] {
  if (typeof every !== 'string') return computeStretches(zones, every);
  let key: string = every;
  for (const { zone, at } of zones) key += ` ${zone} ${at}`;
  const stretches = known.get(key) ?? computeStretches(zones, every);
  known.delete(key);
  known.set(key, stretches);
  if (known.size > REMEMBERED) known.delete(known.keys().next().value as string);
  return stretches;
}
