/** How rules say what they find. */
import type { Finding, Level } from './facts.ts';

/** Findings about one subject; null where the condition does not hold. */
export const findings =
  (about: string) =>
  (level: Level, condition: boolean, problem: string, advice: string): Finding | null =>
    condition ? { level, about, problem, advice } : null;

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Such as "1.2 GB". */
export function size(bytes: number): string {
  const power = Math.min(
    UNITS.length - 1,
    Math.floor(Math.log(Math.max(1, bytes)) / Math.log(1024)),
  );
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${UNITS[power]}`;
}

/** Such as "3 days": whole units, rounded down. */
export function length(seconds: number): string {
  const [count, unit] =
    seconds >= 86_400
      ? [seconds / 86_400, 'day']
      : seconds >= 3_600
        ? [seconds / 3_600, 'hour']
        : seconds >= 60
          ? [seconds / 60, 'minute']
          : [seconds, 'second'];
  const whole = Math.floor(count);
  return `${whole} ${unit}${whole === 1 ? '' : 's'}`;
}
