/** A reservation: credits set aside from named grants for a job that is running. */
import { type Allocation, totalCredits } from './allocation/allocation.ts';
import type { Demand } from './allocation/waterfall.ts';
import type { Book } from './book.ts';
import type { Job } from './budget-counts.ts';
import type { Labels } from './entry.ts';

export type ReservationState = 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'EXPIRED';
export type OverCommitPolicy = 'REJECT' | 'CAP' | 'DRAW' | 'TAKE';

export type Reservation = {
  readonly accountId: string;
  readonly reservationId: string;
  /** seq of the entry that made it. */
  readonly entrySeq: bigint;
  state: ReservationState;
  /** What was reserved at the start and by raises. */
  credits: bigint;
  committed: bigint;
  /** What was given back to grants or became breakage. */
  returned: bigint;
  /** What is still set aside, in burn order. */
  allocations: readonly Allocation[];
  /**
   * Of an expired reservation: what it gave back when it expired and has not committed late, in burn order.
   * A late commit takes from these grants first. Empty otherwise.
   */
  expiredAllocations: readonly Allocation[];
  /**
   * The cost, by operation, of the usages it was made for and that are not committed yet. Kept only
   * where it holds or held credits of limited grants; otherwise null. A late commit without usages may
   * draw on limited grants for these operations, and a partial commit leaves credits that can pay them.
   */
  heldFor: readonly Demand[] | null;
  /**
   * The cost of its usages by operation, and credits without one, that are not committed yet. Kept where a
   * budget of operations was there when it was made; otherwise null.
   */
  heldByOperation: readonly Demand[] | null;
  expiresAt: number;
  readonly createdAt: number;
  /** When its work was done, if the caller said so. Null: commits count when they are made. */
  readonly usedAt: number | null;
  endedAt: number | null;
  /**
   * What the commit that ended it asked for, as `amountKey` names it, even if it was capped. Null if it did
   * not end by a commit.
   */
  endedAsking: string | null;
  readonly overCommitPolicy: OverCommitPolicy;
  /** The plan it was made under, which prices its commits even after the account moved to another. */
  readonly planId: string;
  /** Version of that plan's rate card. */
  readonly rateCardVersion: number;
  /** Who reserved. */
  readonly caller: string;
  readonly reference: string;
  readonly labels: Labels;
  /** Whether any of it was committed after its expiry, within the plan's grace period. */
  late: boolean;
};

/** Whether it is committed or released: then it is not stored any more, and its entries say what it was. */
export const isOver = ({ state }: Reservation): boolean =>
  state === 'COMMITTED' || state === 'RELEASED';

/** Whether a commit can succeed: it is active, or expired and within the plan's grace period. */
export const canCommit = ({ state, expiresAt }: Reservation, { now, plan }: Book): boolean =>
  state === 'ACTIVE' || (state === 'EXPIRED' && now <= expiresAt + plan.terms.reservation.graceMs);

/** What an active reservation still sets aside. */
export const heldCredits = (reservation: Reservation): bigint =>
  totalCredits(reservation.allocations);

/** As it is at `now`. An active reservation past its expiry is stored as EXPIRED only once a unit of work meets it. */
export function asOf(reservation: Reservation, now: number): Reservation {
  if (reservation.state !== 'ACTIVE' || reservation.expiresAt > now) return reservation;
  return {
    ...reservation,
    state: 'EXPIRED',
    returned: reservation.returned + heldCredits(reservation),
    allocations: [],
    endedAt: reservation.expiresAt,
  };
}

/** As budgets count it. */
export const jobOf = ({ entrySeq, createdAt, usedAt, labels }: Reservation): Job => ({
  startSeq: entrySeq,
  startedAt: usedAt ?? createdAt,
  labels,
});

/** The fields that every entry of a reservation has. */
export const entryFields = ({
  reservationId,
  planId,
  rateCardVersion,
  reference,
  labels,
}: Reservation) => ({ reservationId, planId, rateCardVersion, reference, labels });
