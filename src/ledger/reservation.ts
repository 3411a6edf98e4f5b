/** A reservation: credits set aside from named grants for a job that is running. */

import type { Demand } from './allocation/waterfall.ts';
import type { Labels } from './entry.ts';

export type ReservationState = 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'EXPIRED';
export type OverCommitPolicy = 'REJECT' | 'CAP' | 'DRAW';

/** Stands where a grant id would: the credits come from the postpaid line. */
export const OVERAGE = 0n;

/** How much of an amount one grant gives, or overage (`grantId` is OVERAGE). */
export type Allocation = { readonly grantId: bigint; readonly credits: bigint };

export type Reservation = {
  readonly accountId: string;
  readonly reservationId: string;
  state: ReservationState;
  /** Reserved, at the start and by raising it since. */
  credits: bigint;
  committed: bigint;
  returned: bigint;
  /** What is still set aside, in burn order. */
  allocations: readonly Allocation[];
  /**
   * What it was reserved for and no usages committed yet, by operation; only where limited grants are
   * among those it was taken from, null otherwise. It says what a late commit by credits alone may
   * draw from limited grants, and what a partial commit must leave them for.
   */
  heldFor: readonly Demand[] | null;
  expiresAt: number;
  readonly createdAt: number;
  endedAt: number | null;
  readonly overCommitPolicy: OverCommitPolicy;
  /** The plan it was made under: it prices every commit, wherever the account has moved since. */
  readonly planId: string;
  /** Version of that plan's rate card. */
  readonly rateCardVersion: number;
  readonly reference: string;
  readonly labels: Labels;
  /** Committed after its expiry, within the plan's grace. */
  late: boolean;
};

export const totalCredits = (allocations: readonly Allocation[]): bigint =>
  allocations.reduce((sum, allocation) => sum + allocation.credits, 0n);

export const heldCredits = (reservation: Reservation): bigint =>
  totalCredits(reservation.allocations);

/**
 * Splits allocations after the first `credits`: what is taken, in burn order, and what is left.
 * `credits` is at most their total.
 */
export function splitAllocations(allocations: readonly Allocation[], credits: bigint) {
  const taken: Allocation[] = [];
  const left: Allocation[] = [];
  let wanted = credits;
  for (const { grantId, credits: held } of allocations) {
    const take = held < wanted ? held : wanted;
    if (take > 0n) taken.push({ grantId, credits: take });
    if (take < held) left.push({ grantId, credits: held - take });
    wanted -= take;
  }
  return { taken, left };
}
