import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Every,
  isSameMonth,
  monthEndingAt,
  monthNameAt,
  monthNamed,
  periodAt,
  periodFrom,
  type Zones,
} from '../../../src/ledger/periods/period.ts';
import { intervalAt } from '../../../src/verify/zone-periods.ts';

const HOUR_MS = 3_600_000;
const ms = (text: string) => Date.parse(text);
const text = (at: number) => new Date(at).toISOString().replace(/(:00)?\.000Z$/, 'Z');
const always = (zone: string): Zones => [{ zone, at: 0 }];
const shown = (zones: Zones, every: Every, at: string) => {
  const { from, until } = periodAt(zones, every, ms(at));
  return [text(from), text(until)];
};

describe('the day, week or month of an instant', () => {
  test.each([
    [
      'a day of 23 hours',
      'Europe/Berlin',
      'day',
      '2026-03-29T12:00Z',
      '2026-03-28T23:00Z',
      '2026-03-29T22:00Z',
    ],
    [
      'a day of 25 hours',
      'Europe/Berlin',
      'day',
      '2026-10-25T12:00Z',
      '2026-10-24T22:00Z',
      '2026-10-25T23:00Z',
    ],
    [
      'the second 02:30 of that day',
      'Europe/Berlin',
      'day',
      '2026-10-25T01:30Z',
      '2026-10-24T22:00Z',
      '2026-10-25T23:00Z',
    ],
    [
      'a week with such a day',
      'Europe/Berlin',
      'week',
      '2026-03-25T12:00Z',
      '2026-03-22T23:00Z',
      '2026-03-29T22:00Z',
    ],
    [
      'a month with such a day',
      'Europe/Berlin',
      'month',
      '2026-03-15T12:00Z',
      '2026-02-28T23:00Z',
      '2026-03-31T22:00Z',
    ],
    [
      'the last moment of it',
      'Europe/Berlin',
      'month',
      '2026-03-31T21:59:59.999Z',
      '2026-02-28T23:00Z',
      '2026-03-31T22:00Z',
    ],
    [
      'the first moment of the next',
      'Europe/Berlin',
      'month',
      '2026-03-31T22:00Z',
      '2026-03-31T22:00Z',
      '2026-04-30T22:00Z',
    ],
    [
      'February of a leap year',
      'America/New_York',
      'month',
      '2028-02-29T12:00Z',
      '2028-02-01T05:00Z',
      '2028-03-01T05:00Z',
    ],
    [
      'a midnight that does not exist',
      'Africa/Cairo',
      'day',
      '2026-04-24T12:00Z',
      '2026-04-23T22:00Z',
      '2026-04-24T21:00Z',
    ],
    [
      'the day before it',
      'Africa/Cairo',
      'day',
      '2026-04-23T12:00Z',
      '2026-04-22T22:00Z',
      '2026-04-23T22:00Z',
    ],
    [
      'the same in Brazil',
      'America/Sao_Paulo',
      'day',
      '2018-11-04T12:00Z',
      '2018-11-04T03:00Z',
      '2018-11-05T02:00Z',
    ],
    [
      'midnight twice in one night',
      'America/Sao_Paulo',
      'day',
      '2018-02-17T12:00Z',
      '2018-02-17T02:00Z',
      '2018-02-18T03:00Z',
    ],
    [
      'clocks that go back after midnight',
      'America/St_Johns',
      'day',
      '2010-11-07T03:00Z',
      '2010-11-07T02:30Z',
      '2010-11-08T03:30Z',
    ],
    [
      'half an hour',
      'Asia/Kolkata',
      'day',
      '2026-11-30T12:00Z',
      '2026-11-29T18:30Z',
      '2026-11-30T18:30Z',
    ],
    [
      'three quarters of an hour',
      'Asia/Kathmandu',
      'month',
      '2026-11-30T18:14Z',
      '2026-10-31T18:15Z',
      '2026-11-30T18:15Z',
    ],
    [
      'daylight saving by half an hour',
      'Australia/Lord_Howe',
      'day',
      '2026-10-03T14:00Z',
      '2026-10-03T13:30Z',
      '2026-10-04T13:00Z',
    ],
    [
      'the day before one that never was',
      'Pacific/Apia',
      'day',
      '2011-12-30T09:00Z',
      '2011-12-29T10:00Z',
      '2011-12-30T10:00Z',
    ],
    [
      'the day after it',
      'Pacific/Apia',
      'day',
      '2011-12-30T10:00Z',
      '2011-12-30T10:00Z',
      '2011-12-31T10:00Z',
    ],
    [
      'its week of six days',
      'Pacific/Apia',
      'week',
      '2011-12-30T10:00Z',
      '2011-12-26T10:00Z',
      '2012-01-01T10:00Z',
    ],
    [
      'furthest west',
      'Etc/GMT+12',
      'day',
      '2026-11-30T11:59Z',
      '2026-11-29T12:00Z',
      '2026-11-30T12:00Z',
    ],
    [
      'furthest east',
      'Pacific/Kiritimati',
      'day',
      '2026-11-30T11:59Z',
      '2026-11-30T10:00Z',
      '2026-12-01T10:00Z',
    ],
  ] as const)('%s: %s, %s of %s', (_, zone, every, at, from, until) => {
    expect(shown(always(zone), every, at)).toEqual([from, until]);
  });
});

describe('periods counted from an opening', () => {
  const since = ms('2026-01-31T15:30Z');
  test.each([
    [
      'begin when it was opened',
      { months: 1, since },
      '2026-01-31T16:00Z',
      '2026-01-31T15:30Z',
      '2026-02-27T23:00Z',
    ],
    [
      'end on the last day of a short month',
      { months: 1, since },
      '2026-03-01T12:00Z',
      '2026-02-27T23:00Z',
      '2026-03-30T22:00Z',
    ],
    [
      'go back to the 31st',
      { months: 1, since },
      '2026-03-31T12:00Z',
      '2026-03-30T22:00Z',
      '2026-04-29T22:00Z',
    ],
    [
      'are days of the calendar, and not of 24 hours',
      { days: 1, since },
      '2026-03-29T12:00Z',
      '2026-03-28T23:00Z',
      '2026-03-29T22:00Z',
    ],
    [
      'of a week',
      { days: 7, since },
      '2026-02-07T12:00Z',
      '2026-02-06T23:00Z',
      '2026-02-13T23:00Z',
    ],
    [
      'of a year',
      { months: 12, since },
      '2027-06-01T12:00Z',
      '2027-01-30T23:00Z',
      '2028-01-30T23:00Z',
    ],
  ] as const)('%s', (_, every, at, from, until) => {
    expect(shown(always('Europe/Berlin'), every, at)).toEqual([from, until]);
  });
});

describe('a change of zone', () => {
  const changed = (zone: string, at: string, to: string): Zones => [
    { zone, at: 0 },
    { zone: to, at: ms(at) },
  ];
  test.each([
    [
      'the day that runs ends as it was',
      'UTC',
      'Asia/Tokyo',
      'day',
      '2026-11-30T12:00Z',
      '2026-11-30T00:00Z',
      '2026-12-01T00:00Z',
    ],
    [
      'the next is shorter',
      'UTC',
      'Asia/Tokyo',
      'day',
      '2026-12-01T12:00Z',
      '2026-12-01T00:00Z',
      '2026-12-01T15:00Z',
    ],
    [
      'then days are of the new zone',
      'UTC',
      'Asia/Tokyo',
      'day',
      '2026-12-01T15:00Z',
      '2026-12-01T15:00Z',
      '2026-12-02T15:00Z',
    ],
    [
      'the next is longer',
      'UTC',
      'America/New_York',
      'day',
      '2026-12-01T12:00Z',
      '2026-12-01T00:00Z',
      '2026-12-02T05:00Z',
    ],
    [
      'across the date line',
      'Pacific/Kiritimati',
      'Etc/GMT+12',
      'day',
      '2026-12-01T12:00Z',
      '2026-12-01T10:00Z',
      '2026-12-02T12:00Z',
    ],
    [
      'half a day is as near to both: the longer',
      'UTC',
      'Etc/GMT+12',
      'day',
      '2026-12-01T12:00Z',
      '2026-12-01T00:00Z',
      '2026-12-02T12:00Z',
    ],
    [
      'the month that runs ends as it was',
      'UTC',
      'Asia/Tokyo',
      'month',
      '2026-11-30T23:59Z',
      '2026-11-01T00:00Z',
      '2026-12-01T00:00Z',
    ],
    [
      'the next ends in the new zone',
      'UTC',
      'Asia/Tokyo',
      'month',
      '2026-12-01T00:00Z',
      '2026-12-01T00:00Z',
      '2026-12-31T15:00Z',
    ],
    [
      'also if that is longer',
      'Pacific/Kiritimati',
      'Etc/GMT+12',
      'month',
      '2027-01-15T00:00Z',
      '2026-12-31T10:00Z',
      '2027-02-01T12:00Z',
    ],
    [
      'a week ends on a Monday of the new zone',
      'UTC',
      'Asia/Tokyo',
      'week',
      '2026-12-09T00:00Z',
      '2026-12-07T00:00Z',
      '2026-12-13T15:00Z',
    ],
    [
      'the past stays',
      'UTC',
      'Asia/Tokyo',
      'month',
      '2026-10-31T20:00Z',
      '2026-10-01T00:00Z',
      '2026-11-01T00:00Z',
    ],
  ] as const)('%s: %s to %s', (_, from, to, every, at, start, end) => {
    expect(shown(changed(from, '2026-11-30T10:30Z', to), every, at)).toEqual([start, end]);
  });

  test('that is taken back before it comes into force never does', () => {
    const zones = [
      ...(changed('UTC', '2026-11-30T10:00Z', 'Asia/Tokyo') ?? []),
      { zone: 'UTC', at: ms('2026-11-30T11:00Z') },
    ];
    expect(shown(zones, 'day', '2026-12-01T16:00Z')).toEqual([
      '2026-12-01T00:00Z',
      '2026-12-02T00:00Z',
    ]);
  });

  test('of several within a day and month the last counts', () => {
    const zones = [
      ...(changed('UTC', '2026-11-30T10:00Z', 'Asia/Tokyo') ?? []),
      { zone: 'Europe/Berlin', at: ms('2026-11-30T11:00Z') },
    ];
    expect(shown(zones, 'day', '2026-12-01T16:00Z')).toEqual([
      '2026-12-01T00:00Z',
      '2026-12-01T23:00Z',
    ]);
    expect(shown(zones, 'month', '2026-12-01T16:00Z')).toEqual([
      '2026-12-01T00:00Z',
      '2026-12-31T23:00Z',
    ]);
  });
});

test('what follows a period that ended a little earlier than its zone says now is whole', () => {
  const zones = always('Europe/Berlin');
  const written = ms('2026-11-30T22:00Z');
  expect(periodFrom(zones, 'month', written)).toEqual({
    from: written,
    until: ms('2026-12-31T23:00Z'),
  });
  expect(monthEndingAt(zones, written)).toEqual({ from: ms('2026-10-31T23:00Z'), until: written });
});

/** Since clocks differ from UTC by whole quarters of an hour. */
const instants = fc.integer({ min: ms('1973-01-01'), max: ms('2060-01-01') });
const ZONES = Intl.supportedValuesOf('timeZone');
const zone = fc.constantFrom(...ZONES);
const kinds = fc.constantFrom('day', 'week', 'month');
const counted = fc
  .tuple(fc.constantFrom('days', 'months'), fc.integer({ min: 1, max: 40 }), instants)
  .map(([unit, length, since]) =>
    unit === 'days' ? { days: length, since } : { months: length, since },
  );
const historiesAt = (instants: fc.Arbitrary<number>) =>
  fc
    .array(fc.tuple(zone, instants), { minLength: 1, maxLength: 5 })
    .map((changes) => changes.sort(([, a], [, b]) => a - b).map(([zone, at]) => ({ zone, at })));
/** As histories, with changes within hours of each other. */
const hurriedAt = (instants: fc.Arbitrary<number>) =>
  fc
    .tuple(
      instants,
      fc.array(fc.tuple(zone, fc.integer({ min: 0, max: 60 })), { minLength: 2, maxLength: 6 }),
    )
    .map(([start, changes]) => {
      let at = start;
      return changes.map(([zone, hours]) => {
        at += hours * HOUR_MS;
        return { zone, at };
      });
    });
const histories = historiesAt(instants);
const hurried = hurriedAt(instants);

/** Those that follow each other from the one at `at` on. */
function following(zones: Zones, every: Every, at: number, count: number) {
  const periods = [periodAt(zones, every, at)];
  while (periods.length < count) periods.push(periodAt(zones, every, periods.at(-1)!.until));
  return periods;
}

function expectTiles(zones: Zones, every: Every, at: number) {
  const first = periodAt(zones, every, at);
  expect(first.from).toBeLessThanOrEqual(at);
  expect(first.until).toBeGreaterThan(at);
  expect(periodAt(zones, every, first.until - 1)).toEqual(first);
  let { from } = first;
  for (const period of following(zones, every, at, 5)) {
    expect(period.from).toBe(from);
    expect(period.until).toBeGreaterThan(period.from);
    from = period.until;
  }
}

describe('in every zone', () => {
  test('days, weeks and months tile time', () => {
    fc.assert(
      fc.property(fc.constantFrom('day', 'week', 'month'), instants, (every, at) => {
        for (const name of ZONES) expectTiles(always(name), every as Every, at);
      }),
      { numRuns: 6 },
    );
  });

  test('so do periods counted from an opening, from then on', () => {
    fc.assert(
      fc.property(zone, counted, fc.nat({ max: 5_000 }), (name, every, days) => {
        expectTiles(always(name), every, every.since + days * 24 * HOUR_MS);
      }),
    );
  });

  test('months have their names once each, in order', () => {
    fc.assert(
      fc.property(histories, instants, (zones, at) => {
        const names = following(zones, 'month', at, 24).map(({ from }) => monthNameAt(zones, from));
        const first = ms(`${names[0]}-01`);
        const date = new Date(first);
        const expected = names.map((_, index) =>
          new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + index, 1))
            .toISOString()
            .slice(0, 7),
        );
        expect(names).toEqual(expected);
        expect(monthNamed(zones, names[0]!)).toEqual(periodAt(zones, 'month', at));
      }),
    );
  });
});

describe('across any changes of zone', () => {
  test('periods tile time', () => {
    fc.assert(
      fc.property(
        fc.oneof(histories, hurried),
        kinds,
        fc.nat({ max: 200 }),
        (zones, every, hours) => {
          const at = zones.at(-1)!.at + (hours - 60) * HOUR_MS;
          expectTiles(zones, every as Every, at);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a change leaves what had begun as it was', () => {
    fc.assert(
      fc.property(hurried, kinds, fc.nat({ max: 200 }), (zones, every, hours) => {
        const before = zones.slice(0, -1);
        const at = zones.at(-1)!.at - hours * HOUR_MS;
        expect(periodAt(zones, every as Every, at)).toEqual(periodAt(before, every as Every, at));
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ['shortest', 'Pacific/Chatham', '2026-03-29T00:00Z', 10.25],
    ['longest', 'Asia/Anadyr', '2026-10-24T22:00Z', 38],
  ])('the %s day comes from Troll, whose clocks move by two hours', (_, zone, at, hours) => {
    const zones = [
      { zone: 'Antarctica/Troll', at: ms('2026-01-01') },
      { zone, at: ms(at) - HOUR_MS },
    ];
    const { from, until } = periodAt(zones, 'day', ms(at));
    expect((until - from) / HOUR_MS).toBe(hours);
  });

  test('from 2026 on a day has no more and no fewer hours, and a month at least 26 days', () => {
    const recent = fc.integer({ min: ms('2026-01-01'), max: ms('2060-01-01') });
    fc.assert(
      fc.property(fc.oneof(historiesAt(recent), hurriedAt(recent)), (zones) => {
        const { at } = zones.at(-1)!;
        for (const { from, until } of following(zones, 'day', at, 4)) {
          expect(until - from).toBeGreaterThanOrEqual(10.25 * HOUR_MS);
          expect(until - from).toBeLessThanOrEqual(38 * HOUR_MS);
        }
        for (const { from, until } of following(zones, 'month', at, 3))
          expect(until - from).toBeGreaterThanOrEqual(26 * 24 * HOUR_MS);
      }),
      { numRuns: 200 },
    );
  });

  test('the audit, which asks Intl alone, finds the same periods', () => {
    const NAMES = { day: 'DAY', week: 'WEEK', month: 'MONTH' } as const;
    fc.assert(
      fc.property(
        fc.oneof(histories, hurried),
        kinds,
        fc.nat({ max: 100 }),
        (zones, every, hours) => {
          const at = zones.at(-1)!.at + hours * HOUR_MS;
          const kind = every as keyof typeof NAMES;
          expect(intervalAt(zones, NAMES[kind], at)).toEqual(periodAt(zones, kind, at));
        },
      ),
      { numRuns: 100 },
    );
  });
});

test('the audit finds the same ends of periods that are counted from an opening', () => {
  fc.assert(
    fc.property(
      fc.oneof(histories, hurried),
      counted,
      fc.nat({ max: 2_000 }),
      (zones, every, days) => {
        const at = every.since + days * 24 * HOUR_MS;
        const { since, ...length } = every;
        const said = intervalAt(zones, { ...length, openedAt: since }, at);
        expect(said.until).toBe(periodAt(zones, every, at).until);
      },
    ),
    { numRuns: 100 },
  );
});

test('an account that names UTC has the periods of one without a zone', () => {
  fc.assert(
    fc.property(instants, instants, (at, other) => {
      for (const every of ['day', 'week', 'month'] as const)
        expect(periodAt(always('UTC'), every, at)).toEqual(periodAt(null, every, at));
      expect(isSameMonth(always('UTC'), at, other)).toBe(isSameMonth(null, at, other));
      expect(monthNameAt(always('UTC'), at)).toBe(monthNameAt(null, at));
    }),
  );
});
