/** Lots of credits as a reader of the log keeps them, and in which order they are spent. */

export type Category = 'ALLOWANCE' | 'PROMOTIONAL' | 'PAID';

/** Credits that came together: an allowance, a welcome, a pack. Overage is a lot without an end. */
export type Lot = {
  /** "2028-03" of an allowance, the grant's number of a pack, "welcome", "overage". */
  readonly name: string;
  readonly category: Category | 'OVERAGE';
  readonly expiresAt: number | null;
  readonly bornAt: number;
  /** Neither spent, nor set aside, nor expired. */
  left: bigint;
  expired: boolean;
  /** Breakage by day. */
  readonly lost: Map<string, bigint>;
};

export type Part = { readonly lot: Lot; readonly credits: bigint };

export const newLot = (lot: Omit<Lot, 'expired' | 'lost'>): Lot => ({
  ...lot,
  expired: false,
  lost: new Map(),
});

/** What ends soonest, of that what nobody paid for, of that the oldest. */
export function spendingOrder(a: Lot, b: Lot): number {
  const end = (lot: Lot) => lot.expiresAt ?? Number.POSITIVE_INFINITY;
  if (end(a) !== end(b)) return end(a) < end(b) ? -1 : 1;
  const paid = ({ category }: Lot) => (category === 'PAID' ? 1 : 0);
  return paid(a) - paid(b) || a.bornAt - b.bornAt;
}

export const totalOf = (parts: readonly Part[]): bigint =>
  parts.reduce((sum, { credits }) => sum + credits, 0n);

/** The first `credits` of the parts, and the rest. */
export function cut(parts: readonly Part[], credits: bigint) {
  const first: Part[] = [];
  const rest: Part[] = [];
  let wanted = credits;
  for (const { lot, credits: here } of parts) {
    const take = here < wanted ? here : wanted;
    if (take > 0n) first.push({ lot, credits: take });
    if (take < here) rest.push({ lot, credits: here - take });
    wanted -= take;
  }
  return { first, rest };
}

export function addTo<Key>(sums: Map<Key, bigint>, key: Key, credits: bigint) {
  sums.set(key, (sums.get(key) ?? 0n) + credits);
}
