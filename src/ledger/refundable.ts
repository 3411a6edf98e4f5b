/** A commit or charge, and how much of it has been refunded so far. */
import type { Labels } from './entry.ts';
import type { Allocation } from './reservation.ts';

export type RefundableEntry = {
  readonly accountId: string;
  readonly seq: bigint;
  readonly reservationId: string | null;
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  /** What it consumed, in burn order. */
  readonly split: readonly Allocation[];
  /** Total of the split. */
  readonly committed: bigint;
  refunded: bigint;
};
