/** Checks of the calendar months that requests name, such as "2026-11". */
import type { Account } from '../../ledger/account.ts';
import { monthNameAt } from '../../ledger/periods/period.ts';
import type { FieldChecker } from '../call/field-checker.ts';

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;

export const isMonth = (text: string): boolean => MONTH.test(text);

export function checkMonth(check: FieldChecker, field: string, value: string): string {
  if (!isMonth(value)) check.addViolation(field, 'must be a calendar month such as 2026-11');
  return value;
}

/** A month from the one the account was opened in to the present one. */
export function checkMonthOfAccount(
  check: FieldChecker,
  month: string,
  { openedAt, timeZones }: Account,
  now: number,
) {
  const [first, last] = [monthNameAt(timeZones, openedAt), monthNameAt(timeZones, now)];
  if (month < first || month > last)
    check.addViolation('month', `must be from ${first}, when the account was opened, to ${last}`);
}
