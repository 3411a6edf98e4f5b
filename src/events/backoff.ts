/** When a delivery that failed is attempted again. */

/** No delivery waits longer than this between two attempts, whatever the endpoint asks for. */
const DELAY_MAX_MS = 12 * 3_600_000;

/**
 * Milliseconds after the `attempts`th failed attempt: `baseMs` doubled each time, half to all of it by
 * `random` (0 to 1), so that what failed together does not come back together. Longer where the
 * endpoint asked for it.
 */
export function delayMs(
  attempts: number,
  baseMs: number,
  retryAfterMs: number | null,
  random: number,
): number {
  const full = Math.min(baseMs * 2 ** (attempts - 1), DELAY_MAX_MS);
  const spread = Math.ceil((full * (1 + random)) / 2);
  return Math.min(Math.max(spread, retryAfterMs ?? 0), DELAY_MAX_MS);
}

/** Milliseconds that a Retry-After header asks to wait: seconds, or a date; null where it says nothing. */
export function retryAfterMs(header: string | null, now: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = /GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
