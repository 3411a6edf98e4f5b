/** Months as requests name them. */
import { type Account, monthName } from '../../ledger/account.ts';
import type { Check } from '../call/field-checker.ts';

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;

export function checkMonth(check: Check, field: string, value: string): string {
  if (!MONTH.test(value)) check.refuse(field, 'must be a calendar month such as 2026-11');
  return value;
}

/** A month the account has lived in, up to the present one. */
export function checkMonthOf(check: Check, month: string, { openedAt }: Account, now: number) {
  const [first, last] = [monthName(openedAt), monthName(now)];
  if (month < first || month > last)
    check.refuse('month', `must be from ${first}, when the account was opened, to ${last}`);
}
