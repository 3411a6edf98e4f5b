/** Durations in plan files: a whole number and one of s, m, h, d. */
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;
const DURATION = /^(0|[1-9][0-9]{0,7})([dhms])$/;

/** The longest duration: longer than any job, and safe to add to an instant. */
export const MAX_DURATION_MS = 366 * UNITS.d;

/** Milliseconds of a text such as "15m"; null if it is not a duration, or is longer than 366 days. */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text);
  if (match === null) return null;
  const durationMs = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  return durationMs <= MAX_DURATION_MS ? durationMs : null;
}

/** The shortest text that `parseDuration` parses as `durationMs`, a whole number of seconds. */
export function formatDuration(durationMs: number): string {
  for (const [unit, unitMs] of Object.entries(UNITS)) {
    if (durationMs >= unitMs && durationMs % unitMs === 0) return `${durationMs / unitMs}${unit}`;
  }
  return '0s';
}
