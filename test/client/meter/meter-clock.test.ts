import { expect, test } from 'vitest';
import { MeterClock } from '../../../clients/typescript/src/meter/meter-clock.ts';

/** A machine's clocks: one that stands still while it sleeps, and one that can be set. */
function machine() {
  const time = { monotonic: 1_000, wall: 1_800_000_000_000 };
  const clock = new MeterClock(
    () => time.monotonic,
    () => time.wall,
  );
  const pass = (monotonicMs: number, wallMs = monotonicMs) => {
    time.monotonic += monotonicMs;
    time.wall += wallMs;
    return clock.now();
  };
  return { pass };
}

test('the clock goes on while the machine sleeps', () => {
  const { pass } = machine();
  const before = pass(10);
  expect(pass(0, 90_000) - before).toBe(90_000);
  expect(pass(5) - before).toBe(90_005);
});

test('the clock does not go back when the time of the machine is set back, or forward and back', () => {
  const { pass } = machine();
  const before = pass(10);
  expect(pass(10, -3_600_000) - before).toBe(10);
  const ahead = pass(10, 7_200_000);
  expect(pass(10, -7_200_000) - ahead).toBe(10);
});

test('small corrections of the time do not count', () => {
  const { pass } = machine();
  const before = pass(10);
  expect(pass(10, 400) - before).toBe(10);
});
