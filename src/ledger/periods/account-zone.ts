/** The time zone of an account: how it is given one, and changed. */

import type { Failure } from '../../failure.ts';
import { UTC } from '../../pricing/time-zone.ts';
import type { Account } from '../account.ts';
import { invalidField } from '../failures.ts';
import type { Zones } from './period.ts';

/** The zone that an account was given last, by its canonical name. */
export const timeZoneOf = ({ timeZones }: Pick<Account, 'timeZones'>): string =>
  timeZones?.at(-1)?.zone ?? UTC;

/** Of an account that is opened with a zone. Null: its plan's, or else UTC. */
export function openedInZone(zone: string | null, planZone: string | null, at: number): Zones {
  const given = zone ?? planZone ?? UTC;
  return given === UTC ? null : [{ zone: given, at }];
}

/** They are on the row of the account, which every unit of work reads. */
const CHANGES_MAX = 50;

/** Why the zone of the account cannot be changed to this; null: it can. */
export const checkZone = (account: Account, zone: string): Failure | null =>
  (account.timeZones?.length ?? 0) > CHANGES_MAX && zone !== timeZoneOf(account)
    ? invalidField('time_zone', `was changed ${CHANGES_MAX} times already, and must stay`)
    : null;

/** Each period that is running ends as it was; the next one is of the new zone. */
export function setZone(account: Account, zone: string, now: number) {
  if (zone === timeZoneOf(account)) return;
  const before = account.timeZones ?? [{ zone: UTC, at: account.openedAt }];
  account.timeZones = [...before, { zone, at: now }];
}
