/** Entries and their moves as messages. */

import {
  Bucket_Kind,
  type Bucket as BucketMessage,
  Entry_Kind,
  type Entry as EntryMessage,
  type Move as MoveMessage,
} from '../../gen/billing/v1/ledger.ts';
import { consumedByGrant } from '../../ledger/allocation/allocation.ts';
import type { BucketKind, Entry, Move } from '../../ledger/entry.ts';
import { mapOf } from '../../map-of.ts';
import { allocationMessage } from './grant.ts';
import { pricedUsageMessage } from './priced-usage.ts';
import { optionalInstant } from './time.ts';

export const entryMessage = (entry: Entry): EntryMessage => ({
  accountId: entry.accountId,
  seq: entry.seq,
  kind: Entry_Kind[entry.kind],
  at: new Date(entry.at),
  moves: entry.moves.map(moveMessage),
  credits: entry.credits,
  remainingAfter: entry.remainingAfter,
  reservedAfter: entry.reservedAfter,
  overageAfter: entry.overageAfter,
  owedAfter: entry.owedAfter,
  reservationId: entry.reservationId ?? '',
  grantId: entry.grantId ?? 0n,
  refundedSeq: entry.refundedSeq ?? 0n,
  usages: entry.usages.map(pricedUsageMessage),
  rateCardVersion: BigInt(entry.rateCardVersion ?? 0),
  late: entry.late,
  final: entry.final ?? undefined,
  caller: entry.caller,
  requestId: entry.requestId,
  onBehalfOf: entry.onBehalfOf,
  certificate: entry.certificate,
  reference: entry.reference,
  labels: mapOf(entry.labels),
  traceId: entry.traceId,
  spanId: entry.spanId,
  hash: Buffer.from(entry.hash),
  planId: entry.planId,
  planVersion: BigInt(entry.planVersion),
  purchaseId: entry.purchaseId ?? '',
  expiresAt: optionalInstant(entry.expiresAt),
  details: mapOf({ ...entry.details, ...entry.personal }),
  previousPlanId: entry.previousPlanId ?? '',
  usedAt: optionalInstant(entry.usedAt),
  split: consumedByGrant(entry.moves).map(allocationMessage),
});

const moveMessage = ({ from, to, grantId, credits }: Move): MoveMessage => ({
  from: bucketMessage(from, grantId),
  to: bucketMessage(to, grantId),
  credits,
});

export const bucketMessage = (bucket: BucketKind, grantId: bigint): BucketMessage => ({
  kind: BUCKETS[bucket],
  grantId: bucket === 'available' || bucket === 'reserved' ? grantId : 0n,
});

const BUCKETS: Readonly<Record<BucketKind, Bucket_Kind>> = {
  issued: Bucket_Kind.ISSUED,
  available: Bucket_Kind.GRANT_AVAILABLE,
  reserved: Bucket_Kind.GRANT_RESERVED,
  overage: Bucket_Kind.OVERAGE,
  overage_reserved: Bucket_Kind.OVERAGE_RESERVED,
  owed: Bucket_Kind.OWED,
  consumed: Bucket_Kind.CONSUMED,
  expired: Bucket_Kind.EXPIRED,
  voided: Bucket_Kind.VOIDED,
};
