/** What becomes of credits that a reservation or an entry gives back: not all of them can be spent again. */
import { big } from '../format.ts';
import type { Balance, Grant } from '../messages.ts';
import { isGrant, OWED, type Part } from '../parts/entry.ts';

export type GivenBack = {
  /** Any operation can take them again. */
  readonly general: bigint;
  /** Only the operations of their grants can take them again. */
  readonly limited: bigint;
  readonly overage: bigint;
  /** The account owes it, or others have paid it since and it comes back as a new grant. */
  readonly owed: bigint;
  /** Their grants have expired, and the plan does not grant them again. */
  readonly expired: bigint;
  /** They were to be voided as they come back. */
  readonly voided: bigint;
  /** Part of general and limited: their grants have expired, and the plan grants them again. */
  readonly grantedAgain: bigint;
};

export type Circumstances = {
  /** All that the shares name. */
  readonly grants: readonly Grant[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** Whether expired credits come back as a new grant. */
  readonly grantsAgain: boolean;
};

/** At most one share is of each grant. */
export function givenBack(
  shares: readonly Part[],
  { grants, now, grantsAgain }: Circumstances,
): GivenBack {
  const byId = new Map(grants.map((grant) => [grant.grantId, grant]));
  const sums = {
    general: 0n,
    limited: 0n,
    overage: 0n,
    owed: 0n,
    expired: 0n,
    voided: 0n,
    grantedAgain: 0n,
  };
  for (const { source, credits } of shares) {
    if (!isGrant(source)) {
      sums[source === OWED ? 'owed' : 'overage'] += credits;
      continue;
    }
    const grant = byId.get(source) ?? {};
    const toVoid = big(grant.voidOnReturn);
    const voided = toVoid < credits ? toVoid : credits;
    const kept = credits - voided;
    sums.voided += voided;
    const hasExpired = isExpired(grant, now);
    if (hasExpired && !grantsAgain) sums.expired += kept;
    else sums[grant.operations?.length ? 'limited' : 'general'] += kept;
    if (hasExpired && grantsAgain) sums.grantedAgain += kept;
  }
  return sums;
}

/** Its state does not say: one that was used up before is spent, and an allowance that was not carried takes refunds. */
const isExpired = ({ expiresAt }: Grant, now: number): boolean =>
  expiresAt !== undefined && Date.parse(expiresAt) <= now;

/** What can be spent of limited credits, on whatever operations. */
export const limitedAvailable = ({ limited = [] }: Balance): bigint =>
  limited.reduce((sum, { available }) => sum + big(available), 0n);
