/** Validities in plan files: "12 months", "30 days" or "never". */
import type { Validity } from '../plan.ts';

const VALIDITY = /^([1-9][0-9]{0,3}) (month|day)s?$/;

/** Parses a validity of at most 9999 months or days; undefined if the text is none. */
export function parseValidity(text: string): Validity | undefined {
  if (text === 'never') return null;
  const match = VALIDITY.exec(text);
  if (match === null) return undefined;
  const length = Number(match[1]);
  return match[2] === 'month' ? { months: length } : { days: length };
}

/** The text that `parseValidity` parses. Equal validities give equal text. */
export function formatValidity(validity: Validity): string {
  if (validity === null) return 'never';
  return 'months' in validity ? `${validity.months} months` : `${validity.days} days`;
}
