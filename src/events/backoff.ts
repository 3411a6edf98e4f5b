/** When a failed delivery is attempted again. */

/** The longest delay between two attempts, whatever the endpoint asks for. */
const DELAY_MAX_MS = 12 * 3_600_000;

/**
 * Milliseconds after the `attempts`th failed attempt: `baseMs`, doubled with each attempt, of which
 * `random` (0 to 1) decides the second half, so that deliveries that failed together are not repeated
 * together. `retryAfterMs`, where the endpoint asked for it, is a lower bound.
 */
export function delayMs(
  attempts: number,
  baseMs: number,
  retryAfterMs: number | null,
  random: number,
): number {
  const full = Math.min(baseMs * 2 ** (attempts - 1), DELAY_MAX_MS);
  const jittered = Math.ceil((full * (1 + random)) / 2);
  return Math.min(Math.max(jittered, retryAfterMs ?? 0), DELAY_MAX_MS);
}

/** The delay in a Retry-After header, which holds seconds or a date; null where it holds neither. */
export function retryAfterMs(header: string | null, now: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = /GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
