/** A timeline follows a clock without jumps. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agrees, follow, leadOf, startTimeline, timeAt } from '../../src/clock/timeline.ts';

const NOON = Date.UTC(2031, 4, 10, 12);

const readings = fc.array(
  fc.record({
    waitMs: fc.integer({ min: 1, max: 5_000 }),
    leadMs: fc.integer({ min: -1_500, max: 1_500 }),
    uncertainty: fc.integer({ min: 0, max: 200 }),
  }),
  { minLength: 1, maxLength: 30 },
);

test('time goes on by the monotonic clock', () => {
  const timeline = startTimeline({ time: NOON, monotonic: 1_000, uncertainty: 3 });
  expect(timeAt(timeline, 1_000)).toBe(NOON);
  expect(timeAt(timeline, 61_000)).toBe(NOON + 60_000);
});

test('a reading corrects a timeline by what it proves and no more', () => {
  const timeline = startTimeline({ time: NOON, monotonic: 0, uncertainty: 0 });
  const reading = { time: NOON + 1_030, monotonic: 1_000, uncertainty: 10 };
  expect(leadOf(reading, timeline)).toBe(30);
  const followed = follow(timeline, reading, 1_010);
  expect(timeAt(followed, 1_010)).toBe(NOON + 1_010);
  expect(timeAt(followed, 1_000_000)).toBe(NOON + 1_000_000 + 20);
});

test('a reading that is less certain than its lead proves nothing', () => {
  const timeline = startTimeline({ time: NOON, monotonic: 0, uncertainty: 0 });
  const followed = follow(timeline, { time: NOON + 50, monotonic: 0, uncertainty: 60 }, 0);
  expect(timeAt(followed, 100_000)).toBe(NOON + 100_000);
});

test.each([
  ['2 s ahead', 2_000, 0, true],
  ['2.001 s ahead', 2_001, 0, false],
  ['2.001 s ahead, give or take 1 ms', 2_001, 1, true],
  ['2.001 s behind', -2_001, 0, false],
])('a clock %s agrees within 2 s: %#', (_, lead, uncertainty, expected) => {
  const timeline = startTimeline({ time: NOON, monotonic: 0, uncertainty: 0 });
  const reading = { time: NOON + lead, monotonic: 0, uncertainty };
  expect(agrees(reading, timeline, 2_000)).toBe(expected);
});

test('time never runs backwards, and never faster or slower than half a percent', () => {
  fc.assert(
    fc.property(readings, (all) => {
      let timeline = startTimeline({ time: NOON, monotonic: 0, uncertainty: 0 });
      let at = 0;
      let before = timeAt(timeline, at);
      for (const { waitMs, leadMs, uncertainty } of all) {
        at += waitMs;
        const now = timeAt(timeline, at);
        expect(now - before).toBeGreaterThanOrEqual(waitMs * 0.995 - 0.01);
        expect(now - before).toBeLessThanOrEqual(waitMs * 1.005 + 0.01);
        const monotonic = at - uncertainty;
        const time = timeAt(timeline, monotonic) + leadMs;
        timeline = follow(timeline, { time, monotonic, uncertainty }, at);
        expect(timeAt(timeline, at)).toBeCloseTo(now, 2);
        before = now;
      }
    }),
  );
});

test('time comes as close to the other clock as that is certain', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1_500, max: 1_500 }),
      fc.integer({ min: 0, max: 50 }),
      (leadMs, uncertainty) => {
        let timeline = startTimeline({ time: NOON + leadMs, monotonic: 0, uncertainty });
        for (let at = 1_000; at <= 600_000; at += 1_000)
          timeline = follow(timeline, { time: NOON + at, monotonic: at, uncertainty }, at);
        const error = Math.abs(timeAt(timeline, 600_000) - NOON - 600_000);
        expect(error).toBeLessThanOrEqual(uncertainty + 0.01);
      },
    ),
  );
});
