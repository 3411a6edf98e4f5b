/**
 * A timeline: time that continues by the monotonic clock from an instant that was known once. It follows
 * the readings of another clock by running a little faster or slower, so it neither jumps nor runs
 * backwards. Pure.
 */

/** What a clock showed when the monotonic clock was at `monotonic`, give or take `uncertainty`. In milliseconds. */
export type Reading = {
  readonly time: number;
  readonly monotonic: number;
  readonly uncertainty: number;
};

export type Timeline = {
  /** The monotonic clock when the time was `time`. */
  readonly monotonic: number;
  /** Epoch milliseconds. */
  readonly time: number;
  /** Still to be added, a little at a time. */
  readonly correction: number;
};

/** How much faster or slower a timeline may run. Ten times the rate at which NTP adjusts clocks. */
const SLEW = 0.005;

export const startTimeline = ({ time, monotonic }: Reading): Timeline => ({
  monotonic,
  time,
  correction: 0,
});

export function timeAt({ monotonic, time, correction }: Timeline, at: number): number {
  const elapsed = at - monotonic;
  const most = Math.max(0, elapsed) * SLEW;
  return time + elapsed + Math.min(most, Math.max(-most, correction));
}

/** How far a clock was ahead of a timeline. */
export const leadOf = (reading: Reading, timeline: Timeline): number =>
  reading.time - timeAt(timeline, reading.monotonic);

/** Whether a reading agrees with a timeline up to `maxMs`, or could: it is uncertain. */
export const agrees = (reading: Reading, timeline: Timeline, maxMs: number): boolean =>
  Math.abs(leadOf(reading, timeline)) <= maxMs + reading.uncertainty;

/** The timeline from `at` on, corrected by what a reading proves: a lead beyond its uncertainty. */
export function follow(timeline: Timeline, reading: Reading, at: number): Timeline {
  const lead = leadOf(reading, timeline);
  const proven = Math.max(0, Math.abs(lead) - reading.uncertainty);
  return { monotonic: at, time: timeAt(timeline, at), correction: Math.sign(lead) * proven };
}
