/** A commit or charge, and how much of it has been refunded. */
import { type Allocation, consumedByGrant, totalCredits } from './allocation/allocation.ts';
import type { Entry, Labels } from './entry.ts';

export type RefundableEntry = {
  readonly accountId: string;
  readonly seq: bigint;
  readonly at: number;
  readonly reservationId: string | null;
  readonly caller: string;
  readonly planId: string | null;
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  /** What it consumed of each grant, in the order of its moves. */
  readonly split: readonly Allocation[];
  /** Sum of the split. */
  readonly committed: bigint;
  refunded: bigint;
};

/** The fields of a commit or charge that its refund needs. */
type RefundableFields = Pick<
  Entry,
  | 'accountId'
  | 'seq'
  | 'at'
  | 'reservationId'
  | 'caller'
  | 'planId'
  | 'rateCardVersion'
  | 'reference'
  | 'labels'
  | 'moves'
>;

export function toRefundableEntry(entry: RefundableFields, refunded: bigint): RefundableEntry {
  const split = consumedByGrant(entry.moves);
  return {
    accountId: entry.accountId,
    seq: entry.seq,
    at: entry.at,
    reservationId: entry.reservationId,
    caller: entry.caller,
    planId: entry.planId,
    rateCardVersion: entry.rateCardVersion,
    reference: entry.reference,
    labels: entry.labels,
    split,
    committed: totalCredits(split),
    refunded,
  };
}
