/** A commit or charge, and how much of it has been refunded. */
import type { PricedUsage } from '../pricing/price.ts';
import { type Allocation, consumedByGrant, totalCredits } from './allocation/allocation.ts';
import type { Entry, Labels } from './entry.ts';
import type { Reservation } from './reservation.ts';

export type RefundableEntry = {
  readonly accountId: string;
  readonly seq: bigint;
  /** When its usage counts. */
  readonly at: number;
  readonly reservationId: string | null;
  readonly caller: string;
  readonly planId: string | null;
  readonly rateCardVersion: number | null;
  readonly reference: string;
  readonly labels: Labels;
  /** What it consumed of each grant, in the order of its moves. */
  readonly split: readonly Allocation[];
  readonly usages: readonly PricedUsage[];
  /**
   * The first entry of its job: of a commit, that of the reservation, if the account has budgets. Null: not
   * loaded.
   */
  start: { readonly seq: bigint; readonly at: number } | null;
  /** Sum of the split. */
  readonly committed: bigint;
  refunded: bigint;
};

/** Where a commit's job began. */
export const startOf = ({
  entrySeq,
  createdAt,
  usedAt,
}: Reservation): RefundableEntry['start'] => ({
  seq: entrySeq,
  at: usedAt ?? createdAt,
});

/** The fields of a commit or charge that its refund needs. */
type RefundableFields = Pick<
  Entry,
  | 'accountId'
  | 'seq'
  | 'at'
  | 'usedAt'
  | 'reservationId'
  | 'caller'
  | 'planId'
  | 'rateCardVersion'
  | 'reference'
  | 'labels'
  | 'moves'
  | 'usages'
>;

export function toRefundableEntry(entry: RefundableFields, refunded: bigint): RefundableEntry {
  const split = consumedByGrant(entry.moves);
  const at = entry.usedAt ?? entry.at;
  return {
    accountId: entry.accountId,
    seq: entry.seq,
    at,
    reservationId: entry.reservationId,
    caller: entry.caller,
    planId: entry.planId,
    rateCardVersion: entry.rateCardVersion,
    reference: entry.reference,
    labels: entry.labels,
    usages: entry.usages,
    start: entry.reservationId === null ? { seq: entry.seq, at } : null,
    split,
    committed: totalCredits(split),
    refunded,
  };
}
