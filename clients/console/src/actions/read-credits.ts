/** Reads a number of credits that a person wrote. */

/** One account holds at most so many. */
const CREDITS_MAX = 9_000_000_000_000_000_000n;

/** Null: it is no number of credits that can be granted. Groups may be written. */
export function readCredits(text: string): bigint | null {
  const digits = text.replace(/[\s,_]/g, '');
  if (!/^[1-9]\d{0,18}$/.test(digits)) return null;
  const value = BigInt(digits);
  return value <= CREDITS_MAX ? value : null;
}
