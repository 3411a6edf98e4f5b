/** Grants as the usage log implies them, and their burn order. */

export type Category = 'ALLOWANCE' | 'PROMOTIONAL' | 'PAID';

/** An allowance, a welcome grant or a pack. Overage is counted as a grant without an expiry. */
export type ExpectedGrant = {
  /** The month of an allowance, the grant id of a pack, "welcome", or "overage". */
  readonly name: string;
  readonly category: Category | 'OVERAGE';
  expiresAt: number | null;
  readonly grantedAt: number;
  available: bigint;
  isExpired: boolean;
  /** Breakage by day. */
  readonly breakage: Map<string, bigint>;
  /** What has expired of it and not returned. */
  expired: bigint;
  /** What returned for late usage, by day. */
  readonly returned: Map<string, bigint>;
};

/** Credits taken of a grant. */
export type Draw = { readonly grant: ExpectedGrant; readonly credits: bigint };

export const newGrant = (
  grant: Omit<ExpectedGrant, 'isExpired' | 'breakage' | 'expired' | 'returned'>,
): ExpectedGrant => ({
  ...grant,
  isExpired: false,
  breakage: new Map(),
  expired: 0n,
  returned: new Map(),
});

/** Credits of an expired grant become breakage. */
export function breakCredits(grant: ExpectedGrant, day: string, credits: bigint) {
  addTo(grant.breakage, day, credits);
  grant.expired += credits;
}

/** Burn order: soonest expiry, unpaid before paid, oldest. */
export function compareBurnOrder(a: ExpectedGrant, b: ExpectedGrant): number {
  const end = (grant: ExpectedGrant) => grant.expiresAt ?? Number.POSITIVE_INFINITY;
  if (end(a) !== end(b)) return end(a) < end(b) ? -1 : 1;
  const paid = ({ category }: ExpectedGrant) => (category === 'PAID' ? 1 : 0);
  return paid(a) - paid(b) || a.grantedAt - b.grantedAt;
}

export const totalOf = (draws: readonly Draw[]): bigint =>
  draws.reduce((sum, { credits }) => sum + credits, 0n);

/** Splits draws after their first `credits`. */
export function splitDraws(draws: readonly Draw[], credits: bigint) {
  const first: Draw[] = [];
  const rest: Draw[] = [];
  let missing = credits;
  for (const { grant, credits: here } of draws) {
    const taken = here < missing ? here : missing;
    if (taken > 0n) first.push({ grant, credits: taken });
    if (taken < here) rest.push({ grant, credits: here - taken });
    missing -= taken;
  }
  return { first, rest };
}

export function addTo<Key>(sums: Map<Key, bigint>, key: Key, credits: bigint) {
  sums.set(key, (sums.get(key) ?? 0n) + credits);
}
