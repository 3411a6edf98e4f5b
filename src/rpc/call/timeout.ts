/** The request metadata `grpc-timeout`: how long the caller waits, such as "250m" for 250 milliseconds. */

export const TIMEOUT_KEY = 'grpc-timeout';

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 0.001],
  ['n', 0.000_001],
]);

/** In milliseconds; infinite without a timeout, or with one that cannot be read. */
export function timeoutMsOf(timeout: string | readonly string[] | undefined): number {
  if (typeof timeout !== 'string') return Number.POSITIVE_INFINITY;
  const ms = Number.parseInt(timeout, 10) * (MS_PER_UNIT.get(timeout.slice(-1)) ?? Number.NaN);
  return Number.isNaN(ms) ? Number.POSITIVE_INFINITY : ms;
}
