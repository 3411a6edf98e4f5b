/**
 * Periods in one time zone, by the zone data of this Node. A period begins with the first moment of its first day. That
 * is midnight, or where clocks skip midnight, the moment after. A day that a zone never had, because it
 * crossed the date line, has no period.
 */
import { Temporal } from 'temporal-polyfill';
import type { Every, Period } from './period.ts';

/** Periods that a calendar remembers of each kind: those that are running, and of jobs that began before. */
const REMEMBERED = 16;

export class Calendar {
  readonly #zone: string;
  /** Of days, weeks and months; the one that was asked for last comes first. */
  readonly #known: Readonly<Record<'day' | 'week' | 'month', Period[]>> = {
    day: [],
    week: [],
    month: [],
  };

  private constructor(zone: string) {
    this.#zone = zone;
  }

  static readonly #ofZones = new Map<string, Calendar>();

  /** The zone has its canonical name. There are some 420, so all that are used are kept. */
  static of(zone: string): Calendar {
    const known = Calendar.#ofZones.get(zone);
    if (known) return known;
    const calendar = new Calendar(zone);
    Calendar.#ofZones.set(zone, calendar);
    return calendar;
  }

  /** The period that contains `at`. */
  periodAt(every: Every, at: number): Period {
    if (typeof every !== 'string') return this.#compute(every, at);
    const known = this.#known[every];
    const index = known.findIndex(({ from, until }) => from <= at && at < until);
    if (index === 0) return known[0] as Period;
    const [period = this.#compute(every, at)] = index > 0 ? known.splice(index, 1) : [];
    known.unshift(period);
    if (known.length > REMEMBERED) known.pop();
    return period;
  }

  /** The moment nearest to `at` at which a period begins; of two that are as near, the later. */
  turnNear(every: Every, at: number): number {
    const { from, until } = this.periodAt(every, at);
    return at - from < until - at ? from : until;
  }

  #compute(every: Every, at: number): Period {
    const date = this.#dateAt(at);
    const dates =
      typeof every === 'string' ? datesOf(every, date) : this.#countedDates(every, date);
    for (let index = 0; ; index += 1) {
      const until = this.#startOf(dates(index + 1));
      if (until <= at) continue;
      // What is counted from an instant begins with it, and ends with days.
      const isFirst = typeof every !== 'string' && dates(index).equals(this.#dateAt(every.since));
      return { from: isFirst ? every.since : this.#startOf(dates(index)), until };
    }
  }

  /** The first days of periods counted from the day of `since`; index 0 is that of the period with `date`. */
  #countedDates(every: Exclude<Every, string>, date: Temporal.PlainDate) {
    const first = this.#dateAt(every.since);
    const dateOf = (index: number) =>
      first.add('days' in every ? { days: every.days * index } : { months: every.months * index });
    const elapsed = first.until(date, { largestUnit: 'days' in every ? 'days' : 'months' });
    const counted = 'days' in every ? elapsed.days / every.days : elapsed.months / every.months;
    let start = Math.max(0, Math.floor(counted));
    // From the 31st on, a month is over a day before it is a month since.
    while (Temporal.PlainDate.compare(dateOf(start + 1), date) <= 0) start += 1;
    return (index: number) => dateOf(start + index);
  }

  #dateAt(at: number): Temporal.PlainDate {
    return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(this.#zone).toPlainDate();
  }

  #startOf(date: Temporal.PlainDate): number {
    return date.toZonedDateTime(this.#zone).epochMilliseconds;
  }
}

/** The first days of periods; index 0 is that of the period with `date`. */
function datesOf(every: 'day' | 'week' | 'month', date: Temporal.PlainDate) {
  switch (every) {
    case 'day':
      return (index: number) => date.add({ days: index });
    case 'week': {
      const monday = date.subtract({ days: date.dayOfWeek - 1 });
      return (index: number) => monday.add({ weeks: index });
    }
    case 'month': {
      const first = date.with({ day: 1 });
      return (index: number) => first.add({ months: index });
    }
  }
}
