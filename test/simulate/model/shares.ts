/** What jobs use by operation, for budgets of operations. */
import { Reservation_State } from '../../../src/gen/billing/v1/ledger.ts';
import type { Priced } from './prices.ts';
import type { ReservationState, Shares, Spending } from './state.ts';

const NONE: Shares = new Map();

/** Sums by operation. */
export function added(...all: readonly Shares[]): Shares {
  const sums = new Map<string, bigint>();
  for (const shares of all)
    for (const [operation, credits] of shares)
      sums.set(operation, (sums.get(operation) ?? 0n) + credits);
  return sums;
}

const mapped = (shares: Shares, to: (credits: bigint, operation: string) => bigint): Shares =>
  new Map([...shares].map(([operation, credits]) => [operation, to(credits, operation)]));

const totalOf = (shares: Shares): bigint =>
  [...shares.values()].reduce((sum, one) => sum + one, 0n);

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** What an amount is for. What costs nothing counts for nothing. */
export function sharesOf({ credits, lines }: Priced): Shares {
  const priced = lines.map(({ usage, credits: cost }) => new Map([[usage?.operation ?? '', cost]]));
  const all = lines.length > 0 ? added(...priced) : new Map([['', credits]]);
  return new Map([...all].filter(([, cost]) => cost > 0n));
}

/** What a reservation counts now: also 0, where it gave everything back. */
export const countedShares = ({ state, heldShares, spentShares }: ReservationState): Shares =>
  added(
    state === Reservation_State.ACTIVE ? heldShares : mapped(heldShares, () => 0n),
    spentShares,
  );

/**
 * What a commit spends of each operation. Where it names credits or was capped, each operation of the reservation may have
 * been meant, up to what is held for it; what is beyond the reservation is for none.
 */
export function sharesOfCommit(
  { heldShares }: ReservationState,
  priced: Priced,
  committed: bigint,
  reserved: bigint,
): Shares {
  if (priced.lines.length > 0 && priced.credits === committed) return sharesOf(priced);
  const beyond = committed > reserved ? committed - reserved : 0n;
  const meant = mapped(heldShares, (credits) => lesser(credits, committed));
  return added(meant, beyond > 0n ? new Map([['', beyond]]) : NONE);
}

/** The reservation's shares after a commit. */
export const afterSpending = (
  { heldShares, spentShares }: ReservationState,
  spent: Shares,
): Pick<ReservationState, 'heldShares' | 'spentShares'> => ({
  heldShares: mapped(heldShares, (held, name) => held - lesser(held, spent.get(name) ?? 0n)),
  spentShares: added(spentShares, spent),
});

/** By how much a reservation counts more than before. */
export const shareChange = (before: ReservationState, after: ReservationState): Shares =>
  added(
    countedShares(after),
    mapped(countedShares(before), (credits) => -credits),
  );

/** What a charge or commit says of its operations, if that is all of it. */
export function sharesOfSpending(priced: Priced, spent: bigint, isCharge: boolean): Shares {
  if (priced.lines.length === 0) return isCharge ? sharesOf(priced) : NONE;
  return priced.credits === spent ? sharesOf(priced) : NONE;
}

/** What a refund gives back, below 0: of each operation what cannot have been of another one. */
export function refundedShares({ shares, refunded }: Spending, credits: bigint): Shares {
  const all = totalOf(shares);
  const left = (operation: bigint, after: bigint) => lesser(operation, all - after);
  return mapped(shares, (own) => left(own, refunded + credits) - left(own, refunded));
}
