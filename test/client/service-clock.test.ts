/** The client follows the clock of the service. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ServiceClock } from '../../clients/typescript/src/service-clock.ts';

const HERE = Date.UTC(2026, 10, 30);
const HOUR = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers({ now: HERE, toFake: ['Date', 'performance', 'setTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An answer that took `roundTrip` ms, and says that it was `time` in its middle. */
function answer(clock: ServiceClock, roundTrip: number, time: number) {
  const sentAt = performance.now();
  vi.advanceTimersByTime(roundTrip);
  clock.learn(time, sentAt);
}

test('until the first answer it is the clock of this machine', () => {
  const clock = new ServiceClock();
  expect(clock.now()).toBe(HERE);
});

test('an answer tells the time in its middle', () => {
  const clock = new ServiceClock();
  answer(clock, 100, HERE + HOUR);
  expect(clock.now()).toBe(HERE + HOUR + 50);
});

test('a clock of this machine that is set changes nothing', () => {
  const clock = new ServiceClock();
  answer(clock, 0, HERE + HOUR);
  vi.setSystemTime(HERE - 5 * HOUR);
  expect(clock.now()).toBe(HERE + HOUR);
});

test('the answer that came sooner counts', () => {
  const clock = new ServiceClock();
  answer(clock, 10, HERE);
  const before = clock.now();
  answer(clock, 400, before + 400);
  expect(clock.now()).toBe(before + 400);
});

test('after a minute a slower one counts', () => {
  const clock = new ServiceClock();
  answer(clock, 10, HERE);
  vi.advanceTimersByTime(60_000);
  answer(clock, 100, HERE);
  expect(clock.now()).toBe(HERE + 50);
});

test('a clock of the service that was set counts at once', () => {
  const clock = new ServiceClock();
  answer(clock, 10, HERE);
  answer(clock, 400, HERE + HOUR);
  expect(clock.now()).toBe(HERE + HOUR + 200);
});

test.each([Number.NaN, 0, -1, Number.POSITIVE_INFINITY])('%s is no time', (time) => {
  const clock = new ServiceClock();
  answer(clock, 0, time);
  expect(clock.now()).toBe(HERE);
});
