/** How long credits last, as plan files write it: "12 months", "30 days" or "never". */
import type { Validity } from '../plan.ts';

const VALIDITY = /^([1-9][0-9]{0,3}) (month|day)s?$/;

/** Reads a validity; undefined where the text is none. At most 9999 months or days. */
export function parseValidity(text: string): Validity | undefined {
  if (text === 'never') return null;
  const match = VALIDITY.exec(text);
  if (match === null) return undefined;
  const length = Number(match[1]);
  return match[2] === 'month' ? { months: length } : { days: length };
}

/** The text `parseValidity` reads, always the same for the same validity. */
export function formatValidity(validity: Validity): string {
  if (validity === null) return 'never';
  return 'months' in validity ? `${validity.months} months` : `${validity.days} days`;
}
