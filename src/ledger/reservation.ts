/** A reservation: credits set aside from named grants for a job that is running. */

import { type Allocation, totalCredits } from './allocation/allocation.ts';
import type { Demand } from './allocation/waterfall.ts';
import type { Labels } from './entry.ts';

export type ReservationState = 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'EXPIRED';
export type OverCommitPolicy = 'REJECT' | 'CAP' | 'DRAW';

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

export const heldCredits = (reservation: Reservation): bigint =>
  totalCredits(reservation.allocations);
