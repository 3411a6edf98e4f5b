/**
 * How rows read from the database become nouns of the ledger: the columns of each noun as SQL, and
 * the translation beside it. Instants are read as epoch milliseconds.
 */
import type { Account, AccountState } from '../ledger/account.ts';
import type { BucketKind, Entry, EntryKind, Labels, Move } from '../ledger/entry.ts';
import type { Grant, GrantCategory, GrantSource, GrantState } from '../ledger/grant.ts';
import type { Purchase, PurchaseState } from '../ledger/purchase.ts';
import type {
  Allocation,
  OverCommitPolicy,
  Reservation,
  ReservationState,
} from '../ledger/reservation.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { type StoredAutoTopUp, type StoredTopUps, toAutoTopUp, toTopUps } from './top-ups.ts';

/** A row as the driver gives it. What a column holds is said by the query that named it. */
export type Row = Readonly<Record<string, never>>;

/** SQL of an instant as epoch milliseconds. */
export const millis = (column: string, name = column): string =>
  `(extract(epoch from ${column}) * 1000)::float8 as ${name}`;

export const accountColumns = `account_id, plan_id, state, display_name, labels, low_balance_threshold, pause_floor,
  auto_top_up, top_ups, ${millis('top_up_due_at')}, ${millis('opened_at')},
  ${millis('closed_at')}, seq, grant_count, event_count, remaining, reserved, overage, overage_reserved,
  overage_limit, low_balance, ${millis('allowance_due_at')}, ${millis('due_at')}, ${millis('last_at')}, last_hash`;

export const toAccount = (row: Row): Account => ({
  accountId: row['account_id']!,
  planId: row['plan_id']!,
  state: row['state']! as AccountState,
  displayName: row['display_name']!,
  labels: row['labels']! as Labels,
  lowBalanceThreshold: optional(row['low_balance_threshold']!),
  pauseFloor: optional(row['pause_floor']!),
  autoTopUp: toAutoTopUp(row['auto_top_up']! as StoredAutoTopUp | null),
  topUps: toTopUps(row['top_ups']! as StoredTopUps | null),
  topUpDueAt: row['top_up_due_at']!,
  openedAt: row['opened_at']!,
  closedAt: row['closed_at']!,
  seq: BigInt(row['seq']!),
  grantCount: BigInt(row['grant_count']!),
  eventCount: BigInt(row['event_count']!),
  remaining: BigInt(row['remaining']!),
  reserved: BigInt(row['reserved']!),
  overage: BigInt(row['overage']!),
  overageReserved: BigInt(row['overage_reserved']!),
  overageLimit: BigInt(row['overage_limit']!),
  lowBalance: row['low_balance']!,
  allowanceDueAt: row['allowance_due_at']!,
  dueAt: row['due_at']!,
  lastAt: row['last_at']!,
  lastHash: row['last_hash']!,
});

export const grantColumns = `account_id, grant_id, amount, remaining, reserved, category, priority,
  ${millis('effective_at')}, ${millis('expires_at')}, source, source_reference, state,
  ${millis('created_at')}`;

export const toGrant = (row: Row): Grant => ({
  accountId: row['account_id']!,
  grantId: BigInt(row['grant_id']!),
  amount: BigInt(row['amount']!),
  remaining: BigInt(row['remaining']!),
  reserved: BigInt(row['reserved']!),
  category: row['category']! as GrantCategory,
  priority: row['priority']!,
  effectiveAt: row['effective_at']!,
  expiresAt: row['expires_at']!,
  source: row['source']! as GrantSource,
  sourceReference: row['source_reference']!,
  state: row['state']! as GrantState,
  createdAt: row['created_at']!,
});

export const reservationColumns = `account_id, reservation_id, state, credits, committed, returned,
  allocations, ${millis('expires_at')}, ${millis('created_at')}, ${millis('ended_at')},
  over_commit_policy, rate_card_version, reference, labels, late`;

type StoredAllocation = readonly [grantId: number | string, credits: number | string];

const toAllocation = ([grantId, credits]: StoredAllocation): Allocation => ({
  grantId: BigInt(grantId),
  credits: BigInt(credits),
});

export const toReservation = (row: Row): Reservation => ({
  accountId: row['account_id']!,
  reservationId: row['reservation_id']!,
  state: row['state']! as ReservationState,
  credits: BigInt(row['credits']!),
  committed: BigInt(row['committed']!),
  returned: BigInt(row['returned']!),
  allocations: (row['allocations']! as StoredAllocation[]).map(toAllocation),
  expiresAt: row['expires_at']!,
  createdAt: row['created_at']!,
  endedAt: row['ended_at']!,
  overCommitPolicy: row['over_commit_policy']! as OverCommitPolicy,
  rateCardVersion: row['rate_card_version']!,
  reference: row['reference']!,
  labels: row['labels']! as Labels,
  late: row['late']!,
});

export const purchaseColumns = `account_id, purchase_id, pack_id, credits, currency, amount::text,
  state, payment_reference, grant_id, ${millis('created_at')}, ${millis('paid_at')}`;

export const toPurchase = (row: Row): Purchase => ({
  accountId: row['account_id']!,
  purchaseId: row['purchase_id']!,
  packId: row['pack_id']!,
  credits: BigInt(row['credits']!),
  price: { currency: row['currency']!, amount: row['amount']! },
  state: row['state']! as PurchaseState,
  paymentReference: row['payment_reference']!,
  grantId: row['grant_id'] === null ? null : BigInt(row['grant_id']!),
  createdAt: row['created_at']!,
  paidAt: row['paid_at']!,
});

export type StoredMove = readonly [BucketKind, BucketKind, number | string, number | string];
type StoredUsage = {
  readonly operation: string;
  readonly count: number | string;
  readonly quantities: Readonly<Record<string, number | string>>;
  readonly attributes: Readonly<Record<string, string>>;
  readonly unit_credits: number | string;
  readonly credits: number | string;
  readonly billable: boolean;
};

export const entryColumns = `account_id, seq, kind, ${millis('at')}, moves, credits, remaining_after,
  reserved_after, overage_after, reservation_id, grant_id, refunded_seq, usages,
  rate_card_version, late, caller, request_id, reference, labels, trace_id, span_id, hash`;

export const toMove = ([from, to, grantId, credits]: StoredMove): Move => ({
  from,
  to,
  grantId: BigInt(grantId),
  credits: BigInt(credits),
});

const toUsage = (stored: StoredUsage): PricedUsage => ({
  usage: {
    operation: stored.operation,
    count: BigInt(stored.count),
    quantities: Object.fromEntries(
      Object.entries(stored.quantities).map(([name, value]) => [name, BigInt(value)]),
    ),
    attributes: stored.attributes,
  },
  unitCredits: BigInt(stored.unit_credits),
  credits: BigInt(stored.credits),
  billable: stored.billable,
  components: [],
});

const optional = (value: string | null): bigint | null => (value === null ? null : BigInt(value));

export const toEntry = (row: Row): Entry => ({
  accountId: row['account_id']!,
  seq: BigInt(row['seq']!),
  kind: row['kind']! as EntryKind,
  at: row['at']!,
  moves: (row['moves']! as StoredMove[]).map(toMove),
  credits: BigInt(row['credits']!),
  remainingAfter: BigInt(row['remaining_after']!),
  reservedAfter: BigInt(row['reserved_after']!),
  overageAfter: BigInt(row['overage_after']!),
  reservationId: row['reservation_id']!,
  grantId: optional(row['grant_id']!),
  refundedSeq: optional(row['refunded_seq']!),
  usages: (row['usages']! as StoredUsage[]).map(toUsage),
  rateCardVersion: row['rate_card_version']!,
  late: row['late']!,
  caller: row['caller']!,
  requestId: row['request_id']!,
  reference: row['reference']!,
  labels: row['labels']! as Labels,
  traceId: row['trace_id']!,
  spanId: row['span_id']!,
  hash: row['hash']!,
});
