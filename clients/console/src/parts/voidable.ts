/** What VoidGrant would void of a grant: now, and later as jobs give it back. */
import { big } from '../format.ts';
import type { Grant } from '../messages.ts';

export type Voidable = {
  /** Can be voided now. */
  readonly now: bigint;
  /** Reservations hold it, and it is not to be voided yet as it comes back. */
  readonly held: bigint;
};

/** Of a grant that is not effective yet, all that it will have. */
export function voidableOf(grant: Grant): Voidable {
  if (grant.state === 'STATE_SCHEDULED')
    return { now: big(grant.amount) - big(grant.voided), held: 0n };
  const reserved = big(grant.reserved);
  return { now: big(grant.remaining) - reserved, held: less(reserved, big(grant.voidOnReturn)) };
}

export const canBeVoided = (grant: Grant): boolean => {
  const isAlive = grant.state === 'STATE_OPEN' || grant.state === 'STATE_SCHEDULED';
  const { now, held } = voidableOf(grant);
  return isAlive && now + held > 0n;
};

const less = (credits: bigint, by: bigint): bigint => (by < credits ? credits - by : 0n);
