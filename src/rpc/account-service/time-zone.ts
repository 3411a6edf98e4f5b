/** The time zone that a request names. */
import { canonicalTimeZone } from '../../pricing/time-zone.ts';
import type { FieldChecker } from '../call/field-checker.ts';

/** Its canonical name; null: the request names none. */
export function parseTimeZone(name: string, check: FieldChecker): string | null {
  if (name === '') return null;
  const zone = canonicalTimeZone(name);
  if (zone === null)
    check.addViolation('time_zone', 'must be an IANA time zone such as Europe/Berlin');
  return zone;
}
