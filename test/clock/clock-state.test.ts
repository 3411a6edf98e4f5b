/** What a replica believes about the time, as tables of samples, and properties of any samples. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  advanceClock,
  type ClockState,
  compareHost,
  type Heartbeat,
  type Sample,
  startClock,
} from '../../src/clock/clock-state.ts';
import { timeAt } from '../../src/clock/timeline.ts';

const NOON = Date.UTC(2031, 4, 10, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LIMITS = { skewMaxMs: 2_000, settleMs: 10 * MINUTE };

/**
 * A sample when the monotonic clock is at `at`. The clocks are as far ahead of it as said. `uncertainty` is
 * how long the database took to answer, halved.
 */
const sample = (
  at: number,
  database: number,
  host: number,
  acceptance = 0n,
  uncertainty = 1,
): Sample => ({
  database: { time: NOON + at + database, monotonic: at, uncertainty },
  host: { time: NOON + at + host, monotonic: at, uncertainty: 0 },
  at,
  acceptance,
});

/** "reliable", "suspect" with a time for requests, or "no time"; then how far that time is ahead. */
function textOf({ trusted, suspicion }: ClockState, at: number): string {
  if (!trusted || (suspicion && !suspicion.isConfirmed)) return 'no time';
  const ahead = Math.round(timeAt(trusted, at) - NOON - at);
  return `${suspicion ? 'suspect' : 'reliable'} ${ahead}`;
}

type Row = readonly [
  at: number,
  database: number,
  host: number,
  expected: string,
  acceptance?: bigint,
];

/** Gives a running replica the samples of the rows, and compares all states at once. */
function expectStates(rows: readonly Row[], heartbeat: Heartbeat | null = null) {
  let state: ClockState | null = null;
  const actual = rows.map(([at, database, host, _, acceptance = 0n]) => {
    const taken = sample(at, database, host, acceptance);
    state = state ? advanceClock(state, taken, LIMITS) : startClock(taken, heartbeat, LIMITS);
    return textOf(state, at);
  });
  expect(actual).toEqual(rows.map(([, , , expected]) => expected));
}

describe('a running replica', () => {
  test('follows the database while the clocks agree', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, 0, 1_500, 'reliable 0'],
      [2_000, 0, -1_500, 'reliable 0'],
    ]));

  test('follows a database that its own clock runs slower than', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [10_000, 11, 11, 'reliable 0'],
      [20_000, 11, 11, 'reliable 10'],
    ]));

  test.each([
    ['ahead', 2_002],
    ['behind', -2_002],
  ])('suspects a host clock that goes %s, and has the time of the database', (_, lead) =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, 0, lead, 'suspect 0'],
      [HOUR, 0, lead, 'suspect 0'],
    ]),
  );

  test.each([
    ['ahead', HOUR],
    ['back', -HOUR],
  ])('suspects a database clock that jumps %s alone, and keeps the time of the host', (_, lead) =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, lead, 0, 'suspect 0'],
      [DAY, lead, 0, 'suspect 0'],
    ]),
  );

  test('has no time while all three clocks disagree', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, HOUR, -HOUR, 'no time'],
    ]));

  test.each([
    ['ahead: it was asleep, or its clock was set', HOUR],
    ['back', -HOUR],
  ])(
    'has no time while database and host are elsewhere, %s, and adopts it after 10 minutes',
    (_, lead) =>
      expectStates([
        [0, 0, 0, 'reliable 0'],
        [1_000, lead, lead, 'no time'],
        [10 * MINUTE, lead, lead, 'no time'],
        [10 * MINUTE + 1_000, lead, lead, `reliable ${lead}`],
      ]),
  );

  test('is reliable 10 minutes after the clocks agree again, without a jump of its time', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, 0, HOUR, 'suspect 0'],
      [8_000, 0, 0, 'suspect 0'],
      [10 * MINUTE + 7_999, 0, 0, 'suspect 0'],
      [10 * MINUTE + 8_000, 0, 0, 'reliable 0'],
    ]));

  test('counts the 10 minutes anew after each disagreement', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, 0, HOUR, 'suspect 0'],
      [2_000, 0, 0, 'suspect 0'],
      [5 * MINUTE, 0, HOUR, 'suspect 0'],
      [6 * MINUTE, 0, 0, 'suspect 0'],
      [13 * MINUTE, 0, 0, 'suspect 0'],
      [16 * MINUTE, 0, 0, 'reliable 0'],
    ]));

  test('is reliable at once after a jump of a day, and waits for an acceptance after a larger one', () => {
    const jump = (lead: number, expected: string): readonly Row[] => [
      [0, 0, 0, 'reliable 0'],
      [1_000, lead, lead, 'no time'],
      [HOUR, lead, lead, expected],
    ];
    expectStates(jump(DAY, `reliable ${DAY}`));
    expectStates(jump(DAY + 1, 'no time'));
    expectStates(jump(-DAY - 1, 'no time'));
  });

  test('adopts a jump of more than a day with the acceptance, not before the 10 minutes', () =>
    expectStates([
      [0, 0, 0, 'reliable 0', 4n],
      [1_000, 90 * DAY, 90 * DAY, 'no time', 4n],
      [2_000, 90 * DAY, 90 * DAY, 'no time', 5n],
      [10 * MINUTE, 90 * DAY, 90 * DAY, 'no time', 5n],
      [10 * MINUTE + 1_000, 90 * DAY, 90 * DAY, `reliable ${90 * DAY}`, 5n],
    ]));

  test('waits for an acceptance also where the clock went back after 7 seconds', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, 0, 90 * DAY, 'suspect 0'],
      [8_000, 0, 0, 'suspect 0'],
      [HOUR, 0, 0, 'suspect 0'],
      [HOUR + 1_000, 0, 0, 'reliable 0', 1n],
    ]));

  test('does not count an acceptance from before another jump of the database', () =>
    expectStates([
      [0, 0, 0, 'reliable 0'],
      [1_000, 90 * DAY, 90 * DAY, 'no time'],
      [2_000, 90 * DAY, 90 * DAY, 'no time', 1n],
      [3_000, 95 * DAY, 95 * DAY, 'no time', 1n],
      [HOUR, 95 * DAY, 95 * DAY, 'no time', 1n],
      [HOUR + 1_000, 95 * DAY, 95 * DAY, `reliable ${95 * DAY}`, 2n],
    ]));

  test('learns nothing from a database that takes longer to answer than clocks may differ', () => {
    const state = startClock(sample(0, 0, 0), null, LIMITS);
    const slow = sample(MINUTE, HOUR, 0, 0n, 2_001);
    expect(advanceClock(state, slow, LIMITS)).toBe(state);
  });

  test('notices a host clock that jumps before it asks the database, and has no time until then', () => {
    const state = startClock(sample(0, 0, 0), null, LIMITS);
    const host = (lead: number) => ({ time: NOON + 500 + lead, monotonic: 500, uncertainty: 0 });
    expect(compareHost(state, host(2_000), LIMITS)).toBe(state);
    const suspect = compareHost(state, host(90 * DAY), LIMITS);
    expect(textOf(suspect, 500)).toBe('no time');
    expect(textOf(advanceClock(suspect, sample(1_000, 0, 90 * DAY), LIMITS), 1_000)).toBe(
      'suspect 0',
    );
  });
});

describe('a replica that starts', () => {
  const heartbeat = (more: Partial<Heartbeat> = {}): Heartbeat => ({
    trusted: NOON - HOUR,
    database: NOON - HOUR,
    acceptance: 0n,
    ...more,
  });

  test.each<[string, Heartbeat | null]>([
    ['the first one', null],
    ['after one that ran an hour ago', heartbeat()],
    [
      'after one that ran a year ago',
      heartbeat({ trusted: NOON - 365 * DAY, database: NOON - 365 * DAY }),
    ],
    [
      'beside one that is a little ahead',
      heartbeat({ trusted: NOON + 2_000, database: NOON + 2_000 }),
    ],
  ])('trusts a database that the host agrees with: %s', (_, last) =>
    expectStates([[0, 0, 0, 'reliable 0']], last),
  );

  test('has no time while database and host disagree, and none until they have agreed for 10 minutes', () =>
    expectStates([
      [0, 0, HOUR, 'no time'],
      [1_000, 0, 0, 'no time'],
      [10 * MINUTE + 1_000, 0, 0, 'reliable 0'],
    ]));

  test('has no time where the database is behind the heartbeat, until it has agreed for 10 minutes', () =>
    expectStates(
      [
        [0, 0, 0, 'no time'],
        [10 * MINUTE, 0, 0, 'reliable 0'],
      ],
      heartbeat({ trusted: NOON + 2 * HOUR, database: NOON + 2 * HOUR }),
    ));

  test('waits for an acceptance where the database is more than a day behind the heartbeat', () =>
    expectStates(
      [
        [0, 0, 0, 'no time', 3n],
        [HOUR, 0, 0, 'no time', 3n],
        [HOUR + 1_000, 0, 0, 'reliable 0', 4n],
      ],
      heartbeat({ trusted: NOON + 2 * DAY, database: NOON + 2 * DAY, acceptance: 3n }),
    ));

  test('suspects what the replica before it suspected', () =>
    expectStates(
      [
        [0, 0, 0, 'no time'],
        [HOUR, 0, 0, 'no time'],
        [HOUR + 1_000, 0, 0, 'reliable 0', 1n],
      ],
      heartbeat({ trusted: NOON - 90 * DAY, database: NOON - MINUTE }),
    ));

  test('counts an acceptance that was given before it started, after the jump', () =>
    expectStates(
      [
        [0, 0, 0, 'no time', 1n],
        [10 * MINUTE, 0, 0, 'reliable 0', 1n],
      ],
      heartbeat({ trusted: NOON - 90 * DAY, database: NOON - MINUTE, acceptance: 0n }),
    ));
});

describe('whatever the clocks show', () => {
  const leads = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: -900, max: 900 }) },
    { weight: 1, arbitrary: fc.integer({ min: -200 * DAY, max: 200 * DAY }) },
  );
  const steps = fc.array(
    fc.record({
      waitMs: fc.integer({ min: 1, max: 5 * MINUTE }),
      database: leads,
      host: leads,
      acceptance: fc.bigInt(0n, 2n),
      isStep: fc.boolean(),
    }),
    { maxLength: 40 },
  );

  /** The states after each step. Clocks stay where they are unless a step sets them. */
  function run(all: typeof steps extends fc.Arbitrary<infer Steps> ? Steps : never) {
    let state = startClock(sample(0, 0, 0), null, LIMITS);
    let [at, database, host, acceptance] = [0, 0, 0, 0n];
    return all.map((step) => {
      at += step.waitMs;
      if (step.isStep) [database, host] = [step.database, step.host];
      acceptance += step.acceptance;
      const before = state;
      const taken = sample(at, database, host, acceptance);
      state = advanceClock(state, taken, LIMITS);
      return { before, state, taken };
    });
  }

  test('a reliable replica has the time of a database that the host agrees with', () => {
    fc.assert(
      fc.property(steps, (all) => {
        for (const { state, taken } of run(all)) {
          if (state.suspicion || !state.trusted) continue;
          const trusted = timeAt(state.trusted, taken.at);
          expect(Math.abs(trusted - taken.database.time)).toBeLessThanOrEqual(2_001);
          expect(Math.abs(taken.host.time - taken.database.time)).toBeLessThanOrEqual(4_002);
        }
      }),
    );
  });

  test('while a replica is reliable its time does not jump', () => {
    fc.assert(
      fc.property(steps, (all) => {
        for (const { before, state, taken } of run(all)) {
          if (before.suspicion || state.suspicion || !before.trusted || !state.trusted) continue;
          expect(timeAt(state.trusted, taken.at)).toBeCloseTo(timeAt(before.trusted, taken.at), 2);
        }
      }),
    );
  });

  test('a replica becomes reliable only after 10 minutes without a disagreement', () => {
    fc.assert(
      fc.property(steps, (all) => {
        let disagreedAt = Number.NEGATIVE_INFINITY;
        for (const { before, state, taken } of run(all)) {
          if (before.suspicion && !state.suspicion)
            expect(taken.at - disagreedAt).toBeGreaterThanOrEqual(LIMITS.settleMs);
          if (Math.abs(taken.host.time - taken.database.time) > 2_200) disagreedAt = taken.at;
        }
      }),
    );
  });
});
